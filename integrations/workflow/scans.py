"""Absence scans: a full list, then a look at each object that it did not show; what is gone becomes belief.

A list that is short proves nothing: it may be cut, or its pages may have moved while they were read. So each object
that it did not show is asked for by its id, and only that answer counts. Where too many are missing at once, the
list is no longer believed at all before a person has looked.
"""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from integrations.failures import grouping
from integrations.failures.categories import Category, Fault
from integrations.health import rates
from integrations.journal.actor import Actor
from integrations.journal.write import write, write_act
from integrations.models import Event, Reference, Run, RunKind, Stream, WorkState
from integrations.workflow import endings
from integrations.workflow.errors import Refusal, require_reason
from integrations.workflow.wake import RUNS, after_commit
from integrations.workflow.work import LostLease

#: Objects that are asked for before the list of those still missing is read again.
AT_ONCE = 100
MASS = "mass_absence"
TOO_MANY = Fault(
    Category.BUSINESS,
    MASS,
    "So many objects are missing from its list at once that none is believed to be gone",
    owner="operations",
    next_step=(
        "Find out at the provider whether they are gone: another account, a narrower key and a list that is cut look "
        "the same. Then let the scan ask for each of them, or dismiss it and keep them all."
    ),
)


def note_listed(run: Run, external_ids: Iterable[str]) -> None:
    """Remember which of our objects a scan met; call before other rows of theirs are written.

    Locked in the order in which events are settled, so that neither waits for the other in a ring.
    """
    assert run.stream
    met = Reference.objects.filter(
        connection_id=run.connection_id, resource=run.stream.resource, external_id__in=list(external_ids)
    )
    ids = list(met.order_by("record_id").select_for_update(no_key=True).values_list("pk", flat=True))
    Reference.objects.filter(pk__in=ids).update(scanned_in=run.pk)


def held(run: Run) -> QuerySet[Reference]:
    """Return what we held when the scan began and hold still: what came later, the list may have been past."""
    assert run.stream
    return Reference.objects.filter(
        connection_id=run.connection_id,
        resource=run.stream.resource,
        deleted_at__isnull=True,
        record__created_at__lt=run.started_at,
    )


def missing(run: Run) -> QuerySet[Reference]:
    """Return what we hold and neither this scan nor a later one has met.

    Without what was found gone before and showed no life since: it waits for a person, was dismissed by one, or is
    our copy of what another connection holds, whose absence is a difference and no deletion.
    """
    told = Event.objects.filter(
        tenant_id=run.tenant_id,
        environment=run.environment,
        connection_id=run.connection_id,
        resource=OuterRef("resource"),
        external_id=OuterRef("external_id"),
        deleted=True,
        state__in=(WorkState.PARKED, WorkState.DISMISSED),
        occurred_at__gte=OuterRef("seen_at"),
    )
    copy_gone = ~Q(record__connection_id=run.connection_id) & Q(seen_exact=True, seen_hash=b"")
    return held(run).filter(~Exists(told), ~copy_gone, Q(scanned_in__isnull=True) | Q(scanned_in__lt=run.pk))


def most_missing(stream: Stream, count: int) -> int:
    """Return how many of `count` objects may be missing at once before a person is asked."""
    return max(stream.absent_least - 1, count * stream.absent_share // 100)


def after_list(run: Run) -> None:
    """The list was read to its end: ask for what it did not show, or for a person where that is too much."""
    assert run.stream
    run.listed_at = timezone.now()
    run.held, run.missing = held(run).count(), missing(run).count()
    Run.objects.filter(pk=run.pk).update(listed_at=run.listed_at, held=run.held, missing=run.missing)
    if run.missing > most_missing(run.stream, run.held):
        _park(run)
    else:
        ask_next(run)


def ask_next(run: Run) -> None:
    """Choose the next objects to ask for by their ids; where none is left the scan is over."""
    rows = missing(run).order_by("pk").values_list("resource", "external_id")[:AT_ONCE]
    run.targets = [list(row) for row in rows]
    if not run.targets:
        endings.finish(run)
        return
    Run.objects.filter(pk=run.pk).update(targets=run.targets)


def _park(run: Run) -> None:
    """Let nothing go: the scan waits for a person with what it found, and an earlier one that waited gives way."""
    met = Run.objects.filter(pk=run.pk, leased_by=run.leased_by, state=WorkState.LEASED).update(
        state=WorkState.PARKED, category=TOO_MANY.category, finished_at=timezone.now(), leased_by=None,
        leased_until=None, cursor=None,
    )  # fmt: skip
    if not met:
        raise LostLease
    assert run.stream
    endings.supersede(run)
    grouping.note([grouping.Failed(TOO_MANY, run.connection, run=run, resource=run.stream.resource)])
    summary = (
        f"Absence scan of {run.stream.title}: {run.missing:,} of the {run.held:,} objects that we hold are not in the "
        f"list, more than the {most_missing(run.stream, run.held):,} that may go at once; parked, a person is needed, "
        f"nothing was deleted"
    )
    write([endings.entry(run, "run.parked", summary, TOO_MANY.category)])
    rates.count({run.connection_id: rates.Count(failed=1)}, timezone.now())


def waits_for_person(run: Run) -> bool:
    """Say whether a scan is parked because too much was missing."""
    parked = run.kind == RunKind.SCAN and run.state == WorkState.PARKED and run.category == TOO_MANY.category
    return parked and run.listed_at is not None and not run.released_by


@transaction.atomic
def release(run: Run, *, actor: Actor, reason: str) -> None:
    """Let a parked scan ask for each of the missing objects; those that answer as gone are deleted here.

    Raises `Refusal` where it does not wait for that, or without a reason.
    """
    found = (
        Run.objects.select_for_update(of=("self",), no_key=True).select_related("connection", "stream").get(pk=run.pk)
    )
    if not waits_for_person(found):
        raise Refusal("This scan does not wait for a decision any more.")
    require_reason(reason)
    found.targets = [
        list(row) for row in missing(found).order_by("pk").values_list("resource", "external_id")[:AT_ONCE]
    ]
    found.released_by, found.state, found.due_at = actor.name, WorkState.READY, timezone.now()
    found.category, found.finished_at = "", None
    found.save(update_fields=["targets", "released_by", "state", "due_at", "category", "finished_at"])
    grouping.resolve(grouping.open_failures_of(runs=[found.pk]), f"{actor.name} let it go on")
    write_act(
        found,
        "run.released",
        f"{actor.name} let the scan R-{found.pk} ask for each of {found.missing:,} missing objects",
        data={"missing": found.missing, "held": found.held},
        actor=actor,
        reason=reason,
    )
    after_commit(RUNS)


def asks(run: Run) -> bool:
    """Say whether a scan has read its list and asks for single objects by now."""
    return run.kind == RunKind.SCAN and run.listed_at is not None


def go_on_without(run: Run, fault: Fault) -> None:
    """Let the scan go on past one object that cannot be fetched; a run of its own is parked with that one."""
    now = timezone.now()
    alone = Run.objects.create(
        tenant_id=run.tenant_id,
        environment=run.environment,
        connection=run.connection,
        kind=RunKind.RESYNC,
        targets=run.targets[:1],
        state=WorkState.PARKED,
        category=fault.category,
        due_at=now,
        finished_at=now,
        asked_by=run.asked_by,
        reason=f"R-{run.pk} could not fetch it",
    )
    note_listed(run, [run.targets[0][1]])
    grouping.note([grouping.Failed(fault, run.connection, run=alone, resource=run.targets[0][0])])
    endings.note_failure(alone, fault, parked=True, tries=1)
    run.targets = run.targets[1:]
    if not run.targets:
        ask_next(run)
    give_back = {"state": WorkState.READY, "due_at": now, "tries": 0, "leased_by": None, "leased_until": None}
    Run.objects.filter(pk=run.pk, state=WorkState.LEASED).update(targets=run.targets, **give_back)
