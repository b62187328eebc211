"""Performing runs: page by page, each page's evidence and the cursor in one transaction, none open during HTTP."""

import logging
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from json import dumps
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.boundary.client import Exchanges
from integrations.boundary.payloads import Kept, keep
from integrations.configuration.reach import access_of, note_use
from integrations.failures import grouping
from integrations.failures.categories import Category, Fault, NotYet
from integrations.failures.outline import outline
from integrations.health import breaker, rates
from integrations.models import Attempt, Connection, Run, RunKind, Source, WorkState
from integrations.models.run import BULK, OFF_PEAK
from integrations.providers import get_adapter
from integrations.providers.base import CursorGone, Item, Response
from integrations.workflow import endings, looks, routes, scans, windows
from integrations.workflow.sights import Asked, store
from integrations.workflow.wake import EVENTS, RUNS, after_commit
from integrations.workflow.work import LostLease, Verdict, after_failure, claim_run

log = logging.getLogger(__name__)

#: Seconds that a run has before other runs and the events have their turn.
TURN = 15.0
#: A page that cannot be read may have been cut on its way: it is fetched again so often before it parks.
READ_AGAIN = 3
#: What fails for one object so fails for every other one.
OF_ALL = (Category.AUTHENTICATION, Category.AUTHORIZATION, Category.RATE_LIMIT, Category.OUTAGE)
#: Digests of cursors kept, so that a provider that goes in circles is noticed.
CURSORS_KEPT = 10_000


class HandedOver(Exception):
    """The run goes on later, at its next page: it is paused, or others have their turn."""


def perform_next() -> bool:
    """Claim and perform one due run, for one turn at most; say whether there was one."""
    owner = uuid.uuid4()
    run = claim_run(owner)
    if run is None:
        return False
    exchanges = Exchanges(run.connection, run)
    try:
        _perform(run, exchanges)
    except HandedOver:
        pass
    except LostLease:
        log.warning("The lease over run %d ended early; another worker has it", run.pk)
    except NotYet as wait:
        _wait(run, wait)
    except Fault as fault:
        _fail(run, fault, exchanges)
    except Exception as error:
        log.error("Run %d failed: %s", run.pk, outline(error))
        kind = type(error).__name__
        _fail(run, Fault(Category.UNKNOWN, f"engine:{kind}", f"The run failed: {kind}"), exchanges)
    return True


def _perform(run: Run, exchanges: Exchanges) -> None:
    if run.kind == RunKind.EXPORT:
        _export(run)
        return
    connection, adapter = run.connection, get_adapter(run.connection.provider)
    access = access_of(connection)
    note_use(connection)
    end = monotonic() + TURN
    while not _cancelled(run):
        if run.targets:
            asked = looks.next_of(run, adapter)
            response, told = looks.look(adapter, access, exchanges, asked)
            _take_answer(run, exchanges.last, response, asked, told)
            last = True
        else:
            assert run.stream
            response, page = adapter.list_page(access, exchanges, run.stream.resource, run.cursor, run.since)
            _take_page(run, exchanges.last, response, page.items, page.next_cursor, page.as_of)
            last = page.next_cursor is None
        if last and not run.targets:
            return
        if monotonic() >= end:
            _hand_over(run)


def _export(run: Run) -> None:
    """Let everything become due that a first export is about; nobody is asked for anything here."""
    end = monotonic() + TURN
    while not _cancelled(run):
        if _take_exports(run):
            return
        if monotonic() >= end:
            _hand_over(run)


@transaction.atomic
def _take_exports(run: Run) -> bool:
    """Take the next records and move the cursor, in one transaction; say whether these were the last."""
    taken, run.cursor = routes.take_page(run)
    _progress(run, taken, 0)
    if run.cursor is None:
        endings.finish(run)
    return run.cursor is None


def _cancelled(run: Run) -> bool:
    """Notice a cancellation or a pause between two pages; either ends the work here, with its cursor kept."""
    fresh = Run.objects.select_related("connection", "stream").get(pk=run.pk)
    if fresh.cancelled_at:
        run.cancelled_at = fresh.cancelled_at
        Run.objects.filter(pk=run.pk, leased_by=run.leased_by).update(
            state=WorkState.DISMISSED, finished_at=timezone.now(), leased_by=None, leased_until=None
        )
        return True
    if fresh.connection.paused_at or (fresh.stream and fresh.stream.paused_at):
        _hand_over(run)
    _keep_to_windows(run, fresh.connection)
    return False


def _keep_to_windows(run: Run, connection: Connection) -> None:
    """Let a bulk run wait for the next off-peak window of its connection, where it has any and none is open."""
    opens_at = windows.opens_at(windows.read_all(connection.windows), timezone.now()) if run.kind in BULK else None
    if opens_at:
        began = run.started_at if run.pages else None
        _hand_over(run, state=WorkState.WAITING, due_at=opens_at, waits_for=OFF_PEAK, started_at=began, category="")


def _hand_over(run: Run, **instead: Any) -> None:
    """Give a run back with its cursor, behind the others that are due."""
    given: dict[str, Any] = {"state": WorkState.READY, "due_at": timezone.now(), "waits_for": ""}
    Run.objects.filter(pk=run.pk, leased_by=run.leased_by).update(
        leased_by=None, leased_until=None, **(given | instead)
    )
    raise HandedOver


def _wait(run: Run, wait: NotYet) -> None:
    """Give a run back until our own limits let its next request go: it was not tried."""
    due_at = timezone.now() + timedelta(seconds=wait.retry_after or 0)
    Run.objects.filter(pk=run.pk, leased_by=run.leased_by).update(
        state=WorkState.WAITING, due_at=due_at, waits_for="", leased_by=None, leased_until=None
    )


@transaction.atomic
def _take_page(
    run: Run,
    attempt: Attempt | None,
    response: Response,
    items: Sequence[Item],
    next_cursor: dict[str, Any] | None,
    as_of: datetime,
) -> None:
    """Keep a page's evidence and move the cursor, in one transaction; the last page ends the run in it."""
    assert run.stream
    _note_cursor(run, next_cursor)
    if run.kind == RunKind.SCAN:
        scans.note_listed(run, [item.external_id for item in items])
    source = Source.CHANGE_LOG if run.stream.change_log else Source.PAGE
    kept = _keep(run, attempt, response, source)
    fresh = store(run, run.connection, items, kept, Asked.by(attempt, response), source)
    run.cursor, run.as_of = next_cursor, run.as_of or as_of
    _progress(run, len(items), fresh)
    if next_cursor is None:
        scans.after_list(run) if run.kind == RunKind.SCAN else endings.finish(run)


@transaction.atomic
def _take_answer(
    run: Run, attempt: Attempt | None, response: Response, asked: Sequence[looks.Target], told: Mapping[str, Item]
) -> None:
    """Keep the answer about single objects and strike them off the list, in one transaction; the last one ends the run.

    Its bytes are kept once, however many objects it tells of.
    """
    items = list(told.values())
    if scans.asks(run):
        scans.note_listed(run, told)
        run.gone += sum(item.deleted for item in items)
    kept = _keep(run, attempt, response, Source.CHECK)
    fresh = store(run, run.connection, items, kept, Asked.by(attempt, response), Source.CHECK)
    run.targets = looks.left(run, asked, told)
    run.as_of = run.as_of or min((item.occurred_at for item in items), default=None)
    _progress(run, len(items), fresh)
    if not run.targets:
        scans.ask_next(run) if scans.asks(run) else endings.finish(run)


def _progress(run: Run, items: int, fresh: int) -> None:
    run.pages += 1
    run.items += items
    run.changed += fresh
    run.tries = 0
    run.leased_until = timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
    fields = (
        "cursor",
        "as_of",
        "pages",
        "items",
        "changed",
        "tries",
        "leased_until",
        "targets",
        "seen_cursors",
        "gone",
    )
    met = Run.objects.filter(pk=run.pk, leased_by=run.leased_by, state=WorkState.LEASED).update(
        **{name: getattr(run, name) for name in fields}
    )
    if not met:
        raise LostLease
    if fresh:
        after_commit(EVENTS)


def _note_cursor(run: Run, cursor: dict[str, Any] | None) -> None:
    """Stop a run whose provider leads it in circles; raises `Fault`."""
    if cursor is None:
        return
    mark = sha256(dumps(cursor, sort_keys=True).encode()).hexdigest()[:16]
    if mark in run.seen_cursors:
        raise Fault(Category.CONTRACT, "repeated_cursor", "The provider named a page that this run has read already")
    run.seen_cursors = [*run.seen_cursors, mark][-CURSORS_KEPT:]


def _keep(run: Run, attempt: Attempt | None, response: Response, source: str) -> Kept:
    kept = keep(
        connection_id=run.connection_id,
        source=source,
        body=response.body,
        headers=response.headers,
        at=response.received_at,
    )
    if attempt:
        Attempt.objects.filter(pk=attempt.pk).update(payload_id=kept.id, payload_at=kept.at)
    return kept


@transaction.atomic
def _fail(run: Run, fault: Fault, exchanges: Exchanges) -> None:
    """Put a failed run back to wait, or park it; what it brought and its cursor stay."""
    now = timezone.now()
    tries = run.tries + 1
    verdict = _verdict(fault, tries, now)
    if verdict.state == WorkState.PARKED and scans.asks(run) and fault.category not in OF_ALL:
        _keep_unread(run, exchanges)
        scans.go_on_without(run, fault)
        return
    if verdict.state == WorkState.PARKED and fault.category not in OF_ALL and _take_apart(run, exchanges):
        return
    met = Run.objects.filter(pk=run.pk, leased_by=run.leased_by).update(
        state=verdict.state,
        due_at=verdict.due_at,
        tries=tries,
        category=fault.category,
        waits_for="",
        leased_by=None,
        leased_until=None,
        finished_at=now if verdict.state == WorkState.PARKED else None,
    )
    if not met:
        return
    if isinstance(fault, CursorGone):
        Run.objects.filter(pk=run.pk).update(cursor=None, seen_cursors=[])
    _keep_unread(run, exchanges)
    if verdict.state == WorkState.PARKED:
        _set_aside(run, fault)
    if fault.category == Category.AUTHENTICATION:
        breaker.note_fault(run.connection, fault)
    if fault.category == Category.RATE_LIMIT:
        Connection.objects.filter(pk=run.connection_id).update(wait_until=verdict.due_at)
    resource = run.stream.resource if run.stream else (run.targets[0][0] if run.targets else "")
    grouping.note([grouping.Failed(fault, run.connection, run=run, resource=resource)])
    endings.note_failure(run, fault, parked=verdict.state == WorkState.PARKED, tries=tries)
    rates.count({run.connection_id: rates.Count(failed=1)}, now)


def _keep_unread(run: Run, exchanges: Exchanges) -> None:
    """Keep an answer that could not be used: it is the evidence of the failure."""
    attempt, answer = exchanges.last, exchanges.answer
    if attempt and answer and Attempt.objects.filter(pk=attempt.pk, payload_id=None).exists():
        _keep(run, attempt, answer, Source.CHECK if run.targets else Source.PAGE)


def _take_apart(run: Run, exchanges: Exchanges) -> bool:
    """Let a run ask one by one for the objects that it could not fetch together; say whether there were several."""
    targets = looks.apart(run, get_adapter(run.connection.provider)) if run.targets else []
    if targets:
        _keep_unread(run, exchanges)
        given = {"targets": targets, "tries": 0, "due_at": timezone.now(), "leased_by": None, "leased_until": None}
        Run.objects.filter(pk=run.pk, leased_by=run.leased_by).update(state=WorkState.READY, **given)
        after_commit(RUNS)
    return bool(targets)


def _set_aside(run: Run, fault: Fault) -> None:
    """Let a run park with the one object that failed; a run of their own fetches the others."""
    if len(run.targets) < 2 or fault.category in OF_ALL:
        return
    Run.objects.filter(pk=run.pk).update(targets=run.targets[:1])
    Run.objects.create(
        tenant_id=run.tenant_id,
        environment=run.environment,
        connection_id=run.connection_id,
        kind=run.kind,
        targets=run.targets[1:],
        due_at=timezone.now(),
        asked_by=run.asked_by,
        reason=run.reason,
    )
    after_commit(RUNS)


def _verdict(fault: Fault, tries: int, now: datetime) -> Verdict:
    verdict = after_failure(fault, tries, now)
    if verdict.state == WorkState.PARKED and fault.category == Category.CONTRACT and tries < READ_AGAIN:
        return Verdict(WorkState.WAITING, now + timedelta(seconds=5 * tries * settings.RETRY_SCALE))
    return verdict
