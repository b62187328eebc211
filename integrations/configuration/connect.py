"""Making a connection: its streams from the adapter, its mappings at version 1."""

from typing import Any

from django.db import transaction

from integrations.configuration import mappings
from integrations.configuration.settings import checked
from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import Connection, Stream, Tenant
from integrations.providers import get_adapter

#: Seconds between two absence scans of a stream whose list leaves out what was deleted.
SCAN_EVERY = 86_400


@transaction.atomic
def connect(
    tenant: Tenant, *, provider: str, name: str, environment: str, values: dict[str, Any], actor: Actor
) -> Connection:
    """Make a connection without secrets; raises `BadSettings` for settings that do not fit."""
    adapter = get_adapter(provider)
    settings = checked(provider, values)
    connection = Connection(tenant=tenant, provider=provider, name=name, environment=environment, settings=settings)
    connection._change_reason = "Connected"  # type: ignore[attr-defined]
    connection.save()
    for spec in adapter.streams:
        stream = Stream(
            connection=connection,
            resource=spec.resource,
            kind=spec.kind,
            title=spec.title,
            every=spec.every,
            fresh_within=spec.fresh_within,
            change_log=spec.change_log,
            overlap=spec.overlap,
            scan_every=0 if spec.change_log or spec.deletions != "hidden" else SCAN_EVERY,
        )
        stream._change_reason = "Came with the adapter"  # type: ignore[attr-defined]
        stream.save()
    mappings.install(connection, actor=actor)
    write_act(connection, "connection.made", f"{actor.name} connected {name} ({adapter.title})", actor=actor)
    return connection
