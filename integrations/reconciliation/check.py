"""Asking the provider how things stand now, to compare: one record, or a whole connection."""

from collections.abc import Sequence
from dataclasses import replace

from django.db import IntegrityError, transaction
from django.utils import timezone

from integrations.journal.actor import Actor
from integrations.journal.write import about, write, write_act
from integrations.models import Connection, Lane, Record, Reference, Run, RunKind, Stream, WorkState
from integrations.workflow import runs
from integrations.workflow.errors import Refusal
from integrations.workflow.wake import RUNS, after_commit

OPEN = (WorkState.READY, WorkState.LEASED, WorkState.WAITING)


@transaction.atomic
def check_record(record: Record, *, at: Connection | None = None, actor: Actor, reason: str = "") -> Run:
    """Plan a comparison of one record with each provider that holds it, or at one connection alone.

    Returns the run at its own provider, or at the connection that was named; one that is under way already is returned
    as it is. Raises `Refusal` for a disabled connection, or when no provider knows the record.
    """
    found = record.references.select_related("connection").order_by("pk")
    references = [r for r in found if at is None or r.connection_id == at.pk]
    if not references:
        raise Refusal("No provider knows this record, so there is nothing to compare with.")
    connections = {r.connection_id: r.connection for r in references}
    own = connections.get(record.connection_id, references[0].connection)
    _refuse_disabled(own)
    planned = {
        pk: _check(record, [r for r in references if r.connection_id == pk], connection, actor, reason)
        for pk, connection in connections.items()
        if not connection.disabled_at
    }
    return planned[own.pk]


def _check(record: Record, references: Sequence[Reference], connection: Connection, actor: Actor, reason: str) -> Run:
    targets = [[r.resource, r.external_id] for r in references]
    under_way = Run.objects.filter(
        connection=connection, kind=RunKind.RECONCILE, state__in=OPEN, targets=targets
    ).first()
    if under_way:
        return under_way
    run = Run.objects.create(
        tenant_id=connection.tenant_id,
        environment=connection.environment,
        connection=connection,
        kind=RunKind.RECONCILE,
        targets=targets,
        due_at=timezone.now(),
        asked_by=actor.name,
        reason=reason,
    )
    summary = f"{actor.name} asked for a check at {connection.name}"
    asked = about(run, Lane.PEOPLE, "record.check_asked", summary, actor=actor, reason=reason)
    write([replace(asked, record_id=record.pk)])
    after_commit(RUNS)
    return run


@transaction.atomic
def check_connection(connection: Connection, *, actor: Actor, reason: str = "") -> list[Run]:
    """Plan a comparison of everything that a connection's streams hold; return the runs.

    Raises `Refusal` for a disabled connection, or when such a check is under way.
    """
    _refuse_disabled(connection)
    planned = []
    for stream in Stream.objects.filter(connection=connection, change_log=False).select_related("connection"):
        try:
            with transaction.atomic():
                planned.append(runs.plan(stream, asked_by=actor.name, reason=reason, kind=RunKind.RECONCILE))
        except IntegrityError:
            continue
    if not planned:
        raise Refusal(f"A check of {connection.name} is under way already.")
    summary = f"{actor.name} asked for a check of {connection.name}: {', '.join(str(r.stream) for r in planned)}"
    write_act(planned[0], "connection.check_asked", summary, actor=actor, reason=reason)
    return planned


def _refuse_disabled(connection: Connection) -> None:
    if connection.disabled_at:
        raise Refusal(f"{connection.name} is disabled. Enable it first.")
