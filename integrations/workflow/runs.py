"""Runs over streams and single objects: planned, scheduled, cancelled."""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from integrations.configuration.reach import lacking
from integrations.failures.categories import Category
from integrations.journal.actor import ENGINE, Actor
from integrations.journal.write import Entry, write
from integrations.models import Connection, Lane, Run, RunKind, Stream, WorkState
from integrations.workflow.errors import Refusal
from integrations.workflow.wake import RUNS, after_commit


def ask(stream: Stream, *, actor: Actor, reason: str = "") -> Run:
    """Plan a run over a stream now: its first sync where that was never finished, else what changed since.

    Raises `Refusal` when one is under way, or the connection is disabled.
    """
    if stream.connection.disabled_at:
        raise Refusal(f"{stream.connection.name} is disabled. Enable it first.")
    try:
        with transaction.atomic():
            run = plan(stream, asked_by=actor.name, reason=reason)
            write(
                [
                    Entry(
                        tenant_id=run.tenant_id,
                        environment=run.environment,
                        connection_id=run.connection_id,
                        lane=Lane.PEOPLE,
                        action="stream.run_asked",
                        summary=f"{actor.name} asked for a {run.get_kind_display()} of {stream.title}",
                        subject_type="run",
                        subject_id=run.pk,
                        actor=actor,
                        reason=reason,
                    )
                ]
            )
    except IntegrityError as error:
        raise Refusal(f"A run over {stream.title} is under way already.") from error
    return run


def plan(stream: Stream, *, asked_by: str, reason: str = "", kind: str = "") -> Run:
    """Insert a run over a stream, due now; raises IntegrityError when one of its kind is open."""
    connection = stream.connection
    chosen = kind or (RunKind.RESYNC if stream.first_sync_done_at else RunKind.SYNC)
    run = Run.objects.create(
        tenant_id=connection.tenant_id,
        environment=connection.environment,
        connection=connection,
        stream=stream,
        kind=chosen,
        since=stream.changed_since if chosen == RunKind.RESYNC else None,
        due_at=timezone.now(),
        asked_by=asked_by,
        reason=reason,
    )
    after_commit(RUNS)
    return run


def schedule() -> int:
    """Plan the runs that are due by their streams' schedules; return how many. Beat calls it every few seconds.

    Where the provider refuses the credential, one parked run says so; more would say it no better.
    """
    now = timezone.now()
    # Of one run: conditions across a relation in `exclude` would match two different ones.
    refused = Run.objects.filter(
        stream=OuterRef("pk"),
        state=WorkState.PARKED,
        category__in=(Category.AUTHENTICATION, Category.AUTHORIZATION),
    )
    due = (
        Stream.objects.filter(Q(next_run_at__isnull=True) | Q(next_run_at__lte=now))
        .filter(
            paused_at__isnull=True,
            connection__paused_at__isnull=True,
            connection__disabled_at__isnull=True,
        )
        .exclude(Exists(refused))
        .select_related("connection")
    )
    return sum(_plan_scheduled(stream) for stream in due if not lacking(stream.connection))


def _plan_scheduled(stream: Stream) -> int:
    moved = Stream.objects.filter(pk=stream.pk, next_run_at=stream.next_run_at).update(
        next_run_at=timezone.now() + timedelta(seconds=stream.every)
    )
    if not moved:
        return 0
    try:
        with transaction.atomic():
            plan(stream, asked_by=ENGINE.name, reason="By schedule")
    except IntegrityError:
        return 0  # One is under way; the next turn comes.
    return 1


@transaction.atomic
def cancel(run: Run, *, actor: Actor, reason: str = "") -> None:
    """Stop a run after the page that it is at; what it brought stays. Raises `Refusal` when it is over."""
    held = Run.objects.select_for_update(no_key=True).get(pk=run.pk)
    if held.state in (WorkState.DONE, WorkState.DISMISSED):
        raise Refusal("This run is over already.")
    held.cancelled_at = timezone.now()
    if held.state != WorkState.LEASED:
        held.state, held.finished_at = WorkState.DISMISSED, held.cancelled_at
    held.save(update_fields=["cancelled_at", "state", "finished_at"])
    write(
        [
            Entry(
                tenant_id=held.tenant_id,
                environment=held.environment,
                connection_id=held.connection_id,
                lane=Lane.PEOPLE,
                action="run.cancelled",
                summary=f"{actor.name} cancelled the {held.get_kind_display()} R-{held.pk}; what it brought stays",
                subject_type="run",
                subject_id=held.pk,
                actor=actor,
                reason=reason,
            )
        ]
    )


def open_runs(connection: Connection) -> "list[Run]":
    """Return the runs of a connection that are not over."""
    return list(
        Run.objects.filter(connection=connection)
        .exclude(state__in=[WorkState.DONE, WorkState.DISMISSED, WorkState.PARKED])
        .select_related("stream")
    )
