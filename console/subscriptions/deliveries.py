"""Deliveries: what each subscriber was told, as a list and one by one, with every try."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET

from console import wording
from console.access import find_here, in_space
from console.commands.exchanges import phrase
from console.questions import GET_OR_POST, Question, ask
from console.subscriptions import listing
from integrations.boundary.destination import outline
from integrations.boundary.posting import HEADERS, SIGNATURE
from integrations.boundary.redaction import Redacted, redact
from integrations.models import AttemptState, Delivery, DeliveryAttempt, Subscription, WorkState
from integrations.workflow import redeliver
from integrations.workflow.outbox import body_of

#: Tries that are shown, and others of its record that are counted.
MOST = 12
WHO_READS = "Kept in the journal with your name, on the timeline of its record."


@dataclass(frozen=True)
class Half:
    """One side of an exchange, as `_parts/http.html` shows it."""

    line: str
    headers: list[tuple[str, str | None]]
    body: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Exchange:
    """One try as people read it."""

    number: int
    attempt: DeliveryAttempt
    sent: Half
    answer: Half | None
    outcome: str

    @property
    def signed(self) -> str:
        """With which secrets it was signed, in words: "secret v1", "secrets v2 and v1"."""
        versions = [f"v{version}" for version in self.attempt.signed_with.split()]
        return f"secret{'s' if len(versions) > 1 else ''} {' and '.join(versions)}" if versions else ""


@require_GET
@in_space()
def deliveries(request: Any) -> HttpResponse:
    """Show the deliveries that match, newest first: the page, or its results for htmx."""
    here = request.space.here
    visible = Delivery.objects.visible_to(request.user).filter(**here)
    subscriptions = list(Subscription.objects.visible_to(request.user).filter(**here).order_by("name"))
    asking = listing.Asking.read(request.GET, subscriptions)
    context = {
        "asking": asking,
        "cut": listing.page(asking, visible, subscriptions, request.GET),
        "filters": asking.filters.values(),
        "keep": [("record", asking.record or "")],
    }
    template = "subscriptions/_deliveries.html" if request.htmx else "subscriptions/deliveries.html"
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_GET
@in_space()
def delivery(request: Any, pk: int) -> HttpResponse:
    """Show one delivery: how it stands, what it waits for, and each try with request and answer."""
    found = find(request, pk)
    attempts = list(DeliveryAttempt.objects.filter(delivery=found).order_by("-id")[: MOST + 1])
    count = len(attempts) if len(attempts) <= MOST else DeliveryAttempt.objects.filter(delivery=found).count()
    ids = {"tenant_id": found.tenant_id, "connection_id": found.connection_id}
    edits = request.user.powers.may("edit_settings", tenant_id=found.tenant_id)
    context = {
        "delivery": found,
        "body": shown_body(found),
        "tries": [
            exchange(found, attempt, count - place, whole=edits) for place, attempt in enumerate(attempts[:MOST])
        ],
        "more_tries": max(0, count - MOST),
        "before": ahead_of(found),
        "behind": behind(found),
        "sees_subscription": request.user.powers.may("see", tenant_id=found.tenant_id),
        "may_replay": request.user.powers.may("replay", **ids) and is_replayable(found),
        "may_dismiss": request.user.powers.may("dismiss", **ids) and found.state in redeliver.DISMISSABLE,
        "now": timezone.now(),
    }
    return render(request, "subscriptions/delivery.html", context)


def find(request: Any, pk: int, action: str = "") -> Delivery:
    """Return a delivery of the space: Http404 where it is hidden, `Forbidden` without `action`."""
    rows = Delivery.objects.select_related("subscription", "message", "record", "connection")
    return find_here(request, rows, pk, action)


def is_replayable(found: Delivery) -> bool:
    return found.state in redeliver.REPLAYABLE and not found.subscription.ended_at


def shown_body(found: Delivery) -> str:
    """Return the message as it is sent, with line ends for people."""
    message = found.message
    body = body_of(message.topic, message.created_at, json.dumps(message.payload))
    return json.dumps(json.loads(body), indent=2, ensure_ascii=False)


def ahead_of(found: Delivery) -> Delivery | None:
    """Return the older delivery of the same record that goes first, None where none does."""
    if found.state not in (WorkState.READY, WorkState.WAITING, WorkState.HELD):
        return None
    return _open_of_record(found).filter(pk__lt=found.pk).order_by("id").first()


def behind(found: Delivery) -> int:
    """Return how many younger deliveries of the same record wait for this one."""
    if found.state in (WorkState.DONE, WorkState.DISMISSED):
        return 0
    return _open_of_record(found).filter(pk__gt=found.pk).count()


def _open_of_record(found: Delivery) -> "QuerySet[Delivery]":
    states = (WorkState.READY, WorkState.LEASED, WorkState.WAITING, WorkState.PARKED, WorkState.HELD)
    return Delivery.objects.filter(subscription_id=found.subscription_id, record_id=found.record_id, state__in=states)


def exchange(found: Delivery, attempt: DeliveryAttempt, number: int, *, whole: bool) -> Exchange:
    """Return one try with both its sides; signatures prove knowledge of the secret and are not shown.

    `whole` shows the address with what may be a key in it.
    """
    parts = urlsplit(attempt.url if whole else outline(attempt.url))
    headers: list[tuple[str, str | None]] = [("host", parts.netloc), *HEADERS, ("webhook-id", found.message.uid)]
    if attempt.stamp is not None:
        headers += [("webhook-timestamp", str(attempt.stamp)), (SIGNATURE, None)]
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    sent = Half(f"POST {target}", headers, at=attempt.started_at)
    return Exchange(number, attempt, sent, _answer(attempt), _silence(attempt))


def _answer(attempt: DeliveryAttempt) -> Half | None:
    if attempt.status is None:
        return None
    line = f"{attempt.status} {phrase(attempt.status)}".rstrip()
    if attempt.latency_ms is not None:
        line += f", after {wording.duration(attempt.latency_ms / 1000)}"
    headers: list[tuple[str, str | None]] = [("content-type", attempt.answer_type)] if attempt.answer_type else []
    # Receivers echo what they like; a text with an e-mail address in it is not shown.
    body = redact({"answer": attempt.answer}, frozenset({"email"}))["answer"]
    return Half(line, headers, f"({body}, taken out)" if isinstance(body, Redacted) else body, attempt.finished_at)


def _silence(attempt: DeliveryAttempt) -> str:
    if attempt.state == AttemptState.IN_FLIGHT:
        return "On its way: no answer yet."
    return f"{attempt.problem.rstrip('.')}." if attempt.problem else "No answer."


@GET_OR_POST
@in_space("replay")
def replay(request: Any, pk: int) -> HttpResponse:
    """Send one message again."""
    found = find(request, pk, "replay")
    name = found.subscription.name

    def do(reason: str) -> str:
        redeliver.replay(found, actor=request.actor, reason=reason)
        return f"{found.message.topic} is sent to {name} again."

    again = "It arrived once already; a receiver that keeps message ids drops the second. " if found.finished_at else ""
    question = Question(
        question=f"Send {found.message.topic} to {name} again?",
        text=f"{again}The same message leaves under the same id, from the beginning of the schedule.",
        act="Replay 1 delivery",
        keep="Leave it as it is",
        reason=WHO_READS,
        back_url=url_of(request, found),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("dismiss")
def dismiss(request: Any, pk: int) -> HttpResponse:
    """Close a delivery that did not arrive."""
    found = find(request, pk, "dismiss")
    name, waits = found.subscription.name, behind(found)

    def do(reason: str) -> str:
        redeliver.dismiss(found, actor=request.actor, reason=reason)
        return f"Dismissed; {name} is not told of this {found.message.topic}."

    after = f" {wording.count(waits, 'younger message')} of this record go on." if waits else ""
    question = Question(
        question=f"Dismiss {found.message.topic} to {name}?",
        text=f"{name} is not told of it. It can be replayed later.{after}",
        act="Dismiss 1 delivery",
        keep=f"Leave it {found.state}",
        reason=WHO_READS,
        danger=True,
        back_url=url_of(request, found),
    )
    return ask(request, question, do)


def url_of(request: Any, found: Delivery) -> str:
    return reverse("subscription_delivery", args=(*request.space.args, found.pk))
