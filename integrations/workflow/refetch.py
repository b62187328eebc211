"""Asking the provider for single objects: where order cannot be told, or a record is missing."""

from collections.abc import Iterable
from datetime import datetime

from integrations.models import Connection, Run, RunKind, WorkState
from integrations.workflow.wake import RUNS, after_commit

OPEN = (WorkState.READY, WorkState.LEASED, WorkState.WAITING, WorkState.HELD)


def ask(wanted: Iterable[tuple[Connection, str, str]], now: datetime) -> list[Run]:
    """Plan runs that fetch objects, (connection, resource, external id), one per connection.

    What an open run will fetch anyway is not asked for twice.
    """
    by_connection: dict[int, tuple[Connection, set[tuple[str, str]]]] = {}
    for connection, resource, external_id in wanted:
        by_connection.setdefault(connection.pk, (connection, set()))[1].add((resource, external_id))
    runs = []
    for connection, targets in by_connection.values():
        under_way = {
            tuple(target)
            for run in Run.objects.filter(connection=connection, kind=RunKind.RESYNC, state__in=OPEN).exclude(
                targets=[]
            )
            for target in run.targets
        }
        left = sorted(targets - under_way)
        if left:
            runs.append(
                Run(
                    tenant_id=connection.tenant_id,
                    environment=connection.environment,
                    connection=connection,
                    kind=RunKind.RESYNC,
                    targets=[list(target) for target in left],
                    due_at=now,
                    asked_by="the engine",
                    reason="Needed to decide on evidence that arrived",
                )
            )
    if runs:
        Run.objects.bulk_create(runs)
        after_commit(RUNS)
    return runs
