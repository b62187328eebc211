"""What people do to deliveries: replay one, replay all that parked since a time, dismiss one."""

from datetime import datetime

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from integrations.failures import grouping
from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import Delivery, Subscription, WorkState
from integrations.workflow.errors import Refusal, require_reason
from integrations.workflow.wake import DELIVERIES, after_commit

REPLAYABLE = (WorkState.PARKED, WorkState.WAITING, WorkState.DONE, WorkState.DISMISSED)
DISMISSABLE = (WorkState.PARKED, WorkState.WAITING, WorkState.HELD)
#: What did not arrive: parked, and what failed and is tried again later.
FAILED = (WorkState.PARKED, WorkState.WAITING)


@transaction.atomic
def replay(delivery: Delivery, *, actor: Actor, reason: str) -> None:
    """Send a message again, under the same message id and from the beginning of the schedule. Raises `Refusal`."""
    held = _locked(delivery, reason)
    if held.state not in REPLAYABLE:
        raise Refusal(f"It is {held.state}: it leaves by itself.")
    if held.subscription.ended_at:
        raise Refusal(f"{held.subscription} was ended.")
    _begin_again(Delivery.objects.filter(pk=held.pk), held.subscription)
    word = "again " if held.state == WorkState.DONE else ""
    summary = f"{actor.name} replayed {held.message.topic}: it is delivered {word}to {held.subscription}"
    _note(held, "replayed", summary, actor, reason)


@transaction.atomic
def replay_failed(subscription: Subscription, *, since: datetime | None, actor: Actor, reason: str) -> int:
    """Send all again that did not arrive, of messages made since a time; return how many. Raises `Refusal`."""
    held = Subscription.objects.select_for_update(no_key=True).get(pk=subscription.pk)
    require_reason(reason)
    if held.ended_at:
        raise Refusal(f"{held} was ended.")
    count = _begin_again(failed_of(held, since), held)
    if not count:
        raise Refusal("There is none any more. Look at the list again.")
    when = f" made since {since:%Y-%m-%d %H:%M} UTC" if since else ""
    write_act(
        held,
        "delivery.replayed",
        f"{actor.name} replayed {count:,} deliveries to {held}{when}",
        outcome="replayed",
        data={"count": count, "since": since.isoformat() if since else None},
        actor=actor,
        reason=reason,
    )
    return count


def failed_of(subscription: Subscription, since: datetime | None) -> "QuerySet[Delivery]":
    """Return the deliveries of a subscription that failed and did not arrive yet."""
    rows = Delivery.objects.filter(subscription=subscription, state__in=FAILED)
    return rows.filter(created_at__gte=since) if since else rows


@transaction.atomic
def dismiss(delivery: Delivery, *, actor: Actor, reason: str) -> None:
    """Close a delivery that did not arrive; younger ones of its record go on. Raises `Refusal`."""
    held = _locked(delivery, reason)
    if held.state not in DISMISSABLE:
        raise Refusal(f"Only what waits, is held or parked can be dismissed; this is {held.state}.")
    Delivery.objects.filter(pk=held.pk).update(state=WorkState.DISMISSED, finished_at=timezone.now())
    grouping.resolve(grouping.open_failures_of(deliveries=[held.pk]), f"Dismissed by {actor.name}")
    summary = f"{actor.name} dismissed {held.message.topic}: {held.subscription} is not told of it"
    _note(held, "dismissed", summary, actor, reason)
    after_commit(DELIVERIES)


def _begin_again(rows: "QuerySet[Delivery]", subscription: Subscription) -> int:
    """Make deliveries due from the first try on; of a subscription that rests they are held."""
    state = WorkState.HELD if subscription.rests else WorkState.READY
    after_commit(DELIVERIES)
    return rows.update(state=state, due_at=timezone.now(), tries=0, finished_at=None, replays=F("replays") + 1)


def _locked(delivery: Delivery, reason: str) -> Delivery:
    require_reason(reason)
    rows = Delivery.objects.select_for_update(of=("self",), no_key=True).select_related("subscription", "message")
    return rows.get(pk=delivery.pk)


def _note(held: Delivery, act: str, summary: str, actor: Actor, reason: str) -> None:
    data = {"topic": held.message.topic, "subscription": held.subscription_id}
    write_act(held, f"delivery.{act}", summary, outcome=act, data=data, actor=actor, reason=reason)
