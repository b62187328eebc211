"""Asking the provider for single objects: where order cannot be told, or a record is missing."""

from collections.abc import Iterable
from datetime import datetime

from integrations.models import Connection, Run, RunKind, WorkState
from integrations.workflow.endings import MOST_TARGETS
from integrations.workflow.looks import Target
from integrations.workflow.wake import RUNS, after_commit

TO_COME = (WorkState.READY, WorkState.WAITING, WorkState.HELD)
OPEN = (*TO_COME, WorkState.LEASED)


def ask(wanted: Iterable[tuple[Connection, str, str]], now: datetime) -> list[Run]:
    """Have objects fetched, (connection, resource, external id); return the new runs, one per connection at most.

    What an open run will fetch anyway is not asked for twice. What is left joins a run that has its turn yet to come,
    where there is one: several objects may come by one request. Call inside a transaction.
    """
    by_connection: dict[int, tuple[Connection, set[tuple[str, str]]]] = {}
    for connection, resource, external_id in wanted:
        by_connection.setdefault(connection.pk, (connection, set()))[1].add((resource, external_id))
    runs = []
    for connection, targets in by_connection.values():
        left = [list(target) for target in sorted(targets - _under_way(connection))]
        if left and not _join(connection, left):
            runs.append(_run(connection, left, now))
    if runs:
        Run.objects.bulk_create(runs)
        after_commit(RUNS)
    return runs


def _under_way(connection: Connection) -> set[tuple[str, str]]:
    rows = Run.objects.filter(connection=connection, kind=RunKind.RESYNC, state__in=OPEN).exclude(targets=[])
    return {(target[0], target[1]) for targets in rows.values_list("targets", flat=True) for target in targets}


def _join(connection: Connection, left: list[Target]) -> bool:
    """Add objects to a run of single objects that has its turn yet to come; say whether there was one.

    One that waits because it failed is left alone: it may wait for long. So is one that a worker has or is about to
    take: it would not see what is added.
    """
    rows = Run.objects.filter(connection=connection, kind=RunKind.RESYNC, stream=None, tries=0, state__in=TO_COME)
    run = rows.exclude(targets=[]).order_by("pk").select_for_update(skip_locked=True, no_key=True).last()
    if run is None or len(run.targets) + len(left) > MOST_TARGETS:
        return False
    run.targets = run.targets + left
    run.save(update_fields=["targets"])
    return True


def _run(connection: Connection, targets: list[Target], now: datetime) -> Run:
    return Run(
        tenant_id=connection.tenant_id,
        environment=connection.environment,
        connection=connection,
        kind=RunKind.RESYNC,
        targets=targets,
        due_at=now,
        asked_by="the engine",
        reason="Needed to decide on evidence that arrived",
    )
