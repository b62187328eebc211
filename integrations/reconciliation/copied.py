"""Compare what a target shows of an exported record with what was sent there and what it says now.

Belief stays out of it: a record follows the connection that it came from.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db.models import Q

from integrations.models import Connection, Copy, CopyState, Record
from integrations.models.drift import EXISTENCE
from integrations.providers import get_adapter
from integrations.providers.exporting import Expected, Hold, Made, Part
from integrations.reconciliation.compare import Comparison, Difference
from integrations.reconciliation.paying import Payments, is_settled, payments_of
from integrations.workflow import export_batch, ours
from integrations.workflow.evidence import Read
from integrations.workflow.rows import update_rows
from integrations.workflow.wake import EXPORTS, after_commit

_FIELDS = ("state", "due_at", "shown_state", "held_by", "compared_at", "push", "kept")
_NOT_SENT = "Ours was not sent: it stands there otherwise than what was decided on"


@dataclass(frozen=True)
class Side:
    """One field of an object: what it is to be by what the record says now, what it is, and whether that may be so."""

    field: str
    ours: Any
    theirs: Any
    agrees: bool

    @property
    def pair(self) -> dict[str, Any]:
        """What is kept of it when it is ignored."""
        return {"ours": self.ours, "theirs": self.theirs}

    def agrees_beside(self, left: Mapping[str, Any] | None) -> bool:
        """Say whether nothing is to be decided; theirs that was left beside another ours is, whoever wrote it there."""
        reopened = left is not None and self.field != "state" and left["theirs"] == self.theirs != self.ours
        return self.agrees and not reopened


@dataclass
class Copies:
    """The copies of which a batch of evidence shows something, with what is known of them by connection."""

    now: datetime | None = None
    by_object: dict[tuple[int, str, str], Copy] = field(default_factory=dict)
    known: dict[int, export_batch.Batch] = field(default_factory=dict)
    payments: dict[int, Payments] = field(default_factory=dict)
    seen: dict[int, Copy] = field(default_factory=dict)

    @classmethod
    def load(cls, reads: Iterable[Read], connections: Mapping[int, Connection], now: datetime) -> "Copies":
        """Lock the copies of the objects that are shown; call with their records locked."""
        wanted: dict[int, set[str]] = {}
        for read in reads:
            wanted.setdefault(read.event.connection_id, set()).add(read.event.external_id)
        if not wanted:
            return cls()
        of = Q()
        for connection_id, external_ids in wanted.items():
            of |= Q(connection_id=connection_id, external_id__in=external_ids)
        locked = Copy.objects.filter(of).order_by("pk").select_for_update(of=("self",), no_key=True)
        rows = list(locked.select_related("record", "route", "command"))
        found = cls(now, {(copy.connection_id, copy.resource, copy.external_id): copy for copy in rows})
        found.payments = payments_of(rows)
        for pk in {copy.connection_id for copy in rows}:
            batch = export_batch.load(connections[pk], [copy for copy in rows if copy.connection_id == pk], now)
            if batch is not None:
                found.known[pk] = batch
        return found

    def compare(self, read: Read, record: Record, connection: Connection) -> Comparison | None:
        """Return how the target differs from what was sent and what the record says now.

        None where that cannot be told from this evidence: while a command is under way, by a look that began before
        the newest one was accepted, before a person decided to send ours, or before the look that was compared last;
        and where ours goes over just these differences by now.
        """
        copy, asked_at = self.by_object.get(read.key), read.event.asked_at
        if copy is None or copy.flying or read.candidate is None or asked_at is None or read.event.run_id is None:
            return None
        if any(at and asked_at < at for at in (copy.exported_at, copy.compared_at, _decided_at(copy))):
            return None
        batch = self.known.get(copy.connection_id)
        expected = self._expected(batch, copy, record, asked_at) if batch else None
        if batch is None or expected is None:
            return None
        found = self._differences(copy, _sides(read, record, expected))
        self._note(copy, read.candidate.state, batch.exporter.holds(read.obj or {}), asked_at)
        note = ""
        if copy.push:
            if ours.is_over(copy, {each.field: each.theirs for each in found}):
                return None
            note = _NOT_SENT
            ours.reopen(copy.push["drifts"])
            copy.push = {}
        return Comparison(read.event, connection, record, record.kind, found, len(expected.fields) + 1, note)

    def _expected(self, batch: export_batch.Batch, copy: Copy, record: Record, asked_at: datetime) -> Expected | None:
        settled = is_settled(copy, record, self.payments.get(record.pk), asked_at)
        return batch.exporter.expected(replace(export_batch.part_of(batch, record), settled=settled))

    def _differences(self, copy: Copy, sides: Sequence[Side]) -> tuple[Difference, ...]:
        """Return what differs; what a person left so is none, as long as both sides stay as they were."""
        was = copy.kept
        copy.kept = {side.field: was[side.field] for side in sides if was.get(side.field) == side.pair}
        return tuple(
            Difference(side.field, side.ours, side.theirs)
            for side in sides
            if side.field not in copy.kept and not side.agrees_beside(was.get(side.field))
        )

    def _note(self, copy: Copy, state: str, holds: Sequence[Hold], at: datetime) -> None:
        copy.shown_state, copy.compared_at = state, at
        copy.held_by = [[hold.resource, hold.external_id, hold.operation_id] for hold in holds]
        waits = copy.asked_at is not None and copy.state == CopyState.WAITING
        if waits or copy.state == CopyState.STOPPED:
            copy.state, copy.due_at = CopyState.DUE, self.now or at
        self.seen[copy.pk] = copy

    def write(self) -> None:
        """Write what was learned; call inside the transaction of the evidence."""
        rows: Sequence[Copy] = list(self.seen.values())
        update_rows(rows, _FIELDS)
        if any(copy.state == CopyState.DUE for copy in rows):
            after_commit(EXPORTS)


def _decided_at(copy: Copy) -> datetime | None:
    return datetime.fromisoformat(copy.push["at"]) if copy.push else None


def exported_fields(copy: Copy, record: Record) -> Iterable[str]:
    """Return the fields of a record that stand at the target by what was made of it."""
    exporter = get_adapter(copy.connection.provider).exporter
    made = {action: Made(told["external_id"], told["content"]) for action, told in copy.made.items()}
    part = Part(record.pk, record.kind, record.state, record.data, record.label, made=made)
    expected = exporter.expected(part) if exporter else None
    return expected.fields if expected else ()


def _sides(read: Read, record: Record, expected: Expected) -> list[Side]:
    """Return what is compared. What was sent and is still there only lags behind what the record says now."""
    assert read.candidate
    if read.event.deleted:
        return [Side(EXISTENCE, "present", "absent", bool(expected.states & ours.GONE))]
    mine = record.state if record.state in expected.states else min(expected.states)
    state = Side("state", mine, read.candidate.state, read.candidate.state in expected.states)
    if not state.agrees and state.theirs in ours.GONE:
        return [state]
    data = read.candidate.over(None)
    both = ((name, expected.now.get(name, sent), sent) for name, sent in expected.fields.items() if name in data)
    return [state, *(Side(name, now, data[name], data[name] in (sent, now)) for name, now, sent in both)]
