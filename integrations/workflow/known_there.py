"""That a provider holds an object because we made it there: the reference of its record."""

from collections.abc import Iterable
from datetime import datetime

from integrations.models import Command, Record, Reference
from integrations.workflow.rows import insert_rows


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
