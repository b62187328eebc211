"""What does not arrive is tried again, on Svix's schedule, and then parks."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.boundary.posting import Posted
from integrations.configuration import subscriptions
from integrations.failures.categories import Category
from integrations.models import Delivery, DeliveryAttempt, Failure, JournalEntry, Problem
from integrations.workflow import outbox, receipts
from tests.conftest import TESTER
from tests.outbox.conftest import let_time_pass, send
from tests.outbox.sending.conftest import Change, Subscribe, states
from tests.receiver import Answer, Receiver

pytestmark = pytest.mark.django_db


# -- the schedule


@pytest.mark.parametrize(
    ("failed", "seconds"),
    [(0, 0), (1, 5), (2, 300), (3, 1800), (4, 7200), (5, 18000), (6, 36000), (7, 36000), (8, None)],
)
def test_the_schedule_is_svix_s_own(failed: int, seconds: float | None, settings: Any) -> None:
    settings.RETRY_SCALE = 1

    assert receipts.wait_after(failed) == seconds


def test_the_schedule_is_scaled_and_configured(settings: Any) -> None:
    settings.RETRY_SCALE, settings.OUTBOX_SCHEDULE = 0.1, [0, 60]

    assert [receipts.wait_after(tries) for tries in (0, 1, 2)] == [0, 6, None]


def test_the_schedule_ends_with_a_person(
    receiver: Receiver, subscribe: Subscribe, change: Change, settings: Any
) -> None:
    subscribe()
    change()
    receiver.says(500)

    for _ in settings.OUTBOX_SCHEDULE:
        send()
        let_time_pass()

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.tries, len(receiver.got)) == ("parked", 8, 8)
    assert len(set(receiver.uids)) == 1
    assert JournalEntry.objects.filter(action="delivery.parked", record_id=delivery.record_id).count() == 1


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("120", 120), ("1", 5), ("soon", 5), ("99999999", 36_000), ("Wed, 21 Oct 2015 07:28:00 GMT", 5),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 36_000), ("Fri, 31 Dec 9999 23:59:59 -2359", 5),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", 5), ("Mon, 01 Jan 2035 00:00:00 +99999999999999999999", 5),
    ],
)  # fmt: skip
def test_a_receiver_may_ask_for_patience(
    asked: str, seconds: float, receiver: Receiver, subscribe: Subscribe, change: Change, settings: Any
) -> None:
    settings.RETRY_SCALE = 1
    subscribe()
    change()
    receiver.says(429, retry_after=asked)

    send()

    wait = Delivery.objects.get().due_at - timezone.now()
    assert timedelta(seconds=seconds - 3) < wait <= timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (200, None), (202, None), (299, None), (301, "contract mismatch"), (400, "validation"), (401, "authentication"),
        (403, "authorization"), (404, "validation"), (408, "timeout"), (410, "business rule"), (429, "rate limit"),
        (500, "provider outage"), (503, "provider outage"), (599, "provider outage"),
    ],
)  # fmt: skip
def test_every_answer_has_a_meaning(status: int, category: str | None) -> None:
    fault = receipts.fault_of(Posted(1, 1, timezone.now(), status=status), "Warehouse")

    assert (fault and str(fault.category)) == category


def test_no_redirect_is_followed(receiver: Receiver, subscribe: Subscribe, change: Change) -> None:
    subscribe()
    change()
    receiver.says(307, location=receiver.url.replace("/hooks", "/elsewhere"))

    send()

    assert [got.path for got in receiver.got] == ["/hooks"]
    assert "none is followed" in Delivery.objects.get().problem


def test_a_receiver_that_does_not_answer_in_time_is_tried_again(
    receiver: Receiver, subscribe: Subscribe, change: Change, settings: Any
) -> None:
    settings.OUTBOX_TIMEOUT = 0.2
    over = threading.Event()
    receiver.answer = lambda got: Answer(204 if over.wait(5) else 500)
    subscribe()
    change()

    send()
    over.set()

    attempt = DeliveryAttempt.objects.get()
    assert (attempt.state, attempt.status, attempt.category) == ("no answer", None, "timeout")
    assert states() == ["waiting"]


def test_nobody_at_the_address_is_an_outage(receiver: Receiver, subscribe: Subscribe, change: Change) -> None:
    subscribe(url="http://127.0.0.1:9/hooks")
    change()

    send()

    assert Delivery.objects.get().category == Category.OUTAGE
    assert "No connection" in Delivery.objects.get().problem


# -- failures


def test_failures_of_a_subscription_are_one_problem_and_end_with_it(
    receiver: Receiver, subscribe: Subscribe, change: Change
) -> None:
    subscribe()
    change()
    change()
    receiver.says(500)
    send()

    problem = Problem.objects.get()
    assert (problem.open_count, problem.owner, problem.title) == (2, "operations", "Warehouse answered 500")
    assert Failure.objects.filter(delivery__isnull=False, resolved_at__isnull=True).count() == 2

    receiver.says(204)
    let_time_pass()
    send()

    problem.refresh_from_db()
    assert problem.open_count == 0


def test_an_answer_that_cannot_be_kept_is_the_failed_try_of_its_delivery_alone(
    receiver: Receiver, subscribe: Subscribe, change: Change
) -> None:
    """Whoever finds words that the database refuses stops nobody else's deliveries."""
    subscribe()
    for _ in range(5):
        change()
    claims = outbox.Claims()
    posted = [Posted(letter.number, 1, timezone.now(), status=204) for letter in claims.more()]
    posted[1].answer = "refused by PostgreSQL: \x00"
    posted[3].headers = [(b"content-type", None)]  # type: ignore[list-item]  # what nobody foresees

    receipts.settle([(claims.done(each), each) for each in posted], claims.owner)

    assert states() == ["done", "waiting", "done", "waiting", "done"]
    assert set(Delivery.objects.filter(state="waiting").values_list("problem", "tries")) == {
        ("Warehouse: Its answer cannot be kept", 1)
    }
    assert set(DeliveryAttempt.objects.values_list("state", flat=True)) == {"answered", "no answer"}


# -- 410


def test_410_disables_the_subscription_and_drops_nothing(
    receiver: Receiver, subscribe: Subscribe, change: Change
) -> None:
    made = subscribe()
    first = change()
    receiver.says(410)
    send()
    change(first, state="paid")

    made.row.refresh_from_db()
    assert made.row.disabled_at
    assert "410" in made.row.disable_reason
    assert JournalEntry.objects.filter(action="subscription.disabled", subject_id=made.row.pk).count() == 1
    assert (send(), states()) == (0, ["held", "held"])

    receiver.says(204)
    subscriptions.enable(made.row, actor=TESTER, reason="They made a new address")
    send()
    assert states() == ["done", "done"]


# -- workers that die


def test_a_worker_that_died_loses_nothing_and_the_message_keeps_its_id(
    receiver: Receiver, subscribe: Subscribe, change: Change
) -> None:
    subscribe()
    change()
    assert len(outbox.Claims().more()) == 1
    assert send() == 0
    Delivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))

    assert outbox.free_lost() == 1
    assert send() == 1

    lost, done = DeliveryAttempt.objects.order_by("id")
    assert (lost.state, done.state) == ("no answer", "answered")
    assert states() == ["done"]


def test_who_lost_the_lease_writes_nothing(receiver: Receiver, subscribe: Subscribe, change: Change) -> None:
    subscribe()
    change()
    claims = outbox.Claims()
    (letter,) = claims.more()
    Delivery.objects.update(state="ready", leased_by=None)

    receipts.settle([(claims.sent[letter.number], Posted(letter.number, 1, timezone.now(), status=204))], claims.owner)

    assert states() == ["ready"]
    assert JournalEntry.objects.filter(action="delivery.delivered").count() == 0
