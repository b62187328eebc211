"""Ours and theirs: what we believe, field by field, against what the provider showed last."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from console import values
from integrations.models import OPEN_STATES, Connection, Event, Record, Run, WorkState
from integrations.models.drift import EXISTENCE
from integrations.workflow.evidence import read_events

#: Fields that are shown though they match: the state and what comes first in the kind.
ALWAYS = 5


@dataclass(frozen=True)
class Side:
    """One field: ours, theirs where it differs, and what is wrong where theirs could not be read.

    `lock` says why it may not be edited here.
    """

    field: str
    name: str
    ours: str
    theirs: str = ""
    problem: str = ""
    lock: str = ""

    @property
    def differs(self) -> bool:
        return bool(self.theirs or self.problem)


@dataclass(frozen=True)
class Sides:
    """The panel. `as_of` is when the provider last told; `waiting` the evidence that belief does not follow."""

    rows: list[Side]
    rest: list[Side]
    as_of: datetime | None
    waiting: Event | None
    open_drift: int
    run: Run | None = None

    @property
    def differing(self) -> int:
        return sum(row.differs for row in self.rows)

    @property
    def locked(self) -> str:
        """Why fields are locked, in words; "" where none is."""
        return "; ".join(dict.fromkeys(row.lock for row in [*self.rows, *self.rest] if row.lock))

    @property
    def checking(self) -> bool:
        return self.run is not None and is_under_way(self.run)

    @property
    def finding(self) -> str:
        """What a check that is over found, in words; "" where none was asked."""
        if self.run is None or self.checking:
            return ""
        if self.run.state == WorkState.PARKED:
            return "The check could not be done."
        if self.run.state == WorkState.DISMISSED:
            return "The check was cancelled."
        return "Just checked: they differ." if self.open_drift else "Just checked: both sides are equal."


def read(
    record: Record,
    as_of: datetime | None,
    differing: dict[str, Any],
    connection: Connection,
    *,
    waiting: Event | None,
    personal: bool,
    names: Mapping[str, str],
    locks: Mapping[str, str] | None = None,
    run: Run | None = None,
) -> Sides:
    """Return both sides; `differing` is what the last check found, by field, `names` what links are called,
    `locks` why fields may not be edited.

    Where evidence waits that is newer than that, theirs is what it says, as far as the mapping reads it.
    """
    if waiting and as_of and as_of > waiting.received_at:
        waiting = None
    theirs, problems = _newest(waiting, connection) if waiting else ({}, {})
    theirs |= differing
    rows = [_side(record, name, value, theirs, problems, personal) for name, value in _believed(record, theirs)]
    rows = [replace(row, ours=names[row.field]) if row.field in names else row for row in rows]
    rows = [replace(row, lock=(locks or {}).get(row.field, "")) for row in rows]
    other = [row for row in rows if row.differs]
    same = [row for row in rows if not row.differs]
    shown = max(0, ALWAYS - len(other))
    return Sides(other + same[:shown], same[shown:], as_of, waiting, len(differing), run)


def _believed(record: Record, theirs: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return our fields, the state first; existence only where it is what differs."""
    existence = [(EXISTENCE, "absent" if record.state == "deleted" else "present")] if EXISTENCE in theirs else []
    names = [name for name in values.sorts(record.kind) if name != "state"] or list(record.data)
    return [*existence, ("state", record.state), *((name, record.data.get(name)) for name in names)]


def _side(
    record: Record, name: str, value: Any, theirs: dict[str, Any], problems: dict[str, str], personal: bool
) -> Side:
    currency = record.data.get("currency") or ""
    ours = values.shown(record.kind, name, value, currency=currency, personal=personal)
    other = ""
    if name in theirs and theirs[name] != value:
        other = values.shown(record.kind, name, theirs[name], currency=currency, personal=personal)
    return Side(name, values.name_of(name), ours, other, problems.get(name, ""))


def _newest(event: Event, connection: Connection) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what waiting evidence says: values by field, and what is wrong by field."""
    (read_event,) = read_events([event], {connection.pk: connection})
    told = {line.field: line.value for line in read_event.trace if not line.problem and not line.kept}
    wrong = {line.field: line.problem for line in read_event.trace if line.problem}
    return told, wrong


def is_under_way(run: Run) -> bool:
    """Say whether a check is not over: its run, or the comparison of what the run fetched."""
    if run.state in (WorkState.READY, WorkState.LEASED, WorkState.WAITING, WorkState.HELD):
        return True
    return (
        run.state == WorkState.DONE
        and run.events.filter(state__in=OPEN_STATES).exclude(state=WorkState.PARKED).exists()
    )
