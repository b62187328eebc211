"""Planning exports: due copies are claimed, and what they need is submitted as commands, in one transaction."""

import logging
from datetime import timedelta
from time import monotonic

from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from integrations.failures import grouping
from integrations.failures.categories import Category, Fault
from integrations.failures.outline import outline
from integrations.journal.actor import ENGINE
from integrations.journal.write import about, append
from integrations.models import (
    Connection,
    Copy,
    CopyState,
    Lane,
    Outcome,
    Record,
    WorkState,
)
from integrations.providers.exporting import Ask, Await, Impossible, Part, Plan
from integrations.workflow import commands, copies, ours, refetch, stuck
from integrations.workflow.errors import Refusal
from integrations.workflow.export_batch import Batch, load, part_of
from integrations.workflow.exporting import DIFFERS, Standing, Step, next_step, operation_id
from integrations.workflow.rows import update_rows
from integrations.workflow.saying import asks
from integrations.workflow.wake import EXPORTS, after_commit

log = logging.getLogger(__name__)

BATCH = 500
#: What was looked at so long ago is looked at again before it is written over.
FRESH = timedelta(minutes=5)
_FIELDS = ("state", "due_at", "reason", "waits_on", "asked_at", "command", "flying", "round")

# The connections for which something is to be planned, none preferred.
TARGETS = """
SELECT t.id FROM integrations_connection t
WHERE t.disabled_at IS NULL AND EXISTS (
    SELECT 1 FROM integrations_copy c JOIN integrations_route o ON o.id = c.route_id AND o.paused_at IS NULL
    WHERE c.connection_id = t.id AND c.state = 'due' AND c.due_at <= now())
ORDER BY random()
"""
CLAIM = """
SELECT c.id FROM integrations_copy c JOIN integrations_route o ON o.id = c.route_id AND o.paused_at IS NULL
WHERE c.connection_id = %s AND c.state = 'due' AND c.due_at <= now()
ORDER BY c.due_at, c.id LIMIT %s FOR UPDATE OF c SKIP LOCKED
"""
# Whoever holds one locked may wait for what is locked here, so nobody waits for them.
WAKE = """
UPDATE integrations_copy SET state = 'due', due_at = now() WHERE id IN (
    SELECT id FROM integrations_copy WHERE connection_id = %s AND waits_on_id = ANY(%s)
      AND state IN ('waiting', 'not needed') ORDER BY id FOR UPDATE SKIP LOCKED)
"""
# For whom those wait that were locked is planned once more, and then wakes them.
WAKE_LATER = """
UPDATE integrations_copy SET state = 'due', due_at = now() + interval '1 second'
WHERE connection_id = %s AND record_id IN (
    SELECT waits_on_id FROM integrations_copy WHERE connection_id = %s AND waits_on_id = ANY(%s)
      AND state IN ('waiting', 'not needed'))
"""
# What was refused names another object than the one that stands there by now: it was made anew.
WAKE_REFUSED = """
UPDATE integrations_copy SET state = 'due', due_at = now() WHERE id IN (
    SELECT c.id FROM integrations_copy c
    JOIN integrations_command m ON m.id = c.command_id AND m.outcome = 'failed'
    WHERE c.connection_id = %s AND c.state = 'stopped' AND c.flying AND EXISTS (
        SELECT 1 FROM integrations_link l
        JOIN integrations_copy k ON k.record_id = l.target_id AND k.connection_id = c.connection_id
        WHERE l.record_id = c.record_id AND l.target_id = ANY(%s) AND m.content ->> l.field <> k.external_id)
    ORDER BY c.id FOR UPDATE OF c SKIP LOCKED)
"""


def plan_due(*, seconds: float) -> int:
    """Plan what is due, for so many seconds at most; return how many copies were planned."""
    planned, end = 0, monotonic() + seconds
    for pk in _targets():
        connection = Connection.objects.get(pk=pk)
        while monotonic() < end and (done := plan_batch(connection)):
            planned += done
    return planned


def is_due() -> bool:
    """Say whether anything is to be planned."""
    return bool(_targets())


def _targets() -> list[int]:
    with database.cursor() as cursor:
        cursor.execute(TARGETS)
        return [pk for (pk,) in cursor.fetchall()]


def plan_batch(connection: Connection) -> int:
    """Plan the next due copies of a connection; return how many. One worker plans for a connection at a time."""
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('exports'), %s)", [connection.pk])
            if not cursor.fetchone()[0]:
                return 0
            cursor.execute(CLAIM, [connection.pk, BATCH])
            ids = [pk for (pk,) in cursor.fetchall()]
        rows = list(
            Copy.objects.filter(pk__in=ids).select_related("command", "record", "route").order_by("due_at", "pk")
        )
        if not rows:
            return 0
        batch = load(connection, rows, timezone.now())
        if batch is None:
            return 0
        for copy in rows:
            _take(batch, copy, _decide(batch, copy))
        _write(batch)
    # By themselves: they wait for nobody while they hold what others wait for.
    copies.make_needed(batch.missing.keys(), set(batch.missing.values()))
    copies.make_due(batch.to_go.keys(), set(batch.to_go.values()))
    _drop(batch)
    _mark(batch)
    ours.give_up(batch.given_up)
    return len(rows)


# -- what is decided


def _decide(batch: Batch, copy: Copy) -> Step:
    """Return the next step of a copy; what an adapter did not foresee stops this one alone."""
    part = part_of(batch, copy.record, seen_as=ours.pushed(copy))
    plan = plan_of(batch, part)
    if copy.push and (_ended(copy) or ours.digest(plan) != copy.push["plan"]):
        return _give_up(batch, copy, part, plan)
    plan = ours.left(copy, plan)
    # What is made in place of another is not made before that was looked at.
    creates = isinstance(plan, Ask) and batch.adapter.actions[plan.action].creates and not copy.push
    awaited = batch.others.get(plan.part.record_id) if isinstance(plan, Await) else None
    if isinstance(plan, Await) and (stays := _stays(batch, plan, awaited)):
        plan = Impossible(stays)
    if isinstance(plan, Await):
        _hurry(batch, copy, plan, awaited)
    return next_step(
        part,
        plan,
        _standing(batch, copy, plan),
        target=batch.connection.name,
        creates=creates,
        awaited=awaited.state if awaited else "",
    )


def _stays(batch: Batch, plan: Await, awaited: Copy | None) -> str:
    """Say why what has to go first stays where it is: nothing more of it is exported. "" where it goes."""
    if awaited is None or not plan.gone or awaited.state != CopyState.EXPORTED:
        return ""
    why = _ended(awaited)
    if not why and plan.part.kind not in awaited.route.kinds:
        why = f"Records of its kind are not exported to {batch.connection.name} any more"
    name = f"{plan.part.kind} {plan.part.label}"
    return f"Take {name} off at {batch.connection.name} first: it stands there. {why}." if why else ""


def _hurry(batch: Batch, copy: Copy, plan: Await, awaited: Copy | None) -> None:
    """Have what is waited for planned, where nothing else would: it is to come, or it stands there and has to go."""
    other = batch.records[plan.part.record_id]
    if awaited is None:
        batch.missing[other.pk] = other.connection_id
        batch.hurried.add(copy.pk)
    elif plan.gone and awaited.state == CopyState.EXPORTED:
        batch.to_go[other.pk] = other.connection_id
        batch.hurried.add(copy.pk)


def plan_of(batch: Batch, part: Part) -> Plan:
    """Return what is to be done next for a record; what an adapter did not foresee is for a person."""
    try:
        return batch.exporter.plan(part)
    except Exception as error:
        log.error("The export of record %d cannot be planned: %s", part.record_id, outline(error))
        return Impossible(f"It cannot be planned ({type(error).__name__}). An engineer has to look at it.")


def said_of(batch: Batch, record: Record, plan: Plan) -> str:
    """Say what a plan asks for, "" where it asks for nothing."""
    if not isinstance(plan, Ask):
        return ""
    spec, where = batch.adapter.actions[plan.action], batch.connection.name
    return asks(spec, where, content=plan.content, external_id=plan.external_id, record=record)


def _give_up(batch: Batch, copy: Copy, part: Part, plan: Plan) -> Step:
    """Send nothing over theirs: another plan stands than the one that a person decided on, or nothing goes any more."""
    asked = "" if _ended(copy) else said_of(batch, copy.record, plan)
    reason = ours.now_it_would(plan, asked)
    batch.given_up.append((copy, list(copy.push["drifts"]), reason))
    copy.push = {}
    if ended := _ended(copy):
        return Step(CopyState.EXPORTED if part.made else CopyState.NOT_NEEDED, ended)
    return Step(CopyState.STOPPED, reason, code=DIFFERS)


def _is_outdated(copy: Copy, plan: Plan) -> bool:
    """Say whether the newest command was refused, and something else is wanted by now."""
    command = copy.command
    if command is None or not copy.flying or command.outcome != Outcome.FAILED:
        return False
    other = isinstance(plan, Ask) and (plan.action, dict(plan.content)) != (command.action, command.content)
    return other or (command.record_version is not None and command.record_version < copy.record.version)


def _standing(batch: Batch, copy: Copy, plan: Plan) -> Standing:
    command, blocked = copy.command, ""
    given_up = (Outcome.FAILED, Outcome.CANCELLED)
    if command and (command.state == WorkState.PARKED if copy.flying else command.outcome in given_up):
        blocked = f"{command.summary}: {command.outcome_reason}"
    # What we did there since was not in that look.
    since = max(batch.now - FRESH, copy.exported_at or batch.now - FRESH)
    fresh = copy.compared_at is not None and copy.compared_at >= since
    differs = batch.differs.get(copy.external_id, 0) if copy.external_id else 0
    return Standing(
        ended=_ended(copy),
        outdated=_is_outdated(copy, plan),
        flying=copy.flying,
        blocked=blocked,
        differs=differs,
        overtaken=bool(
            (differs or copy.kept) and (copy.compared_at is None or copy.compared_at < copy.record.updated_at)
        ),
        fresh=fresh and copy.external_id not in batch.told,
    )


def _ended(copy: Copy) -> str:
    """Say why nothing more of a record is exported, "" where it goes on."""
    if copy.left_out_at:
        return f"Left out by {copy.left_out_by}: {copy.left_out_reason}"
    return f"The route was ended by {copy.route.ended_by}: {copy.route.end_reason}" if copy.route.ended_at else ""


def _take(batch: Batch, copy: Copy, step: Step) -> None:
    if step.code:
        batch.stopped.append((copy, step))
    if step.code and copy.reason != step.reason:
        what = f"The export to {batch.connection.name} needs a person: {step.reason}"
        batch.entries.append(about(copy.record, Lane.COMMANDS, "export.stopped", what, at=copy))
    if step.drop and copy.command:
        copy.round += 1
        batch.dropped.append(copy.command)
    copy.state, copy.reason, copy.waits_on_id = step.state, step.reason, step.waits_on
    # Should what is to bring it forward be lost, it is planned again after a while.
    copy.asked_at = batch.now if step.look or step.drop or copy.pk in batch.hurried else None
    if step.look:
        batch.looks.append((batch.connection, copy.resource, copy.external_id))
    if step.ask:
        _let_go_over_theirs(batch, copy)
        batch.asked.append((copy, step.ask))


def _let_go_over_theirs(batch: Batch, copy: Copy) -> None:
    """Forget what was decided, which goes out now, and what is made anew."""
    if not copy.push:
        return
    seen = ours.pushed(copy) or copy
    if not seen.external_id:
        for name in ours.MADE_ANEW:
            setattr(copy, name, getattr(seen, name))
    copy.push = {}
    batch.pushed.append(copy)


# -- what is written


def _write(batch: Batch) -> None:
    wanted = [_wanted(batch, copy, ask) for copy, ask in batch.asked]
    submitted = commands.submit_all(batch.connection, wanted, actor=ENGINE)
    for copy, _ in batch.asked:
        command = submitted[copy.record_id]
        if command is None:
            copy.state = CopyState.STOPPED
            copy.reason = "Its operation id stands for something else. Export it again under a new one."
        else:
            copy.command, copy.flying = command, True
    update_rows(batch.copies, _FIELDS)
    update_rows([*batch.pushed, *(copy for copy, _, _ in batch.given_up)], ours.MADE_ANEW)
    copies.note([command for command in submitted.values() if command and command.sent_at], batch.now)
    refetch.ask(batch.looks, batch.now)
    ours.reopen(pk for _, drifts, _ in batch.given_up for pk in drifts)
    _note_failures(batch)
    append(batch.entries)
    _wake(batch)


def _note_failures(batch: Batch) -> None:
    """Tell people of what cannot go on without them, and no more of what goes on."""
    failed = [_failed(batch, copy, step) for copy, step in batch.stopped]
    still = {copy.pk for copy, _ in batch.stopped}
    gone = grouping.open_failures_of(copies=[copy.pk for copy in batch.copies if copy.pk not in still])
    batch.freed = {failure.record_id for failure in gone if failure.record_id}
    grouping.note(failed, gone=gone)


def _failed(batch: Batch, copy: Copy, step: Step) -> grouping.Failed:
    todo = (
        "Compare both, then send ours or ignore the difference."
        if step.code == DIFFERS
        else f"Correct it at its source, or enter it at {batch.connection.name} by hand and leave it out here."
    )
    fault = Fault(Category.BUSINESS, step.code, step.reason, next_step=todo)
    return grouping.Failed(fault, batch.connection, copy=copy, record=copy.record, resource=copy.record.kind)


def _drop(batch: Batch) -> None:
    """Cancel what was refused before its record changed; its export is planned anew then."""
    for command in batch.dropped:
        try:
            with transaction.atomic():
                commands.cancel(command, actor=ENGINE, reason="The record has changed since: it is exported anew")
                Copy.objects.filter(command=command).update(command=None)
        except Refusal as refusal:
            log.info("A refused command was not replaced: %s", refusal)


@transaction.atomic
def _mark(batch: Batch) -> None:
    """Let records be stuck while their exports need a person."""
    ids = {copy.record_id for copy, _ in batch.stopped} | batch.freed
    stuck.lock(ids)
    stuck.recompute(ids)


def _wanted(batch: Batch, copy: Copy, ask: Ask) -> commands.Wanted:
    record = copy.record
    return commands.Wanted(
        record=record,
        action=ask.action,
        content=dict(ask.content),
        external_id=ask.external_id,
        operation_id=operation_id(copy.route_id, record.pk, record.version, copy.round, ask.action),
        reason=ask.reason,
    )


def _wake(batch: Batch) -> None:
    """Let those go on that wait for records that are at the target by now, and those say so that wait in vain."""
    told = (CopyState.STOPPED, CopyState.NOT_NEEDED)
    there = [copy.record_id for copy in batch.copies if copy.external_id or copy.state in told]
    if not there:
        return
    with database.cursor() as cursor:
        cursor.execute(WAKE, [batch.connection.pk, there])
        if cursor.rowcount:
            after_commit(EXPORTS)
        cursor.execute(WAKE_REFUSED, [batch.connection.pk, there])
        if cursor.rowcount:
            after_commit(EXPORTS)
        cursor.execute(WAKE_LATER, [batch.connection.pk, batch.connection.pk, there])
