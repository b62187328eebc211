"""Work leaves by being done, or dismissed by a named person with a reason."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from integrations.failures import grouping
from integrations.journal.actor import Actor
from integrations.journal.write import Entry, write
from integrations.models import Event, Lane, Run, WorkState
from integrations.workflow import stuck
from integrations.workflow.errors import Refusal

DISMISSABLE = (WorkState.PARKED, WorkState.WAITING)


@transaction.atomic
def dismiss(work: Event | Run, *, actor: Actor, reason: str) -> None:
    """Close parked or waiting work without doing it; its evidence stays. Raises `Refusal`."""
    held: Any = type(work).objects.select_for_update(no_key=True).get(pk=work.pk)
    if held.state not in DISMISSABLE:
        raise Refusal(f"Only parked or waiting work can be dismissed; this is {held.state}.")
    if not reason.strip():
        raise Refusal("Give a reason: it is kept in the journal with your name.")
    held.state, held.finished_at = WorkState.DISMISSED, timezone.now()
    held.save(update_fields=["state", "finished_at"])
    is_event = isinstance(work, Event)
    failures = grouping.open_failures_of(**{"events" if is_event else "runs": [held.pk]})
    grouping.resolve(failures, f"Dismissed by {actor.name}")
    what = held.event_type if is_event else f"the run R-{held.pk}"
    write(
        [
            Entry(
                tenant_id=held.tenant_id,
                environment=held.environment,
                connection_id=held.connection_id,
                record_id=held.record_id if is_event else None,
                lane=Lane.PEOPLE,
                action="event.dismissed" if is_event else "run.dismissed",
                summary=f"{actor.name} dismissed {what}; its evidence stays",
                outcome="dismissed",
                subject_type="event" if is_event else "run",
                subject_id=held.pk,
                actor=actor,
                reason=reason,
            )
        ]
    )
    if is_event and held.record_id:
        stuck.recompute([held.record_id])
