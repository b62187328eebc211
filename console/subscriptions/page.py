"""What the pages of subscriptions show, gathered in few queries."""

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils import timezone

from console.subscriptions import history
from integrations.boundary.vault import Unreadable, seal, unseal
from integrations.models import Delivery, SecretState, SigningSecret, Subscription, WorkState

#: What is not over, and how the page calls it.
WAITS = (WorkState.READY, WorkState.LEASED, WorkState.WAITING, WorkState.HELD, WorkState.PARKED)
NEWEST = 12
#: Where a secret lies between the answer that made it and the one page that shows it.
KEPT = "signing_secret"


@dataclass
class Row:
    """One subscription with how many of its deliveries are in which state."""

    subscription: Subscription
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Deliveries that leave by themselves, or when it is resumed."""
        return sum(number for state, number in self.counts.items() if state != WorkState.PARKED)

    @property
    def parked(self) -> int:
        return self.counts.get(WorkState.PARKED, 0)

    @property
    def failed(self) -> int:
        """Deliveries that did not arrive so far: tried again later, or parked."""
        return self.parked + self.counts.get(WorkState.WAITING, 0)


def rows_of(subscriptions: list[Subscription]) -> list[Row]:
    """Return subscriptions with the counts of what waits."""
    rows = {each.pk: Row(each) for each in subscriptions}
    counted = Delivery.objects.filter(subscription__in=rows, state__in=WAITS).order_by()
    for pk, state, number in counted.values_list("subscription", "state").annotate(Count("pk")):
        rows[pk].counts[state] = number
    return list(rows.values())


def with_older(deliveries: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
    """Read along whether an older delivery of the same record goes first."""
    same = Delivery.objects.filter(record=OuterRef("record"), subscription=OuterRef("subscription"))
    return deliveries.annotate(older=Exists(same.filter(pk__lt=OuterRef("pk"), state__in=WAITS)))


def gather(subscription: Subscription) -> dict[str, Any]:
    """Return everything that the page of one subscription shows, but what only its reader may do."""
    (row,) = rows_of([subscription])
    newest = with_older(Delivery.objects.filter(subscription=subscription)).select_related("message", "record")
    secrets = SigningSecret.objects.filter(subscription=subscription).defer("secret").order_by("-version")
    return {
        "subscription": subscription,
        "row": row,
        "deliveries": list(newest.order_by("-id")[:NEWEST]),
        "secrets": list(secrets.exclude(state=SecretState.REVOKED)) or list(secrets[:1]),
        "overlaps": any(secret.state == SecretState.RETIRING for secret in secrets),
        "lines": history.lines_of(subscription),
        "now": timezone.now(),
    }


def keep_secret(request: Any, subscription: Subscription, secret: str) -> None:
    """Keep a new secret, encrypted, for the page that shows it once."""
    request.session[KEPT] = {"of": subscription.pk, "sealed": b64encode(seal(secret.encode())).decode()}


def take_secret(request: Any, subscription: Subscription) -> str:
    """Return the secret that was just made, and forget it; "" where none was."""
    kept = request.session.get(KEPT)
    if not isinstance(kept, dict) or kept.get("of") != subscription.pk:
        return ""
    del request.session[KEPT]
    try:
        return unseal(b64decode(kept["sealed"])).decode()
    except Unreadable:
        return ""
