"""Evidence of what we did ourselves: objects that we made or changed at a provider, shown by it.

An echo confirms commands. It never changes belief: a record follows the connection that it came from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from integrations.failures import grouping
from integrations.failures.categories import Fault
from integrations.journal.write import Entry
from integrations.models import OPEN_STATES, Command, Connection, Event, Lane, Outcome, Reference
from integrations.providers import get_adapter
from integrations.workflow import copies, known_there, stuck
from integrations.workflow.answers import COMMAND_FIELDS, confirm, fail
from integrations.workflow.belief import Board, Key, Known, key_of
from integrations.workflow.commands import entry_of
from integrations.workflow.evidence import Read
from integrations.workflow.parcels import intent_of
from integrations.workflow.rows import update_rows
from integrations.workflow.wake import COMMANDS, after_commit

Operation = tuple[int, str]

#: Whose effect may be seen: what was sent and is not over.
_EXPECTED = (Outcome.SENT, Outcome.UNKNOWN, Outcome.ACCEPTED)


@dataclass
class Echoes:
    """The open commands of which a batch of evidence may tell, by the object and by the operation id."""

    connections: Mapping[int, Connection]
    now: datetime
    by_object: dict[Key, list[Command]] = field(default_factory=dict)
    by_operation: dict[Operation, Command] = field(default_factory=dict)
    confirmed: list[Command] = field(default_factory=list)
    failed: list[grouping.Failed] = field(default_factory=list)

    @classmethod
    def load(
        cls, reads: Sequence[Read], board: Board, connections: Mapping[int, Connection], now: datetime
    ) -> "Echoes":
        """Lock the commands that the evidence may be about, and tie objects that we made to their records."""
        echoes = cls(connections, now)
        operations = _operations(reads, connections)
        for command in _expected(reads, operations, connections).order_by("pk").select_for_update(no_key=True):
            if command.external_id:
                key = (command.connection_id, command.resource, command.external_id)
                echoes.by_object.setdefault(key, []).append(command)
            echoes.by_operation[command.connection_id, command.operation_id] = command
        echoes._tie(operations, board)
        return echoes

    @staticmethod
    def records_of(reads: Sequence[Read], connections: Mapping[int, Connection]) -> set[int]:
        """Return the ids of the records whose commands `load` locks; they have to be locked before."""
        rows = _expected(reads, _operations(reads, connections), connections).exclude(record=None)
        return set(rows.values_list("record_id", flat=True))

    def _tie(self, operations: Mapping[Operation, Read], board: Board) -> None:
        """Let an object that we made hang on its record, though no answer has told us its id yet."""
        fresh: list[Command] = []
        for operation, read in operations.items():
            command = self.by_operation.get(operation)
            made = command is not None and command.resource == read.event.resource and not command.external_id
            if command is not None and made and command.record_id and read.key not in board.known:
                command.external_id = read.event.external_id
                fresh.append(command)
        if not fresh:
            return
        known_there.note(fresh, self.now)
        rows = Reference.objects.filter(
            connection_id__in=self.connections, external_id__in=[command.external_id for command in fresh]
        )
        for reference in rows.select_related("record"):
            board.known.setdefault(key_of(reference), Known(reference.record, reference))

    def is_echo(self, read: Read, board: Board) -> bool:
        """Say whether an object belongs to a record of another connection: we put it there."""
        known = board.known.get(read.key)
        return known is not None and known.record.connection_id != read.event.connection_id

    def hear(self, read: Read) -> list[Entry]:
        """Confirm the commands whose effect the evidence shows, or fail them where it came to nothing.

        Returns the journal's lines of it.
        """
        if not read.obj:
            return []
        connection = self.connections[read.event.connection_id]
        adapter = get_adapter(connection.provider)
        commands = list(self.by_object.get(read.key, ()))
        by_id = self.by_operation.get(_operation_of(read, connection)) if self.by_operation else None
        if by_id is not None and by_id not in commands and by_id.resource == read.event.resource:
            commands.append(by_id)
        wrong = adapter.came_to_nothing(read.event.resource, read.obj)
        return [
            self._fail(command, read, wrong) if wrong else self._confirm(command, read)
            for command in commands
            if (command.outcome in _EXPECTED or wrong)
            and command.action in adapter.actions
            and (adapter.actions[command.action].creates or _was_sent_before(command, read.event))
            and adapter.shows(intent_of(command, adapter), read.obj, connection.settings)
        ]

    def _confirm(self, command: Command, read: Read) -> Entry:
        name = self.connections[command.connection_id].name
        command.external_id = command.external_id or read.event.external_id
        confirm(command, self.now, f"Seen at {name}")
        command.leased_by = command.leased_until = None
        self.confirmed.append(command)
        summary = f"{command.summary}: seen at {name}, confirmed"
        return _entry(command, read, "command.confirmed", summary)

    def _fail(self, command: Command, read: Read, fault: Fault) -> Entry:
        command.external_id = command.external_id or read.event.external_id
        self.failed.append(fail(command, fault, self.connections[command.connection_id], self.now))
        command.leased_by = command.leased_until = None
        summary = f"{command.summary}: {fault.message.rstrip('.')}; parked, a person is needed"
        return _entry(command, read, "command.parked", summary)

    def write(self) -> None:
        """Write what was confirmed and what failed; call inside the transaction of the evidence."""
        failed = [each.command for each in self.failed if each.command]
        heard = [*self.confirmed, *failed]
        if not heard:
            return
        update_rows(heard, COMMAND_FIELDS)
        known_there.note(heard, self.now)
        copies.note(heard, self.now)
        grouping.resolve(grouping.open_failures_of(commands=[c.pk for c in self.confirmed]), "Seen at the provider")
        grouping.note(self.failed)
        stuck.recompute(command.record_id for command in failed if command.record_id)
        after_commit(COMMANDS)


def _entry(command: Command, read: Read, action: str, summary: str) -> Entry:
    data = {"event": read.event.pk, "external_id": command.external_id}
    return entry_of(command, Lane.COMMANDS, action, summary, data=data)


def _was_sent_before(command: Command, event: Event) -> bool:
    """Say whether evidence was seen after a command had left; what is older may show what another command did.

    What providers say of the time is in whole seconds.
    """
    seen_at = event.asked_at or event.occurred_at + timedelta(seconds=1)
    return command.sent_at is not None and seen_at >= command.sent_at


def _operation_of(read: Read, connection: Connection) -> Operation:
    """Return (connection id, the operation id that an object carries, "" where it carries none)."""
    adapter = get_adapter(connection.provider)
    return connection.pk, adapter.operation_of(read.event.resource, read.obj)


def _operations(reads: Sequence[Read], connections: Mapping[int, Connection]) -> dict[Operation, Read]:
    """Return what of a batch we made, by the operation id that it carries."""
    found = {_operation_of(read, connections[read.event.connection_id]): read for read in reads if read.obj}
    return {operation: read for operation, read in found.items() if operation[1]}


def _expected(
    reads: Sequence[Read], operations: Mapping[Operation, Read], connections: Mapping[int, Connection]
) -> "QuerySet[Command]":
    """Return the commands of which a batch may tell: those that are not over, and those whose effect is no more."""
    ours = Q(tenant_id__in={connection.tenant_id for connection in connections.values()})
    gone = [
        operation
        for (place, operation), read in operations.items()
        if get_adapter(connections[place].provider).came_to_nothing(read.event.resource, read.obj)
    ]
    told = Q(external_id__in=[read.event.external_id for read in reads if read.event.external_id])
    told |= ours & Q(operation_id__in=[operation for _, operation in operations])
    of = Q(outcome__in=_EXPECTED, state__in=OPEN_STATES) & told
    if gone:
        of |= ours & Q(operation_id__in=gone, outcome=Outcome.CONFIRMED)
    return Command.objects.filter(of, connection__in=connections)
