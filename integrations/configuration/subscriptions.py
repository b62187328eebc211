"""Subscriptions: who is told downstream. Made, changed, paused, disabled, ended; their secrets rotate with overlap."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.boundary import destination
from integrations.boundary.signing import new_secret
from integrations.boundary.vault import seal
from integrations.failures import grouping
from integrations.journal import history
from integrations.journal.actor import ENGINE, Actor
from integrations.journal.write import write_act
from integrations.models import (
    Delivery,
    Failure,
    SecretState,
    SigningSecret,
    Subscription,
    Tenant,
    WorkState,
)
from integrations.workflow.errors import Refusal, require_reason
from integrations.workflow.messages import patterns
from integrations.workflow.wake import DELIVERIES, after_commit

#: What a pause holds.
LOOSE = (WorkState.READY, WorkState.WAITING)
#: What an end dismisses.
OPEN = (*LOOSE, WorkState.HELD, WorkState.PARKED)
LONGEST_NAME = 80
#: Subscriptions of a tenant in one environment that are not ended. Each change is written once for each of them.
MOST = 50


class Place(NamedTuple):
    """Where deliveries are to go, or why they may not go there."""

    url: str
    fault: str = ""


class BadSubscription(Exception):
    """What was given cannot be a subscription. `faults` holds a sentence for each field."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {words}" for field, words in faults.items()))
        self.faults = faults


def make(
    tenant: Tenant, *, environment: str, name: str, url: str, topics: Sequence[str], actor: Actor, reason: str = ""
) -> tuple[Subscription, str]:
    """Make a subscription; return it with its secret, which nothing shows again.

    Raises `BadSubscription`, and `Refusal` where the tenant has as many as it may.
    """
    place = _place(tenant.pk, environment, url)
    with transaction.atomic():
        return _make(tenant, environment, name, place, topics, actor, reason)


def _make(
    tenant: Tenant, environment: str, name: str, place: Place, topics: Sequence[str], actor: Actor, reason: str
) -> tuple[Subscription, str]:
    _ask_room(tenant, environment)
    made = Subscription(tenant=tenant, environment=environment, created_by=actor.name)
    _fill(made, name, place, topics)
    history.save(made, actor=actor, reason=reason or "Made")
    secret = _new_version(made, actor, reason)
    _note(made, "made", f"{actor.name} made the subscription {made.name}: {_said(made)}", actor, reason)
    return made, secret


def change(
    subscription: Subscription, *, name: str, url: str, topics: Sequence[str], actor: Actor, reason: str
) -> list[str]:
    """Change where and of what it is told, from the next sending on; return the titles of what changed.

    Deliveries that wait go to the new address. Raises `BadSubscription` and `Refusal`.
    """
    require_reason(reason)
    place = _place(subscription.tenant_id, subscription.environment, url)
    with transaction.atomic():
        return _change(subscription, name, place, topics, actor, reason)


def _change(
    subscription: Subscription, name: str, place: Place, topics: Sequence[str], actor: Actor, reason: str
) -> list[str]:
    held = _locked(subscription)
    before = (held.name, held.url, list(held.topics))
    _fill(held, name, place, topics)
    pairs = zip(("name", "address", "topics"), before, (held.name, held.url, list(held.topics)), strict=True)
    changes = [[title, old, new] for title, old, new in pairs if old != new]
    if not changes:
        raise Refusal("It is so already. Nothing was changed.")
    history.save(held, actor=actor, reason=reason)
    titles = [str(change[0]) for change in changes]
    summary = f"{actor.name} changed the subscription {held.name}: {', '.join(titles)}"
    # The journal is read by many and forgets nothing. The version holds the address whole.
    told = [
        [title, *(destination.outline(str(each)) if title == "address" else each for each in pair)]
        for title, *pair in changes
    ]
    _note(held, "changed", summary, actor, reason, {"changes": told, "version": held.history.latest().pk})
    return titles


def _ask_room(tenant: Tenant, environment: str) -> None:
    """Raise `Refusal` where there is no room for another; who asks at the same time waits."""
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    if Subscription.objects.filter(tenant=tenant, environment=environment, ended_at__isnull=True).count() >= MOST:
        raise Refusal(
            f"There are {MOST} subscriptions in {environment} already, as many as there may be. "
            "End one that is no longer needed, or let one of them take more topics."
        )


def _place(tenant_id: int, environment: str, url: str) -> Place:
    """Look an address up, before anything is locked: a name may take its time."""
    try:
        return Place(destination.check(url, environment=environment, asker=tenant_id))
    except destination.ForbiddenDestination as error:
        return Place(url, str(error))


def _fill(held: Subscription, name: str, place: Place, topics: Sequence[str]) -> None:
    """Set what people give; raises `BadSubscription`."""
    faults = {}
    held.name = " ".join(name.split())
    same = Subscription.objects.filter(tenant_id=held.tenant_id, environment=held.environment, name=held.name)
    if not held.name or len(held.name) > LONGEST_NAME:
        faults["name"] = f"Give a name of at most {LONGEST_NAME} characters."
    elif same.filter(ended_at__isnull=True).exclude(pk=held.pk).exists():
        faults["name"] = f"There is a subscription called {held.name} already. Choose another name."
    held.topics = [topic for topic in patterns() if topic in topics]
    unknown = [topic for topic in topics if topic not in held.topics]
    if unknown or not held.topics:
        faults["topics"] = f"There is no topic {unknown[0]}." if unknown else "Choose at least one topic."
    held.url = place.url
    if place.fault:
        faults["url"] = place.fault
    if faults:
        raise BadSubscription(faults)


@transaction.atomic
def pause(subscription: Subscription, *, actor: Actor, reason: str, until: datetime | None = None) -> int:
    """Hold its deliveries, until a time or until somebody resumes it; return how many. Raises `Refusal`."""
    require_reason(reason)
    held = _locked(subscription)
    if held.paused_at:
        raise Refusal(f"{held} is paused already, by {held.paused_by}.")
    if until and until <= timezone.now():
        raise Refusal("The end lies in the past.")
    held.paused_at, held.paused_until = timezone.now(), until
    held.paused_by, held.pause_reason = actor.name, reason
    history.save(held, actor=actor, reason=reason)
    count = _hold([held.pk])
    ends = f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""
    _note(held, "paused", f"{held} paused{ends}; {count:,} deliveries wait", actor, reason)
    return count


@transaction.atomic
def resume(subscription: Subscription, *, actor: Actor, reason: str = "") -> int:
    """Let go what a pause held, in order per record; return how many. Raises `Refusal`."""
    held = _locked(subscription)
    if not held.paused_at:
        raise Refusal(f"{held} is not paused.")
    held.paused_at = held.paused_until = None
    held.paused_by = held.pause_reason = ""
    history.save(held, actor=actor, reason=reason or "Resumed")
    count = _let_go(held)
    _note(held, "resumed", f"{held} resumed; {count:,} deliveries go on", actor, reason)
    return count


@transaction.atomic
def disable(subscription: Subscription, *, actor: Actor, reason: str) -> int:
    """Send nothing more until somebody enables it; what comes meanwhile is held. Raises `Refusal`."""
    require_reason(reason)
    held = _locked(subscription)
    if held.disabled_at:
        raise Refusal(f"{held} is disabled already.")
    held.disabled_at, held.disable_reason = timezone.now(), reason
    history.save(held, actor=actor, reason=reason)
    count = _hold([held.pk])
    by = "it answered 410" if actor is ENGINE else f"by {actor.name}"
    _note(held, "disabled", f"{held} disabled, {by}; {count:,} deliveries wait", actor, reason)
    return count


def gone(subscription_id: int) -> None:
    """A receiver answered 410: it wants nothing more. Call in the transaction of that answer."""
    held = Subscription.objects.get(pk=subscription_id)
    if held.disabled_at or held.ended_at:
        return
    disable(held, actor=ENGINE, reason="It answered 410 Gone: it wants nothing more")


@transaction.atomic
def enable(subscription: Subscription, *, actor: Actor, reason: str) -> int:
    """Send again, first of all what waited; return how many deliveries go on. Raises `Refusal`."""
    require_reason(reason)
    held = _locked(subscription)
    if not held.disabled_at:
        raise Refusal(f"{held} is not disabled.")
    held.disabled_at, held.disable_reason = None, ""
    history.save(held, actor=actor, reason=reason)
    count = _let_go(held)
    _note(held, "enabled", f"{held} enabled; {count:,} deliveries go on", actor, reason)
    return count


@transaction.atomic
def end(subscription: Subscription, *, actor: Actor, reason: str) -> int:
    """End it for good: what waits is dismissed, its secrets sign nothing more; return how many. Raises `Refusal`."""
    require_reason(reason)
    held = _locked(subscription)
    now = timezone.now()
    held.ended_at = now
    history.save(held, actor=actor, reason=reason)
    waiting = Delivery.objects.filter(subscription=held, state__in=OPEN)
    failures = Failure.objects.filter(delivery__subscription=held, resolved_at__isnull=True)
    grouping.resolve(list(failures), f"{actor.name} ended the subscription")
    count = waiting.update(state=WorkState.DISMISSED, finished_at=now)
    SigningSecret.objects.filter(subscription=held).exclude(state=SecretState.REVOKED).update(
        state=SecretState.REVOKED, revoked_at=now
    )
    _note(held, "ended", f"{actor.name} ended {held}; {count:,} deliveries were dismissed", actor, reason)
    return count


@transaction.atomic
def rotate(subscription: Subscription, *, actor: Actor, reason: str, overlap_hours: float | None = None) -> str:
    """Give it a new secret and return that; for the overlap the old one signs too. Raises `Refusal`."""
    require_reason(reason)
    held = _locked(subscription)
    if SigningSecret.objects.filter(subscription=held, state=SecretState.RETIRING).exists():
        raise Refusal("An older secret still signs. End its overlap first, or wait for it.")
    hours = settings.SIGNING_OVERLAP_HOURS if overlap_hours is None else overlap_hours
    active = SigningSecret.objects.filter(subscription=held, state=SecretState.ACTIVE)
    active.update(state=SecretState.RETIRING, retire_at=timezone.now() + timedelta(hours=hours))
    secret = _new_version(held, actor, reason)
    summary = f"{actor.name} rotated the signing secret of {held}; for {hours:g} h the old one signs too"
    _note(held, "secret_rotated", summary, actor, reason)
    return secret


@transaction.atomic
def revoke(secret: SigningSecret, *, actor: Actor, reason: str) -> None:
    """End the overlap of a retiring secret: it signs nothing more. Raises `Refusal`."""
    rows = SigningSecret.objects.select_for_update(of=("self",), no_key=True).select_related("subscription")
    held = rows.get(pk=secret.pk)
    if held.state != SecretState.RETIRING:
        raise Refusal(f"Only a retiring secret can be ended; this one is {held.state}.")
    held.state, held.revoked_at = SecretState.REVOKED, timezone.now()
    held.save(update_fields=["state", "revoked_at"])
    summary = f"The signing secret v{held.version} of {held.subscription} signs nothing more"
    _note(held.subscription, "secret_ended", summary, actor, reason)


def retire_due() -> int:
    """End the secrets whose overlap is over; return how many. Beat calls it every few seconds."""
    due = SigningSecret.objects.filter(state=SecretState.RETIRING, retire_at__lte=timezone.now())
    return _each(due, lambda secret: revoke(secret, actor=ENGINE, reason="Its overlap is over"))


def end_due() -> int:
    """Resume what was paused until now, and hold, let go or dismiss what slipped by; return how many were resumed."""
    now = timezone.now()
    due = Subscription.objects.filter(paused_until__lte=now, ended_at__isnull=True)
    resumed = _each(due, lambda held: resume(held, actor=ENGINE, reason="The pause reached its end"))
    resting = Subscription.objects.filter(ended_at__isnull=True).exclude(paused_at=None, disabled_at=None)
    _hold(resting.values_list("pk", flat=True))
    # What was written as held in the very moment in which its subscription was let go.
    awake = {"subscription__paused_at": None, "subscription__disabled_at": None, "subscription__ended_at": None}
    Delivery.objects.filter(state=WorkState.HELD, **awake).update(state=WorkState.READY)
    # What was on its way when its subscription ended, and came back.
    ended = Subscription.objects.filter(ended_at__gte=now - timedelta(days=1)).values("pk")
    Delivery.objects.filter(subscription__in=ended, state__in=OPEN).update(state=WorkState.DISMISSED, finished_at=now)
    return resumed


def _each(rows: Iterable[Any], act: Any) -> int:
    done = 0
    for row in rows:
        try:
            act(row)
            done += 1
        except Refusal:
            continue  # Somebody did it meanwhile.
    return done


def _hold(subscription_ids: Iterable[int]) -> int:
    ids = list(subscription_ids)
    if not ids:
        return 0
    return Delivery.objects.filter(subscription__in=ids, state__in=LOOSE).update(state=WorkState.HELD)


def _let_go(held: Subscription) -> int:
    """Make held deliveries due now, if nothing else holds them."""
    if held.rests:
        return 0
    waiting = Delivery.objects.filter(subscription=held, state=WorkState.HELD)
    after_commit(DELIVERIES)
    return waiting.update(state=WorkState.READY, due_at=timezone.now())


def _locked(subscription: Subscription) -> Subscription:
    """Return a subscription with its row locked; raises `Refusal` for one that was ended."""
    held = Subscription.objects.select_for_update(no_key=True).get(pk=subscription.pk)
    if held.ended_at:
        raise Refusal(f"{held} was ended; nothing about it changes any more.")
    return held


def _new_version(held: Subscription, actor: Actor, reason: str) -> str:
    secret = new_secret()
    newest = SigningSecret.objects.filter(subscription=held).order_by("-version").first()
    SigningSecret.objects.create(
        subscription=held,
        version=newest.version + 1 if newest else 1,
        secret=seal(secret.encode()),
        hint=f"…{secret[-4:]}",
        reason=reason,
        created_by=actor.name,
    )
    return secret


def _said(held: Subscription) -> str:
    return f"{', '.join(held.topics)} to {destination.outline(held.url)}"


def _note(
    held: Subscription, act: str, summary: str, actor: Actor, reason: str, data: dict[str, Any] | None = None
) -> None:
    write_act(held, f"subscription.{act}", summary, outcome=held.word, data=data, actor=actor, reason=reason)
