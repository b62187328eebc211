"""The short answers at the head of a record: who sent what, what came back, what became of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import JSONObject

from console import wording
from integrations.models import (
    Cause,
    Delivery,
    Drift,
    DriftStatus,
    Event,
    JournalEntry,
    Record,
    Reference,
    Transition,
    WorkState,
)
from integrations.models.visibility import Person

#: Deliveries of a record that are looked at to tell who was told.
MOST_TOLD = 12


class Tries(TypedDict):
    """How often a record's evidence came and was worked on."""

    events: int
    replays: int
    redelivered: int


@dataclass(frozen=True)
class Moved:
    """The newest change of a record's state."""

    before: str
    after: str
    at: datetime
    cause: str
    cause_id: int | None


@dataclass(frozen=True)
class Answer:
    """One short answer: a label, the answer with a link, and a note under it."""

    label: str
    text: str
    url: str = ""
    note: str = ""
    at: datetime | None = None


def with_answers(records: "QuerySet[Record]", person: Person) -> "QuerySet[Record]":
    """Read along what the answers need and a person may see, so that they cost no query of their own."""
    moves = Transition.objects.filter(record=OuterRef("pk")).exclude(from_state=F("to_state")).order_by("-version")
    moved = JSONObject(before="from_state", after="to_state", at="at", cause="cause", cause_id="cause_id")
    events = Event.objects.visible_to(person).filter(record=OuterRef("pk")).order_by().values("record")
    tries = events.annotate(told=JSONObject(events=Count("pk"), replays=Sum("replays"), redelivered=Sum("redelivered")))
    sights = Reference.objects.visible_to(person).filter(record=OuterRef("pk")).order_by("id")
    sight = JSONObject(
        connection_id="connection_id", resource="resource", external_id="external_id", checked_at="checked_at",
        deleted_at="deleted_at",
    )  # fmt: skip
    drifts = Drift.objects.visible_to(person).filter(record=OuterRef("pk"), status=DriftStatus.OPEN).order_by("id")
    deliveries = Delivery.objects.visible_to(person).filter(record=OuterRef("pk")).order_by("-id")
    delivery = JSONObject(id="id", state="state", subscription=F("subscription__name"), topic=F("message__topic"))
    return records.annotate(
        last_move=Subquery(moves.annotate(told=moved).values("told")[:1]),
        evidence=Subquery(tries.values("told")),
        sights=ArraySubquery(sights.annotate(told=sight).values("told")),
        differences=ArraySubquery(
            drifts.annotate(told=JSONObject(connection_id="connection_id", field="field", theirs="theirs")).values(
                "told"
            )
        ),
        told=ArraySubquery(deliveries.annotate(told=delivery).values("told")[:MOST_TOLD]),
    )


@dataclass(frozen=True)
class Sight:
    """A record's identity at its provider, and when we last saw it there."""

    external_id: str
    checked_at: datetime
    deleted_at: datetime | None


def sights_of(record: Any) -> list[Sight]:
    """Return by which ids its own provider knows a record read by `with_answers`."""
    return [
        Sight(told["external_id"], datetime.fromisoformat(told["checked_at"]), _time(told["deleted_at"]))
        for told in record.sights
        if told["connection_id"] == record.connection_id
    ]


def held_as(record: Any) -> list[tuple[int, str]]:
    """Return where a record read by `with_answers` is, and as what: (connection id, resource)."""
    return [(told["connection_id"], told["resource"]) for told in record.sights if not told["deleted_at"]]


def theirs_of(record: Any) -> dict[str, Any]:
    """Return what its own provider shows otherwise, by field, of a record read by `with_answers`."""
    own = [told for told in record.differences if told["connection_id"] == record.connection_id]
    return {told["field"]: told["theirs"] for told in own}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def moved_of(record: Any) -> Moved | None:
    """Return the newest change of state of a record read by `with_answers`."""
    told = record.last_move
    if not told:
        return None
    return Moved(told["before"], told["after"], datetime.fromisoformat(told["at"]), told["cause"], told["cause_id"])


def tries_of(record: Any) -> Tries:
    """Return how often the evidence of a record read by `with_answers` came."""
    return record.evidence or Tries(events=0, replays=0, redelivered=0)


def answers(
    record: Record,
    newest: Event | None,
    entries: list[JournalEntry],
    provider: str,
    *,
    sent: Answer,
    event_url: Callable[[int], str],
    mapping_url: Callable[[int], str],
    delivery_url: Callable[[int], str],
) -> list[Answer]:
    """Return the seven answers, of which `sent` is the first.

    `entries` are the lines of the timeline that are shown, `newest` is the last evidence.
    """
    moved, tries = moved_of(record), tries_of(record)
    return [
        sent,
        _came_back(newest, provider, event_url),
        _mapped_by(record, mapping_url),
        _state_changed(moved, entries),
        _downstream(record, delivery_url),
        _tried_again(tries),
        _triggered_by(moved, entries, provider),
    ]


def _came_back(newest: Event | None, provider: str, event_url: Callable[[int], str]) -> Answer:
    if newest is None:
        return Answer("Came back", "Nothing yet", note=f"no evidence from {provider}")
    return Answer("Came back", newest.event_type, event_url(newest.pk), f"by {newest.source}, ", newest.received_at)


def _mapped_by(record: Record, mapping_url: Callable[[int], str]) -> Answer:
    if record.mapping is None:
        return Answer("Mapped by", "No mapping", note="nothing was read from evidence")
    told = sum(value is not None for value in record.data.values()) + 1
    note = f"{told} of {len(record.data) + 1} fields have a value"
    return Answer("Mapped by", str(record.mapping), mapping_url(record.mapping.pk), note)


def _state_changed(moved: Moved | None, entries: list[JournalEntry]) -> Answer:
    if moved is None:
        return Answer("State changed", "Never")
    text = f"{_word(moved.before)} → {_word(moved.after)}" if moved.before else f"begins as {_word(moved.after)}"
    line = next(
        (e for e in entries if e.action == "record.changed" and abs((e.at - moved.at).total_seconds()) < 5), None
    )
    return Answer("State changed", text, f"#entry-{line.pk}" if line else "#timeline", at=moved.at)


def _downstream(record: Any, delivery_url: Callable[[int], str]) -> Answer:
    """Say who was told of its newest changes: of each subscriber the newest delivery counts."""
    newest: dict[str, dict[str, Any]] = {}
    for told in record.told:
        newest.setdefault(told["subscription"], told)
    if not newest:
        return Answer("Downstream", "Nobody is told", note="no subscription wanted its changes")
    waits = [told for told in newest.values() if told["state"] not in (WorkState.DONE, WorkState.DISMISSED)]
    waits.sort(key=lambda told: told["state"] != WorkState.PARKED)
    number = sum(told["state"] == WorkState.DONE for told in newest.values())
    parts = [f"{number} told"] if number else []
    parts += [
        f"{told['subscription']} {'is parked' if told['state'] == WorkState.PARKED else 'waits'}" for told in waits[:1]
    ]
    parts += [f"{len(waits) - 1} more wait"] if len(waits) > 1 else []
    shown = [*waits, *newest.values()][0]
    return Answer("Downstream", ", ".join(parts) or "Dismissed", delivery_url(shown["id"]), ", ".join(newest))


def _tried_again(tries: Tries) -> Answer:
    replays, again = tries["replays"] or 0, tries["redelivered"] or 0
    text = "Never replayed" if not replays else f"Replayed {_times(replays)}"
    note = f"{wording.count(again, 'event')} delivered again" if again else "nothing was delivered twice"
    return Answer("Tried again", text, "#timeline" if replays else "", note)


def _triggered_by(moved: Moved | None, entries: list[JournalEntry], provider: str) -> Answer:
    if moved is None:
        return Answer("Triggered by", "Nobody yet")
    person = _person(moved, entries)
    if person:
        return Answer("Triggered by", person.actor, f"#entry-{person.pk}", person.role)
    if moved.cause in (Cause.RECONCILIATION, Cause.PERSON):
        return Answer("Triggered by", "A person", "#timeline", "who accepted theirs")
    return Answer("Triggered by", provider, note="by what it told us")


def _person(moved: Moved, entries: list[JournalEntry]) -> JournalEntry | None:
    """Return the line of the person who replayed the event that moved the record, or accepted theirs."""
    for entry in entries:
        replayed = (
            entry.action == "event.replayed" and entry.subject_id == moved.cause_id and moved.cause == Cause.EVENT
        )
        accepted = entry.action == "drift.accepted" and moved.cause == Cause.RECONCILIATION
        if (replayed or accepted) and entry.at <= moved.at:
            return entry
    return None


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _word(state: str) -> str:
    return state.replace("_", " ")
