"""What a run's end means for its stream, its failures and the journal."""

from django.db import transaction
from django.utils import timezone

from integrations.failures import grouping
from integrations.failures.categories import Fault
from integrations.journal.write import Entry, about, write
from integrations.models import Lane, Reference, Run, RunKind, Stream, WorkState
from integrations.workflow.schedules import next_after
from integrations.workflow.wake import RUNS, after_commit
from integrations.workflow.work import LostLease

#: Objects that one run asks for one by one: its list is written again with each answer.
MOST_TARGETS = 500


@transaction.atomic
def finish(run: Run) -> None:
    """Close a run that read everything; raises `LostLease` when it is no longer ours."""
    now = timezone.now()
    met = Run.objects.filter(pk=run.pk, leased_by=run.leased_by, state=WorkState.LEASED).update(
        state=WorkState.DONE, finished_at=now, leased_by=None, leased_until=None, category="", cursor=None
    )
    if not met:
        raise LostLease
    grouping.resolve(grouping.open_failures_of(runs=[run.pk]), "The run went through")
    if run.stream and run.kind == RunKind.RECONCILE:
        _look_for_the_missing(run)
    elif run.stream:
        _move_stream(run.stream, run)
        supersede(run)
    write([entry(run, "run.finished", _found(run), "done")])


def _move_stream(stream: Stream, run: Run) -> None:
    now = timezone.now()
    if run.kind == RunKind.SCAN:
        Stream.objects.filter(pk=stream.pk).update(last_scan_at=now)
        return
    # Their clock: by ours, what they change while ours is ahead would never be asked for.
    Stream.objects.filter(pk=stream.pk).update(
        last_success_at=now,
        changed_since=run.as_of,
        next_run_at=next_after(now, every=stream.every, cron=stream.cron),
        first_sync_done_at=stream.first_sync_done_at or now,
    )


def supersede(run: Run) -> None:
    """Close the stream's parked runs: this one read from where they were to begin."""
    kinds = (RunKind.SCAN,) if run.kind == RunKind.SCAN else (RunKind.SYNC, RunKind.RESYNC)
    parked = Run.objects.filter(stream=run.stream, kind__in=kinds, state=WorkState.PARKED).exclude(pk=run.pk)
    ids = list(parked.values_list("pk", flat=True))
    if ids:
        Run.objects.filter(pk__in=ids).update(state=WorkState.DONE)
        grouping.resolve(grouping.open_failures_of(runs=ids), "A later run went through")


def _look_for_the_missing(run: Run) -> None:
    """After a check of a whole stream, ask for each object that we hold and the list did not show."""
    assert run.stream
    missing = (
        Reference.objects.filter(connection_id=run.connection_id, resource=run.stream.resource)
        .filter(checked_at__lt=run.started_at, deleted_at__isnull=True, record__created_at__lt=run.started_at)
        .exclude(external_id__in=run.events.values("external_id"))
        .values_list("resource", "external_id")
    )
    targets = [list(target) for target in missing.order_by("pk")]
    Run.objects.bulk_create(
        Run(
            tenant_id=run.tenant_id,
            environment=run.environment,
            connection_id=run.connection_id,
            kind=RunKind.RECONCILE,
            targets=targets[start : start + MOST_TARGETS],
            due_at=timezone.now(),
            asked_by=run.asked_by,
            reason=f"R-{run.pk} did not list these",
        )
        for start in range(0, len(targets), MOST_TARGETS)
    )
    if targets:
        after_commit(RUNS)


def note_failure(run: Run, fault: Fault, *, parked: bool, tries: int) -> None:
    """Say in the journal that a run failed: the first time, and when it parks."""
    if parked or tries == 1:
        then = "parked, a person is needed" if parked else "it waits and goes on at its last page"
        write(
            [
                entry(
                    run,
                    "run.parked" if parked else "run.waits",
                    f"{_name(run)}: {fault.message.rstrip('.')}; {then}",
                    fault.category,
                )
            ]
        )


def _found(run: Run) -> str:
    if run.kind == RunKind.SCAN:
        there = run.missing - run.gone
        return (
            f"{_name(run)} listed {run.items:,} objects in {run.pages:,} pages; {run.missing:,} of the {run.held:,} "
            f"that we hold were not among them: {run.gone:,} gone, {there:,} still there"
        )
    if run.kind == RunKind.EXPORT:
        return f"{_name(run)} to {run.connection.name} went through {run.items:,} records"
    return f"{_name(run)} read {run.items:,} objects in {run.pages:,} pages; {run.changed:,} were new evidence"


def _name(run: Run) -> str:
    what = f" of {run.stream.title}" if run.stream else ""
    return f"{run.get_kind_display().capitalize()}{what}"


def entry(run: Run, action: str, summary: str, outcome: str) -> Entry:
    """Return a line of the journal about a run."""
    lane = Lane.RECONCILIATION if run.kind in (RunKind.RECONCILE, RunKind.SCAN) else Lane.EVENTS
    data = {name: getattr(run, name) for name in ("items", "pages", "changed", "asked_by")}
    return about(run, lane, action, summary, outcome=outcome, data=data)
