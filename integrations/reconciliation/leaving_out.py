"""Leaving a record out of an export: a person entered it by hand, or decided that it does not belong there."""

from django.db import transaction
from django.utils import timezone

from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import Copy, CopyState, Outcome, Record, WorkState
from integrations.workflow import commands
from integrations.workflow.errors import Refusal, require_reason
from integrations.workflow.wake import EXPORTS, after_commit


@transaction.atomic
def leave_out(copy: Copy, *, actor: Actor, reason: str) -> Copy:
    """Export nothing more of a record to one connection; what is there stays. Raises `Refusal`.

    A command that was refused is cancelled; one that may have its effect has to come to its end first. Exported
    again, it is taken in again.
    """
    require_reason(reason)
    Record.objects.select_for_update(no_key=True).get(pk=copy.record_id)
    held = (
        Copy.objects.select_for_update(of=("self",), no_key=True)
        .select_related("command", "connection", "record")
        .get(pk=copy.pk)
    )
    if held.left_out_at:
        raise Refusal(f"It was left out already, by {held.left_out_by}.")
    _end_command(held, actor, reason)
    held.left_out_at, held.left_out_by, held.left_out_reason = timezone.now(), actor.name[:150], reason
    held.state, held.due_at, held.flying = CopyState.DUE, held.left_out_at, False
    held.save(update_fields=["left_out_at", "left_out_by", "left_out_reason", "state", "due_at", "flying"])
    words = f"{actor.name} left it out of the export to {held.connection.name}"
    write_act(held.record, "export.left_out", words, at=held, actor=actor, reason=reason)
    after_commit(EXPORTS)
    return held


def _end_command(held: Copy, actor: Actor, reason: str) -> None:
    command = held.command
    if command is None or not held.flying:
        return
    if command.outcome == Outcome.FAILED and command.state == WorkState.PARKED:
        commands.cancel(command, actor=actor, reason=reason)
    else:
        raise Refusal(
            f"“{command.summary}” is {command.get_outcome_display()}: let it come to its end, or cancel it, first."
        )
