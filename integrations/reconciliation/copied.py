"""Compare what a target shows of an exported record with what was sent there; belief stays out of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q

from integrations.canonical import DELETED
from integrations.models import Connection, Copy, CopyState, Record
from integrations.models.drift import EXISTENCE
from integrations.providers import get_adapter
from integrations.providers.base import Adapter
from integrations.providers.exporting import Expected, Hold, Made, Part
from integrations.reconciliation.compare import Comparison, Difference
from integrations.workflow.evidence import Read
from integrations.workflow.rows import update_rows
from integrations.workflow.wake import EXPORTS, after_commit

_FIELDS = ("state", "due_at", "shown_state", "held_by", "compared_at")


@dataclass
class Copies:
    """The copies of which a batch of evidence shows something."""

    by_object: dict[tuple[int, str, str], Copy] = field(default_factory=dict)
    seen: dict[int, Copy] = field(default_factory=dict)

    @classmethod
    def load(cls, reads: Iterable[Read]) -> "Copies":
        """Lock the copies of the objects that are shown; call with their records locked."""
        wanted: dict[int, set[str]] = {}
        for read in reads:
            wanted.setdefault(read.event.connection_id, set()).add(read.event.external_id)
        if not wanted:
            return cls()
        of = Q()
        for connection_id, external_ids in wanted.items():
            of |= Q(connection_id=connection_id, external_id__in=external_ids)
        rows = Copy.objects.filter(of).order_by("pk").select_for_update(no_key=True)
        return cls({(copy.connection_id, copy.resource, copy.external_id): copy for copy in rows})

    def compare(self, read: Read, record: Record, connection: Connection) -> Comparison | None:
        """Return how the target differs from what was sent; None where that cannot be told from this evidence.

        It cannot while a command is under way, by a look that began before the newest one was accepted, nor by one
        that is older than the look that was compared last.
        """
        copy, asked_at = self.by_object.get(read.key), read.event.asked_at
        if copy is None or copy.flying or read.candidate is None or asked_at is None or read.event.run_id is None:
            return None
        if any(at and asked_at < at for at in (copy.exported_at, copy.compared_at)):
            return None
        adapter = get_adapter(connection.provider)
        expected = expected_of(adapter, copy, record)
        if adapter.exporter is None or expected is None:
            return None
        self._note(copy, read.candidate.state, adapter.exporter.holds(read.obj or {}), asked_at)
        return _compare(read, record, connection, expected)

    def _note(self, copy: Copy, state: str, holds: Sequence[Hold], at: datetime) -> None:
        copy.shown_state, copy.compared_at = state, at
        copy.held_by = [[hold.resource, hold.external_id, hold.operation_id] for hold in holds]
        waits = copy.asked_at is not None and copy.state == CopyState.WAITING
        if waits or copy.state == CopyState.STOPPED:
            copy.state, copy.due_at = CopyState.DUE, at
        self.seen[copy.pk] = copy

    def write(self) -> None:
        """Write what was learned; call inside the transaction of the evidence."""
        rows: Sequence[Copy] = list(self.seen.values())
        update_rows(rows, _FIELDS)
        if any(copy.state == CopyState.DUE for copy in rows):
            after_commit(EXPORTS)


def expected_of(adapter: Adapter, copy: Copy, record: Record) -> Expected | None:
    """Return how the target is to show a copy by what was made of it; None where nothing was."""
    if adapter.exporter is None:
        return None
    made = {action: Made(told["external_id"], told["content"]) for action, told in copy.made.items()}
    return adapter.exporter.expected(
        Part(record.pk, record.kind, record.state, record.data, record.label, external_id=copy.external_id, made=made)
    )


def _compare(read: Read, record: Record, connection: Connection, expected: Expected) -> Comparison:
    assert read.candidate
    theirs = read.candidate.state
    ours = record.state if record.state in expected.states else min(expected.states)
    found: tuple[Difference, ...] = ()
    fields = len(expected.fields) + 1
    if read.event.deleted and DELETED not in expected.states:
        found = (Difference(EXISTENCE, "present", "absent"),)
    elif theirs not in expected.states:
        found = (Difference("state", ours, theirs),)
    elif not read.event.deleted:
        data = read.candidate.over(None)
        found = tuple(
            Difference(name, value, data.get(name))
            for name, value in expected.fields.items()
            if name in data and data[name] != value
        )
    return Comparison(read.event, connection, record, record.kind, found, fields)
