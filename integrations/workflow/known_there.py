"""That a provider holds an object because we made it there: the reference of its record."""

from collections.abc import Iterable
from datetime import datetime

from integrations.models import Command, Record, Reference
from integrations.workflow.errors import Refusal
from integrations.workflow.rows import insert_rows


class OfAnother(Refusal):
    """An object at a provider is another record's: what it is said to be would be written over it."""

    def __init__(self, external_id: str, record: Record, name: str = "another record") -> None:
        self.external_id, self.record = external_id, record
        super().__init__(f"{external_id} is the id of {name} already. Look at it again: ours would go over it.")


def note(commands: Iterable[Command], now: datetime) -> None:
    """Give the records of commands their identity at the provider; what was known before stays as it is.

    A record may have several objects at one connection, of different resources: an invoice and its payments. At its
    own provider it has the one that it is: a refund of a payment there becomes a record by its own evidence.
    """
    known = [(command.record_id, command) for command in commands if command.record_id and command.external_id]
    homes = dict(Record.objects.filter(pk__in={pk for pk, _ in known}).values_list("pk", "connection_id"))
    rows = [
        Reference(
            record_id=record_id,
            connection_id=command.connection_id,
            resource=command.resource,
            external_id=command.external_id,
            seen_at=now,
            checked_at=now,
        )
        for record_id, command in known
        if command.connection_id != homes.get(record_id)
    ]
    insert_rows(rows, conflict="ON CONFLICT (connection_id, resource, external_id) DO NOTHING")


def refuse_another(command: Command) -> None:
    """Raise `OfAnother` where what a command is said to have made for a record elsewhere is another record's."""
    record = command.record
    if record is None or record.connection_id == command.connection_id:
        return
    others = Reference.objects.filter(
        connection_id=command.connection_id, resource=command.resource, external_id=command.external_id
    ).exclude(record=record)
    other = others.select_related("record").first()
    if other is not None:
        raise OfAnother(command.external_id, other.record)
