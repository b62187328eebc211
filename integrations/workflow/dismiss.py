"""Work leaves by being done, or dismissed by a named person with a reason."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from integrations.failures import grouping
from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import Event, Run, WorkState
from integrations.workflow import stuck
from integrations.workflow.errors import Refusal, require_reason

DISMISSABLE = (WorkState.PARKED, WorkState.WAITING)


@transaction.atomic
def dismiss(work: Event | Run, *, actor: Actor, reason: str) -> None:
    """Close parked or waiting work without doing it; its evidence stays. Raises `Refusal`."""
    held: Any = type(work).objects.select_for_update(no_key=True).get(pk=work.pk)
    if held.state not in DISMISSABLE:
        raise Refusal(f"Only parked or waiting work can be dismissed; this is {held.state}.")
    require_reason(reason)
    held.state, held.finished_at = WorkState.DISMISSED, timezone.now()
    held.save(update_fields=["state", "finished_at"])
    is_event = isinstance(work, Event)
    noun, what = ("event", held.event_type) if is_event else ("run", f"the run R-{held.pk}")
    grouping.resolve(grouping.open_failures_of(**{f"{noun}s": [held.pk]}), f"Dismissed by {actor.name}")
    words = f"{actor.name} dismissed {what}; its evidence stays"
    write_act(held, f"{noun}.dismissed", words, outcome="dismissed", actor=actor, reason=reason)
    if is_event and held.record_id:
        stuck.recompute([held.record_id])
