"""What people changed about a connection, its streams, mappings and secrets, in words and with the difference."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from operator import attrgetter
from typing import Any

from console.wording import age, exact
from integrations.configuration.schedules import said as said_schedule
from integrations.configuration.schedules import windows_said
from integrations.models import Connection, Credential, Mapping, Stream
from integrations.providers import get_adapter

NEWEST = 20
#: Versions of each noun that are read; the oldest of them has nothing before it to differ from.
READ = 60
PAUSE = ("paused_at", "paused_until", "paused_by", "pause_reason")


@dataclass(frozen=True)
class Change:
    """One change: who did what, why, and (name, old, new) of what differs. `version` can be restored."""

    at: datetime
    who: str
    what: str
    why: str = ""
    rows: tuple[tuple[str, str, str], ...] = ()
    version: int | None = None


def changes_of(connection: Connection, credentials: Sequence[Credential], newest: int = NEWEST) -> list[Change]:
    """Return the newest changes, newest first; three queries."""
    found = [
        *_of_connection(connection),
        *_of_streams(connection),
        *_of_mappings(connection),
        *_of_credentials(connection, credentials),
    ]
    return sorted(found, key=attrgetter("at"), reverse=True)[:newest]


def _of_connection(connection: Connection) -> Iterator[Change]:
    titles = {
        name: info.title or name for name, info in get_adapter(connection.provider).settings_schema.model_fields.items()
    }
    for new, old in _pairs(_versions(Connection, id=connection.pk)):
        if old is None:
            if new.history_type == "+":
                yield _change(new, f"connected {new.name}")
            continue
        rows = list(_setting_rows(old.settings, new.settings, titles))
        if rows:
            yield _change(new, "changed the settings", rows, version=old.history_id)
        yield from _rest(new, old, "the connection")


def _rest(new: Any, old: Any, noun: str) -> Iterator[Change]:
    act = _pause_words(new, old, noun)
    if act:
        yield _change(new, act, who=new.paused_by)
    if getattr(new, "disabled_at", None) != getattr(old, "disabled_at", None):
        yield _change(new, "disabled the connection" if new.disabled_at else "enabled the connection")
    rows = [
        (label, _said(name, getattr(old, name)), _said(name, getattr(new, name)))
        for name, label in LABELS.items()
        if hasattr(new, name) and getattr(new, name) != getattr(old, name)
    ]
    rows += [pair for pair in _composed(new, old) if pair[1] != pair[2]]
    if rows:
        yield _change(new, f"changed {noun}", rows)


LABELS = {
    "name": "Name",
    "drain_per_second": "Let go on resume, events a second",
    "title": "Title",
    "fresh_within": "Late after",
    "overlap": "Overlap for clock skew",
    "absent_share": "Most that may go at once, percent",
    "absent_least": "But never fewer than",
}


def _composed(new: Any, old: Any) -> Iterator[tuple[str, str, str]]:
    """Yield what several fields say together."""
    if hasattr(new, "windows"):
        yield "Off-peak windows", windows_said(old.windows), windows_said(new.windows)
    if hasattr(new, "scan_every"):
        yield "Runs every", said_schedule(old.every, old.cron), said_schedule(new.every, new.cron)
        yield "Absence scan", said_schedule(old.scan_every, old.scan_cron), said_schedule(new.scan_every, new.scan_cron)


def _said(name: str, value: Any) -> str:
    return age(value) if name in ("overlap", "fresh_within") else str(value)


def _of_streams(connection: Connection) -> Iterator[Change]:
    versions: dict[int, list[Any]] = {}
    for row in _versions(Stream, connection_id=connection.pk):
        versions.setdefault(row.id, []).append(row)
    for rows in versions.values():
        for new, old in _pairs(rows):
            if old is not None:
                yield from _rest(new, old, new.title)


def _of_mappings(connection: Connection) -> Iterator[Change]:
    for row in _versions(Mapping, connection_id=connection.pk):
        if row.history_type == "+" and row.version > 1:
            yield _change(row, f"published mapping {row.resource} v{row.version}", who=row.published_by)


def _of_credentials(connection: Connection, credentials: Iterable[Credential]) -> Iterator[Change]:
    titles = {spec.name: spec.title for spec in get_adapter(connection.provider).secrets}
    for each in credentials:
        title = titles.get(each.purpose, each.purpose)
        yield Change(each.created_at, each.created_by, f"gave {title} v{each.version}", each.reason)


def _pause_words(new: Any, old: Any, noun: str) -> str:
    if bool(new.paused_at) == bool(old.paused_at):
        return ""
    if not new.paused_at:
        return f"resumed {noun}"
    return f"paused {noun}" + (f" until {exact(new.paused_until)}" if new.paused_until else "")


def _setting_rows(old: dict[str, Any], new: dict[str, Any], titles: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys([*new, *old]):
        if old.get(name) != new.get(name):
            yield titles.get(name, name), said(old.get(name)), said(new.get(name))


def said(value: Any) -> str:
    """Return the value of a setting as people read it."""
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None or value == "" else f"{value}"


def _change(
    row: Any, what: str, rows: Iterable[tuple[str, str, str]] = (), *, who: str = "", version: int | None = None
) -> Change:
    return Change(row.history_date, _who(row) or who or "the engine", what, _why(row), tuple(rows), version)


def _who(row: Any) -> str:
    return row.history_user.name if row.history_user else ""


def _why(row: Any) -> str:
    return row.history_change_reason or ""


def _versions(model: Any, **lookup: int) -> list[Any]:
    """Return the newest versions of some rows, newest first."""
    found = model.history.filter(**lookup).select_related("history_user").order_by("-history_date", "-history_id")
    return list(found[:READ])


def _pairs(versions: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each version with the one before it; the oldest with None."""
    yield from pairwise(versions)
    if versions:
        yield versions[-1], None
