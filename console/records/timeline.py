"""A record's timeline: the journal about it, in one order of time, with days and silences said aloud."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from console import look, wording
from integrations.models import Event, JournalEntry, Lane, Outcome, Record
from integrations.models.visibility import Person

SIZE = 50
#: A silence this long is said.
GAP = timedelta(hours=2)

_PROVIDER_WORD = re.compile(r"[a-z_]+(\.[a-z_]+)+", re.ASCII)
#: Lines whose outcome is a word of a topic of `console.look`.
_TOPICS = {"event.decided": "decision", "event.redelivered": "decision", "record.checked": "match"}
_FAILED = {
    "event.parked": "is-danger", "event.waits": "is-warn", "command.parked": "is-danger", "command.waits": "is-warn",
}  # fmt: skip


@dataclass(frozen=True)
class Said:
    """A line in three parts: the provider's word, what happened, and why."""

    code: str
    head: str
    tail: str


@dataclass(frozen=True)
class Line:
    """One entry as it is shown. `day` opens a new day, `gap` says how long nothing happened before it.

    `place` names the connection where that is not the record's own.
    """

    entry: JournalEntry
    said: Said
    tone: str
    outcome: str
    topic: str
    day: str = ""
    gap: str = ""
    place: str = ""

    @property
    def is_category(self) -> bool:
        return self.outcome in look.CATEGORIES

    @property
    def loud(self) -> bool:
        """Whether its head is told in bold: a change, a failure."""
        return bool(self.tone)


@dataclass(frozen=True)
class Stretch:
    """A piece of the timeline in the order asked for, how many entries each lane has so far, and where it goes on."""

    lines: list[Line]
    counts: dict[str, int]
    goes_on: int | None
    oldest_first: bool

    @property
    def seen(self) -> str:
        """The counts as an address holds them."""
        return ".".join(str(self.counts[lane]) for lane in Lane.values)

    @property
    def lanes(self) -> list[tuple[str, str, int]]:
        return [(lane, lane.capitalize(), self.counts[lane]) for lane in Lane.values]


def entries_of(record: Record, person: Person) -> "QuerySet[JournalEntry]":
    """Return the journal about a record; of each line's connection only to who sees that connection."""
    return JournalEntry.objects.visible_to(person).filter(record_id=record.pk)


def before_it_was(record: Record, person: Person) -> "QuerySet[JournalEntry]":
    """Return the lines about its events from before the record existed; as above, of connections one sees."""
    events = Event.objects.visible_to(person).filter(record=record).values("pk")
    lines = JournalEntry.objects.visible_to(person)
    return lines.filter(record_id__isnull=True, subject_type="event", subject_id__in=events)


def read(
    record: Record,
    now: datetime,
    person: Person,
    *,
    place: int | None = None,
    oldest_first: bool = False,
    seen: str = "",
    names: Mapping[int, str] | None = None,
) -> Stretch:
    """Return the stretch that goes on after the entry `place`, or begins the timeline; `names` of connections."""
    order = "id" if oldest_first else "-id"
    parts = []
    for part in (entries_of(record, person), before_it_was(record, person)):
        if place is not None:
            part = part.filter(**{"id__gte" if oldest_first else "id__lte": place})
        parts.append(part.order_by(order)[: SIZE + 2])
    found = list(parts[0].union(parts[1], all=True).order_by(order)[: SIZE + 2])
    before = found.pop(0) if found and place is not None and found[0].pk == place else None
    shown, more = found[:SIZE], len(found) > SIZE
    counts = Counter(read_counts(seen)) + Counter(entry.lane for entry in shown)
    return Stretch(
        lines=[
            replace(line, place=_place(line, record, names or {}))
            for line in _with_time(before, shown, now, oldest_first=oldest_first, ends=not more)
        ],
        counts={lane: counts[lane] for lane in Lane.values},
        goes_on=shown[-1].pk if more else None,
        oldest_first=oldest_first,
    )


def _place(line: Line, record: Record, names: Mapping[int, str]) -> str:
    """Return where something happened, unless it says so itself or it was at the record's own provider."""
    elsewhere = line.entry.connection_id not in (None, record.connection_id)
    name = names.get(line.entry.connection_id or 0, "")
    return name if elsewhere and line.entry.lane == Lane.EVENTS else ""


def read_counts(seen: str) -> dict[str, int]:
    """Return the counts that an address carries; nothing where it cannot be read."""
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6}){4}", seen, re.ASCII):
        return {}
    return dict(zip(Lane.values, map(int, seen.split(".")), strict=True))


def line_of(entry: JournalEntry) -> Line:
    """Return one entry as it is shown, by itself."""
    tone = _FAILED.get(entry.action, "")
    if entry.action == "record.changed":
        tone = "is-change"
    elif entry.action == "record.checked" and entry.outcome == "differs":
        tone = "is-warn"
    topic = "" if entry.lane == Lane.PEOPLE else _TOPICS.get(entry.action, "")
    if not topic and entry.lane == Lane.STATE:
        topic = "state"
    if entry.subject_type == "command" and entry.lane != Lane.PEOPLE:
        return Line(entry, said_of(entry), tone, _outcome_of(entry), "command")
    return Line(entry, said_of(entry), tone, entry.outcome, topic)


def _outcome_of(entry: JournalEntry) -> str:
    """Return a command's outcome at that time as people read it, or the category of what went wrong."""
    return str(Outcome(entry.outcome).label).lower() if entry.outcome in Outcome.values else entry.outcome


def said_of(entry: JournalEntry) -> Said:
    """Cut a line's sentence where its reason begins."""
    summary = entry.summary.replace(".;", ";")
    if entry.lane == Lane.PEOPLE:
        return Said("", summary.removeprefix(entry.actor).strip(), "")
    if entry.action == "record.changed":
        head, _, tail = summary.partition(". ")
        return Said("", head, tail)
    if entry.action == "command.submitted":
        return Said("", summary, entry.reason)
    head, _, tail = summary.partition(": ")
    first, _, rest = head.partition(" ")
    if _PROVIDER_WORD.fullmatch(first):
        return Said(first, rest, tail)
    return Said("", head, tail)


def _with_time(
    before: JournalEntry | None, entries: list[JournalEntry], now: datetime, *, oldest_first: bool, ends: bool
) -> list[Line]:
    lines = []
    for entry in entries:
        line = line_of(entry)
        if before is None or before.at.date() != entry.at.date():
            line = replace(line, day=day_of(entry.at, now))
        if before is not None and (silence := abs(entry.at - before.at)) >= GAP:
            line = replace(line, gap=f"{silence_of(silence)}, nothing")
        lines.append(line)
        before = entry
    return lines


def day_of(at: datetime, now: datetime) -> str:
    """Return a day as its heading names it; the year only where it is not this one, or for today."""
    ahead = {0: "Today, ", 1: "Yesterday, "}.get((now.date() - at.date()).days, "")
    year = f" {at.year}" if at.year != now.year else ""
    return f"{ahead}{at:%A} {at.day} {at:%B}{year}"


def silence_of(span: timedelta) -> str:
    """Return how long nothing happened, in words: "21 hours", "2 days 6 hours"."""
    hours = round(span.total_seconds() / 3600)
    days, rest = divmod(hours, 24)
    if not days:
        return wording.count(hours, "hour")
    return wording.count(days, "day") + (f" {wording.count(rest, 'hour')}" if rest and days < 7 else "")


def detail(line: Line) -> dict[str, Any]:
    """Return what an entry carries that needs no look-up: who, why, from where."""
    entry = line.entry
    return {"reason": entry.reason, "actor": entry.actor, "role": entry.role, "request": entry.request_id}
