"""Runs over streams and single objects: planned, scheduled, cancelled."""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from integrations.configuration.reach import lacking
from integrations.failures.categories import Category
from integrations.journal.actor import ENGINE, Actor
from integrations.journal.write import write_act
from integrations.models import Connection, Run, RunKind, Stream, WorkState
from integrations.workflow.errors import Refusal
from integrations.workflow.schedules import next_after
from integrations.workflow.wake import RUNS, after_commit


def ask(stream: Stream, *, actor: Actor, reason: str = "") -> Run:
    """Plan a run over a stream now: its first sync where that was never finished, else what changed since.

    Raises `Refusal` when one is under way, or the connection is disabled.
    """
    if stream.connection.disabled_at:
        raise Refusal(f"{stream.connection.name} is disabled. Enable it first.")
    return _ask(stream, actor=actor, reason=reason)


def ask_scan(stream: Stream, *, actor: Actor, reason: str = "") -> Run:
    """Plan an absence scan of a stream now.

    Raises `Refusal` when one is under way, the connection is disabled, or there is nothing to look for.
    """
    if stream.connection.disabled_at:
        raise Refusal(f"{stream.connection.name} is disabled. Enable it first.")
    if stream.change_log:
        raise Refusal(f"{stream.title} holds events, and no objects that could be gone.")
    if not stream.first_sync_done_at:
        raise Refusal(f"The first sync of {stream.title} has not finished: nothing is held that could be gone.")
    return _ask(stream, actor=actor, reason=reason, kind=RunKind.SCAN)


def _ask(stream: Stream, *, actor: Actor, reason: str, kind: str = "") -> Run:
    try:
        with transaction.atomic():
            run = plan(stream, asked_by=actor.name, reason=reason, kind=kind)
            words = f"{actor.name} asked for a {run.get_kind_display()} of {stream.title}"
            write_act(run, "stream.run_asked", words, actor=actor, reason=reason)
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
        since=_since(stream) if chosen == RunKind.RESYNC else None,
        due_at=timezone.now(),
        asked_by=asked_by,
        reason=reason,
    )
    after_commit(RUNS)
    return run


def _since(stream: Stream) -> datetime | None:
    """Return from when on a resync asks, by the provider's clock: a little before the last one began."""
    return stream.changed_since and stream.changed_since - timedelta(seconds=stream.overlap)


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
    able = (
        Stream.objects.filter(
            paused_at__isnull=True,
            connection__paused_at__isnull=True,
            connection__disabled_at__isnull=True,
        )
        .exclude(Exists(refused))
        .select_related("connection")
    )
    due = able.filter(Q(next_run_at__isnull=True) | Q(next_run_at__lte=now))
    planned = sum(_plan_scheduled(stream, now) for stream in due if not lacking(stream.connection))
    return planned + sum(_plan_scan(stream, now) for stream in _to_scan(able, now) if not lacking(stream.connection))


def _to_scan(able: QuerySet[Stream], now: datetime) -> QuerySet[Stream]:
    """Return the streams whose absence scan is due; none while one waits for a person, who decides first."""
    waits = Run.objects.filter(
        stream=OuterRef("pk"), kind=RunKind.SCAN, state=WorkState.PARKED, category=Category.BUSINESS
    )
    return (
        able.filter(Q(scan_every__gt=0) | ~Q(scan_cron=""), first_sync_done_at__isnull=False)
        .filter(Q(next_scan_at__isnull=True) | Q(next_scan_at__lte=now))
        .exclude(Exists(waits))
    )


def _plan_scheduled(stream: Stream, now: datetime) -> int:
    moved = Stream.objects.filter(pk=stream.pk, next_run_at=stream.next_run_at).update(
        next_run_at=next_after(now, every=stream.every, cron=stream.cron)
    )
    return _plan_by_schedule(stream) if moved else 0


def _plan_scan(stream: Stream, now: datetime) -> int:
    """Plan a scan that is due; where none was ever, a first whole list has just been read, so it is due later."""
    moved = Stream.objects.filter(pk=stream.pk, next_scan_at=stream.next_scan_at).update(
        next_scan_at=next_after(now, every=stream.scan_every, cron=stream.scan_cron)
    )
    return _plan_by_schedule(stream, RunKind.SCAN) if moved and stream.next_scan_at else 0


def _plan_by_schedule(stream: Stream, kind: str = "") -> int:
    try:
        with transaction.atomic():
            plan(stream, asked_by=ENGINE.name, reason="By schedule", kind=kind)
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
    words = f"{actor.name} cancelled the {held.get_kind_display()} R-{held.pk}; what it brought stays"
    write_act(held, "run.cancelled", words, actor=actor, reason=reason)


def open_runs(connection: Connection) -> "list[Run]":
    """Return the runs of a connection that are not over."""
    return list(
        Run.objects.filter(connection=connection)
        .exclude(state__in=[WorkState.DONE, WorkState.DISMISSED, WorkState.PARKED])
        .select_related("stream")
    )
