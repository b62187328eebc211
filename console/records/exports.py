"""Where a record was exported to, as its page shows it: each copy with its state, and why a field is locked."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console import look
from console.records.answers import Sight
from integrations.canonical import DELETED
from integrations.models import Connection, Copy, CopyState, Record
from integrations.reconciliation import pushing

#: The words of a copy's state, by which `console.look` shows it.
WORDS: Mapping[str, str] = {
    CopyState.DUE: "to be exported",
    CopyState.WAITING: "waiting",
    CopyState.EXPORTED: "exported",
    CopyState.NOT_NEEDED: "not exported",
    CopyState.STOPPED: "needs a person",
}


@dataclass(frozen=True)
class Held:
    """A connection that holds a record, or is to hold it: the id there, and how it stands to ours."""

    connection: Connection
    external_id: str
    match: str
    text: str
    at: datetime | None
    shown_state: str = ""


@dataclass(frozen=True)
class Exported:
    """One copy in words. `differs` counts the open differences of its object."""

    copy: Copy
    connection: Connection
    differs: int
    may_again: bool
    may_leave: bool
    may_check: bool

    @property
    def word(self) -> str:
        return WORDS[self.copy.state]

    @property
    def ended(self) -> bool:
        """Whether its route exports nothing more."""
        return self.copy.route.ended_at is not None

    @property
    def behind(self) -> bool:
        """Whether the record has changed since it was exported, and the target does not follow it yet."""
        copy = self.copy
        if copy.version is None or copy.version >= copy.record.version:
            return False
        return self.ended or copy.state != CopyState.EXPORTED


def read(request: Any, record: Record) -> list[Exported]:
    """Return the copies of a record at the connections that the person may see; one query."""
    connections: dict[int, Connection] = {each.pk: each for each in request.space.connections}
    rows = Copy.objects.filter(record=record, connection_id__in=connections).select_related("route").order_by("pk")
    found = []
    for copy in rows:
        copy.record, copy.connection = record, connections[copy.connection_id]
        may = {
            action: request.user.powers.may(action, tenant_id=record.tenant_id, connection_id=copy.connection_id)
            for action in ("command", "reconcile", "settle_drift")
        }
        moving = copy.state == CopyState.DUE or (copy.flying and copy.state != CopyState.STOPPED)
        moving = moving or copy.route.ended_at is not None
        found.append(
            Exported(
                copy,
                copy.connection,
                differs_at(record, copy.connection_id),
                may_again=may["command"] and not moving,
                may_leave=may["settle_drift"] and not moving and copy.left_out_at is None,
                may_check=may["reconcile"] and bool(copy.external_id) and not copy.connection.disabled_at,
            )
        )
    return found


def differs_at(record: Any, connection_id: int) -> int:
    """Return how many differences of a record read by `answers.with_answers` are open at a connection."""
    return sum(told["connection_id"] == connection_id for told in record.differences)


def held(
    own: Connection, sights: Collection[Sight], match: tuple[str, str], copies: Collection[Exported]
) -> list[Held]:
    """Return each connection that holds the record, its own one first."""
    found = [
        Held(
            own,
            sight.external_id,
            "missing there" if sight.deleted_at else match[0],
            "deleted there" if sight.deleted_at else match[1],
            sight.checked_at,
        )
        for sight in sights
    ]
    return found + [_held(each) for each in copies]


def _held(each: Exported) -> Held:
    copy = each.copy
    at = copy.compared_at or copy.exported_at
    if not copy.external_id:
        word = "not exported" if copy.state == CopyState.NOT_NEEDED else "not yet"
        return Held(each.connection, "", word, word, None)
    if each.differs:
        fields = "1 field" if each.differs == 1 else f"{each.differs} fields"
        return Held(each.connection, copy.external_id, "differs", f"differs in {fields}", at, copy.shown_state)
    if each.behind:
        return Held(each.connection, copy.external_id, "behind", f"as of version {copy.version}", at, copy.shown_state)
    if copy.compared_at is None:
        return Held(each.connection, copy.external_id, "not checked", "not seen there yet", at)
    if copy.exported_at and copy.compared_at < copy.exported_at:
        return Held(each.connection, copy.external_id, "not checked", "not seen there since", at, copy.shown_state)
    if not _alike(copy.record.state, copy.shown_state):
        told = f"{look.say(copy.shown_state)} there, {look.say(copy.record.state)} here"
        return Held(each.connection, copy.external_id, "apart", told, at, copy.shown_state)
    return Held(each.connection, copy.external_id, "matches", "matches", at, copy.shown_state)


def _alike(ours: str, theirs: str) -> bool:
    """Say whether two states say the same of a record: what came to nothing is called otherwise elsewhere."""
    nothing = {"void", "canceled", "failed", DELETED}
    return not theirs or ours == theirs or {ours, theirs} <= nothing


def locks(copies: Collection[Exported], record: Record) -> dict[str, str]:
    """Return why fields may not be edited here, by field."""
    found = pushing.locks_of([each.copy for each in copies], record)
    return {name: lock.reason for name, lock in found.items()}
