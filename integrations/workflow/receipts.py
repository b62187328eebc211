"""What answers mean for deliveries: done, tried again on the schedule, parked, or the end of a subscription."""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from integrations.boundary.posting import Posted
from integrations.configuration import subscriptions
from integrations.failures import grouping
from integrations.failures.categories import Category, Fault
from integrations.failures.outline import outline
from integrations.journal.actor import ENGINE
from integrations.journal.write import Entry, append
from integrations.models import (
    AttemptState,
    Connection,
    Delivery,
    DeliveryAttempt,
    Failure,
    Lane,
    Record,
    Subscription,
    WorkState,
)
from integrations.providers.answers import http_date
from integrations.workflow.rows import update_rows

log = logging.getLogger(__name__)

#: By it a receiver says that it wants nothing more (Standard Webhooks, "Responding to webhooks").
GONE = 410
#: The code of what never left, because of where it would go.
FORBIDDEN = "forbidden"
#: What is said of a try whose answer cannot be kept.
UNWRITABLE = "Its answer cannot be kept"
#: Seconds. A receiver that asks for more patience than this gets this.
MOST_PATIENCE = 36_000

DELIVERY_FIELDS = (
    "state", "due_at", "leased_by", "leased_until", "tries", "category", "finished_at", "status", "answer", "problem",
)  # fmt: skip
ATTEMPT_FIELDS = (
    "state", "stamp", "signed_with", "address", "status", "latency_ms", "category", "problem", "answer_type", "answer",
    "started_at", "finished_at",
)  # fmt: skip

CATEGORIES = {
    401: Category.AUTHENTICATION,
    403: Category.AUTHORIZATION,
    408: Category.TIMEOUT,
    GONE: Category.BUSINESS,
    425: Category.RATE_LIMIT,
    429: Category.RATE_LIMIT,
}


class Sent(NamedTuple):
    """A delivery as it was claimed: `workflow.outbox.CLAIM` gives all but the last field, in this order."""

    pk: int
    tenant_id: int
    environment: str
    connection_id: int
    record_id: int
    subscription_id: int
    tries: int
    category: str
    replays: int
    attempt_id: int
    uid: str
    topic: str
    data: str
    at: datetime
    subscription: str
    url: str
    versions: str


def wait_after(tries: int) -> float | None:
    """Return the seconds until the next try after `tries` failed ones; None when the schedule is exhausted."""
    schedule = settings.OUTBOX_SCHEDULE
    return schedule[tries] * settings.RETRY_SCALE if tries < len(schedule) else None


def fault_of(posted: Posted, name: str) -> Fault | None:
    """Return what is wrong with an answer of the subscription `name`, None where the message arrived: any 2xx."""
    if posted.status is not None and 200 <= posted.status < 300:
        return None
    category, code, message = _meaning(posted, name)
    asks = f"Ask whoever runs {name} why it refuses, then replay what is parked."
    return Fault(
        category, f"delivery:{code}", message, retry_after=patience(posted), owner="operations", next_step=asks
    )


def _meaning(posted: Posted, name: str) -> tuple[Category, str, str]:
    """Return what a failed try is called: its category, a code, and a sentence."""
    status = posted.status
    if posted.forbidden:
        return Category.AUTHORIZATION, FORBIDDEN, posted.problem
    if status is None:
        category = Category.TIMEOUT if posted.timed_out else Category.OUTAGE
        return category, "no_answer", f"{name}: {posted.problem}"
    if 300 <= status < 400:
        return Category.CONTRACT, "redirect", f"{name} answered {status}: it leads elsewhere, and none is followed"
    category = CATEGORIES.get(status, Category.OUTAGE if status >= 500 else Category.VALIDATION)
    return category, str(status), f"{name} answered {status}"


def patience(posted: Posted) -> float | None:
    """Return the seconds that Retry-After asks for, by number or by date (RFC 9110, section 10.2.3)."""
    text = posted.header("retry-after").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MOST_PATIENCE)
    until = http_date(text)
    return min(max(0.0, (until - posted.started_at).total_seconds()), MOST_PATIENCE) if until else None


def settle(answered: Sequence[tuple[Sent, Posted]], owner: uuid.UUID) -> None:
    """Write what some answers mean, in as few transactions as it takes. What another worker has by now is left to that.

    An answer that cannot be written, whatever its receiver made of it, becomes a failed try of its delivery alone.
    """
    try:
        _write(answered, owner)
    except (OperationalError, InterfaceError):
        raise  # The database's own trouble, which splitting does not mend.
    except Exception as error:
        if len(answered) > 1:
            half = len(answered) // 2
            settle(answered[:half], owner)
            settle(answered[half:], owner)
            return
        ((sent, posted),) = answered
        log.error("The answer to delivery %d cannot be kept: %s", sent.pk, outline(error))
        if posted.problem != UNWRITABLE:  # Else it comes back when its lease ends, and the others go on.
            settle([(sent, _without_answer(posted))], owner)


def _without_answer(posted: Posted) -> Posted:
    """Return what is left of a try whose answer cannot be kept."""
    return Posted(posted.number, posted.stamp, posted.started_at, posted.latency_ms, problem=UNWRITABLE)


@transaction.atomic
def _write(answered: Sequence[tuple[Sent, Posted]], owner: uuid.UUID) -> None:
    now = timezone.now()
    mine = set(
        Delivery.objects.select_for_update(no_key=True)
        .filter(pk__in=[sent.pk for sent, _ in answered], state=WorkState.LEASED, leased_by=owner)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    receipts = [_receipt(sent, posted, now) for sent, posted in answered if sent.pk in mine]
    update_rows([receipt.delivery for receipt in receipts], DELIVERY_FIELDS)
    update_rows([receipt.attempt for receipt in receipts], ATTEMPT_FIELDS)
    append(entry for receipt in receipts for entry in receipt.entries)
    _write_failures(receipts)
    told = {each.sent.subscription_id for each in receipts if not each.fault}
    Subscription.objects.filter(pk__in=told).update(told_at=now)
    for sent in {each.sent.subscription_id: each.sent for each in receipts if each.posted.status == GONE}.values():
        subscriptions.gone(sent.subscription_id)


@dataclass
class Receipt:
    """One answer, and what it makes of the delivery."""

    sent: Sent
    posted: Posted
    fault: Fault | None
    delivery: Delivery
    attempt: DeliveryAttempt

    @property
    def entries(self) -> list[Entry]:
        """The journal's line: one for what arrived and one for what parked; tries stand with the delivery."""
        sent, state = self.sent, self.delivery.state
        if state == WorkState.DONE:
            return [_entry(sent, "delivery.delivered", f"Message {sent.topic} delivered to {sent.subscription}", state)]
        if state == WorkState.PARKED and self.fault:
            words = (
                f"Message {sent.topic} could not be delivered to {sent.subscription}: {self.fault.message}. "
                "It is parked, a person is needed"
            )
            return [_entry(sent, "delivery.parked", words, self.fault.category)]
        return []


def _receipt(sent: Sent, posted: Posted, now: datetime) -> Receipt:
    fault = fault_of(posted, sent.subscription)
    delivery = Delivery(
        pk=sent.pk, tries=sent.tries + bool(fault), status=posted.status, answer=posted.answer,
        problem=fault.message if fault else "", category=fault.category if fault else "",
    )  # fmt: skip
    _decide(delivery, fault, now)
    attempt = DeliveryAttempt(
        pk=sent.attempt_id,
        state=AttemptState.NO_ANSWER if posted.status is None else AttemptState.ANSWERED,
        stamp=posted.stamp,
        signed_with=sent.versions,
        address=posted.address,
        status=posted.status,
        latency_ms=posted.latency_ms,
        category=delivery.category,
        problem=delivery.problem,
        answer_type=posted.header("content-type")[:120],
        answer=posted.answer,
        started_at=posted.started_at,
        finished_at=now,
    )
    return Receipt(sent, posted, fault, delivery, attempt)


def _decide(delivery: Delivery, fault: Fault | None, now: datetime) -> None:
    """Set the state of a delivery that was tried, and when it is due again."""
    delivery.due_at = now
    if fault is None:
        delivery.state, delivery.finished_at = WorkState.DONE, now
        return
    wait = wait_after(delivery.tries)
    if delivery.status == GONE:
        # Its subscription is disabled in the same transaction: it waits there with the others.
        delivery.state, delivery.tries = WorkState.HELD, 0
    elif wait is None or fault.code == f"delivery:{FORBIDDEN}":
        delivery.state = WorkState.PARKED
    else:
        delivery.state = WorkState.WAITING
        delivery.due_at = now + timedelta(seconds=max(wait, fault.retry_after or 0))


def _write_failures(receipts: Sequence[Receipt]) -> None:
    """Count what failed among the problems, and close the failures of what arrived after all."""
    failed = [each for each in receipts if each.fault]
    before = [each.sent.pk for each in receipts if not each.fault and (each.sent.category or each.sent.replays)]
    if not failed and not before:
        return
    connections = Connection.objects.in_bulk({each.sent.connection_id for each in failed})
    gone = list(Failure.objects.filter(delivery__in=before, resolved_at__isnull=True))
    grouping.note([_failed(each, connections[each.sent.connection_id]) for each in failed], gone=gone)


def _failed(receipt: Receipt, connection: Connection) -> grouping.Failed:
    assert receipt.fault
    return grouping.Failed(
        receipt.fault,
        connection,
        delivery=receipt.delivery,
        record=Record(pk=receipt.sent.record_id),
        resource=receipt.sent.subscription,
    )


def _entry(sent: Sent, action: str, summary: str, outcome: str) -> Entry:
    return Entry(
        tenant_id=sent.tenant_id,
        environment=sent.environment,
        connection_id=sent.connection_id,
        record_id=sent.record_id,
        lane=Lane.COMMANDS,
        action=action,
        summary=summary,
        outcome=outcome,
        subject_type="delivery",
        subject_id=sent.pk,
        data={"topic": sent.topic, "subscription": sent.subscription_id},
        actor=ENGINE if action == "delivery.parked" else None,
    )
