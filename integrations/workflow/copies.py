"""The copies of records at other connections: due by a change of belief, moved on by what became of commands."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.db import connection as database
from django.utils import timezone

from integrations.models import Command, Copy, CopyState, Outcome, WorkState
from integrations.workflow.rows import update_rows
from integrations.workflow.wake import EXPORTS, after_commit

#: Seconds after which a target that was asked how an object stands is asked again.
ANSWER_WITHIN = 600
_FIELDS = (
    "state", "due_at", "reason", "resource", "external_id", "made", "flying", "version", "exported_at", "confirmed_at",
)  # fmt: skip

# A copy that exists is due whatever the age of its record: what is there follows.
MAKE_DUE = """
INSERT INTO integrations_copy AS c (tenant_id, environment, route_id, record_id, connection_id, resource, external_id,
    state, due_at, reason, made, flying, round, shown_state, held_by, push, kept, left_out_by, left_out_reason)
SELECT o.tenant_id, o.environment, o.id, r.id, o.target_id, '', '', 'due', now(), '', '{{}}'::jsonb, false, 0, '',
    '[]'::jsonb, '{{}}'::jsonb, '{{}}'::jsonb, '', ''
FROM integrations_route o
JOIN integrations_record r ON r.connection_id = o.source_id AND r.id = ANY(%s) AND jsonb_exists(o.kinds, r.kind)
WHERE o.source_id = ANY(%s) AND o.ended_at IS NULL AND ({all} OR o.since IS NULL OR r.occurred_at >= o.since OR EXISTS (
    SELECT 1 FROM integrations_copy k WHERE k.record_id = r.id AND k.connection_id = o.target_id))
ORDER BY r.id
ON CONFLICT (record_id, connection_id) DO {conflict}
"""
_CHANGED = MAKE_DUE.format(all="false", conflict="UPDATE SET state = 'due', due_at = now() WHERE c.state <> 'due'")
_NEEDED = MAKE_DUE.format(all="true", conflict="NOTHING")


def make_due(record_ids: Collection[int], source_ids: Collection[int]) -> int:
    """Let the exports of records be planned that have just changed; return how many became due.

    Call inside the transaction of the change, which holds the records' locks. Where their connections have no route
    it costs one small statement.
    """
    return _execute(_CHANGED, record_ids, source_ids)


def make_needed(record_ids: Collection[int], source_ids: Collection[int]) -> int:
    """Let records be exported that others wait for, however old they are."""
    return _execute(_NEEDED, record_ids, source_ids)


def _execute(sql: str, record_ids: Collection[int], source_ids: Collection[int]) -> int:
    if not record_ids:
        return 0
    with database.cursor() as cursor:
        cursor.execute(sql, [sorted(record_ids), sorted(source_ids)])
        due = int(cursor.rowcount)
    if due:
        after_commit(EXPORTS)
    return due


def note(commands: Iterable[Command], now: datetime) -> None:
    """Let exports go on whose commands have moved; call inside the transaction that moved them."""
    moved = {command.pk: command for command in commands if command.record_id}
    if not moved:
        return
    rows = Copy.objects.filter(command_id__in=moved).order_by("pk").select_for_update(no_key=True)
    changed = [copy for copy in rows if _note(copy, moved[copy.command_id or 0], now)]
    update_rows(changed, _FIELDS)
    if changed:
        after_commit(EXPORTS)


def _note(copy: Copy, command: Command, now: datetime) -> bool:
    """Take over what became of a copy's newest command; say whether anything changes."""
    if command.outcome in (Outcome.ACCEPTED, Outcome.CONFIRMED):
        fresh = copy.flying
        if fresh:
            _accept(copy, command, now)
        if command.outcome == Outcome.CONFIRMED:
            copy.confirmed_at = command.confirmed_at or now
        return fresh or command.outcome == Outcome.CONFIRMED
    if not copy.flying:
        return _came_to_nothing(copy, command, now)
    over = command.state in (WorkState.DONE, WorkState.DISMISSED)
    copy.flying = not over
    if over or command.state == WorkState.PARKED or copy.state == CopyState.STOPPED:
        copy.state, copy.due_at = CopyState.DUE, now
        return True
    return False


def _came_to_nothing(copy: Copy, command: Command, now: datetime) -> bool:
    """Forget what was accepted and is not there after all, as a person or the provider says."""
    made = copy.made.get(command.action)
    if command.outcome != Outcome.FAILED or made is None or made["version"] != command.record_version:
        return False
    copy.made = {action: told for action, told in copy.made.items() if action != command.action}
    if copy.external_id == made["external_id"] and not copy.made:
        copy.resource, copy.external_id = "", ""
    copy.flying, copy.state, copy.due_at = (
        command.state not in (WorkState.DONE, WorkState.DISMISSED),
        CopyState.DUE,
        now,
    )
    return True


def _accept(copy: Copy, command: Command, now: datetime) -> None:
    told = {"external_id": command.external_id, "content": command.content, "version": command.record_version}
    copy.made = {**copy.made, command.action: told}
    if not copy.external_id:
        copy.resource, copy.external_id = command.resource, command.external_id
    copy.flying, copy.version, copy.exported_at, copy.confirmed_at = False, command.record_version, now, None
    copy.state, copy.due_at, copy.reason = CopyState.DUE, now, ""


def ask_again() -> int:
    """Let exports be planned again that waited too long for an answer of their target; return how many.

    The sweep calls it. The run that was to bring the answer may have parked.
    """
    late = timezone.now() - timedelta(seconds=ANSWER_WITHIN)
    return Copy.objects.filter(state=CopyState.WAITING, asked_at__lt=late).update(
        state=CopyState.DUE, due_at=timezone.now(), asked_at=None
    )
