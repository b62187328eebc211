"""Deliveries: signed, in order per record, tried on the schedule, parked and never lost."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from integrations.boundary.posting import Posted
from integrations.configuration import subscriptions
from integrations.failures.categories import Category
from integrations.models import Delivery, DeliveryAttempt, Failure, JournalEntry, Problem, Record, SigningSecret
from integrations.workflow import outbox, receipts, redeliver, tasks, wake
from integrations.workflow.errors import Refusal
from tests.conftest import TESTER
from tests.outbox.conftest import Subscribed, let_time_pass, send
from tests.receiver import Answer, Got, Receiver

pytestmark = pytest.mark.django_db

Change = Callable[..., Record]
Subscribe = Callable[..., Subscribed]


def in_thread(act: Callable[[], object]) -> None:
    try:
        act()
    finally:
        database.close()


def states() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("state", flat=True))


# -- what arrives


def test_a_receiver_verifies_and_understands_what_arrives(
    receiver: Receiver, subscribe: Subscribe, change: Change
) -> None:
    made = subscribe()
    record = change(change(), state="paid", amount_paid=4_812_50)

    assert send() == 2

    first, second = receiver.got
    assert Webhook(made.secret).verify(second.body, second.headers) == {
        "type": "invoice.paid",
        "timestamp": second.json["timestamp"],
        "data": {
            "record": {
                "id": record.pk, "kind": "invoice", "state": "paid", "version": 2, "connection": "Stripe",
                "external_id": record.references.get().external_id,
                "values": {"number": "F-1", "total": 4_812_50, "currency": "EUR", "amount_paid": 4_812_50},
            },
            "before": "open", "changed": ["state", "amount_paid"], "cause": "event",
            "occurred_at": second.json["data"]["occurred_at"],
        },
    }  # fmt: skip
    assert first.json["type"] == "invoice.open"
    assert b", " not in second.body
    assert states() == ["done", "done"]


def test_what_was_changed_on_the_way_is_not_verified(receiver: Receiver, subscribe: Subscribe, change: Change) -> None:
    made = subscribe()
    change()
    send()
    (got,) = receiver.got

    with pytest.raises(WebhookVerificationError):
        Webhook(made.secret).verify(got.body.replace(b"open", b"paid"), got.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(made.secret).verify(got.body, got.headers | {"webhook-id": "msg_other"})


def test_while_a_secret_rotates_both_verify_and_then_the_new_one_alone(
    receiver: Receiver, subscribe: Subscribe, change: Change
) -> None:
    made = subscribe()
    new = subscriptions.rotate(made.row, actor=TESTER, reason="It was shown to too many")

    change()
    send()

    (both,) = receiver.got
    assert len(both.headers["webhook-signature"].split(" ")) == 2
    for secret in (made.secret, new):
        Webhook(secret).verify(both.body, both.headers)

    SigningSecret.objects.filter(state="retiring").update(retire_at=timezone.now())
    subscriptions.retire_due()
    change()
    send()

    after = receiver.got[-1]
    Webhook(new).verify(after.body, after.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(made.secret).verify(after.body, after.headers)


def test_a_delivery_is_told_on_the_timeline_of_its_record(
    receiver: Receiver, subscribe: Subscribe, change: Change
) -> None:
    subscribe()
    record = change()

    send()

    entry = JournalEntry.objects.get(record_id=record.pk, action="delivery.delivered")
    assert (entry.lane, entry.summary) == ("commands", "Message invoice.open delivered to Warehouse")


def test_each_try_is_kept_with_its_answer(receiver: Receiver, subscribe: Subscribe, change: Change) -> None:
    subscribe()
    change()
    receiver.answer = lambda got: Answer(503, {"content-type": "text/plain"}, b"Not now\x00 please")
    send()
    receiver.says(200)
    let_time_pass()

    send()

    first, second = DeliveryAttempt.objects.order_by("id")
    assert (first.status, first.state, first.category) == (503, "answered", "provider outage")
    assert (first.answer, first.answer_type, first.address) == ("Not now please", "text/plain", "127.0.0.1")
    assert (second.status, second.problem, second.signed_with) == (200, "", "1")
    assert first.latency_ms is not None
    assert receiver.uids[0] == receiver.uids[1]
    assert int(receiver.got[0].headers["webhook-timestamp"]) == first.stamp


# -- in order


def test_a_younger_message_of_a_record_waits_for_the_older_one(
    receiver: Receiver, subscribe: Subscribe, change: Change
) -> None:
    subscribe()
    first = change()
    change(first, state="paid")
    change()
    receiver.answer = lambda got: Answer(500 if got.json["data"]["record"]["id"] == first.pk else 204)

    send()
    assert states() == ["waiting", "ready", "done"]

    receiver.says(204)
    let_time_pass()
    send()

    told = [
        got.json["data"]["record"]["version"] for got in receiver.got if got.json["data"]["record"]["id"] == first.pk
    ]
    assert told == [1, 1, 2]
    assert states() == ["done", "done", "done"]


def test_a_parked_message_keeps_back_the_younger_ones_until_somebody_decides(
    receiver: Receiver, subscribe: Subscribe, change: Change, settings: Any
) -> None:
    settings.OUTBOX_SCHEDULE = [0]
    subscribe()
    change(change(), state="paid")
    receiver.says(400)
    send()
    receiver.says(204)

    assert send() == 0
    assert states() == ["parked", "ready"]

    redeliver.dismiss(Delivery.objects.earliest("id"), actor=TESTER, reason="They have it by hand")
    send()
    assert states() == ["dismissed", "done"]


def test_a_slow_receiver_does_not_hold_up_another(receiver: Receiver, subscribe: Subscribe, change: Change) -> None:
    fast_came = threading.Event()

    def answer(got: Got) -> Answer:
        if got.path == "/slow":
            assert fast_came.wait(5)
        else:
            fast_came.set()
        return Answer()

    receiver.answer = answer
    subscribe("Slow", url=receiver.url.replace("/hooks", "/slow"))
    subscribe("Fast")
    change()

    send()

    assert states() == ["done", "done"]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_fails_no_record_goes_back_in_time(
    seed: int, receiver: Receiver, subscribe: Subscribe, change: Change
) -> None:
    """A message may come again after a failure, but none after a younger one of its record."""
    rng = random.Random(seed)
    receiver.answer = lambda got: Answer(rng.choice([204, 204, 204, 204, 500, 429]))
    subscribe()
    records = [change() for _ in range(4)]
    for _ in range(30):
        record = rng.choice(records)
        change(record, state=rng.choice(["open", "paid"]), amount_paid=rng.randrange(100))
        if rng.random() < 0.3:
            send()
            let_time_pass()
    while Delivery.objects.exclude(state="done").exists():
        Delivery.objects.filter(state="parked").update(state="ready", tries=0)
        let_time_pass()
        send()

    newest = dict.fromkeys((record.pk for record in records), 0)
    for got in receiver.got:
        about = got.json["data"]["record"]
        assert about["version"] - newest[about["id"]] in (0, 1)
        newest[about["id"]] = about["version"]
    assert newest == {record.pk: record.version for record in records}


# -- waking


def test_workers_are_woken_once_it_is_committed(
    subscribe: Subscribe, change: Change, quiet_broker: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    subscribe()

    with django_capture_on_commit_callbacks(execute=True):
        change()
        assert wake.DELIVERIES not in quiet_broker

    assert wake.DELIVERIES in quiet_broker


def test_the_sweep_wakes_for_what_is_due_and_only_then(
    receiver: Receiver, subscribe: Subscribe, change: Change, quiet_broker: list[str]
) -> None:
    subscribe()
    tasks.sweep()
    assert wake.DELIVERIES not in quiet_broker

    change()
    tasks.sweep()
    assert wake.DELIVERIES in quiet_broker

    tasks.send_deliveries()
    assert states() == ["done"]


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

    receipts.settle([(claims.done(each.number), each) for each in posted], claims.owner)

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


# -- pause


def test_a_pause_holds_what_is_there_and_what_comes(receiver: Receiver, subscribe: Subscribe, change: Change) -> None:
    made = subscribe()
    change()
    assert subscriptions.pause(made.row, actor=TESTER, reason="They move") == 1
    change()

    assert send() == 0
    assert states() == ["held", "held"]

    assert subscriptions.resume(made.row, actor=TESTER) == 2
    send()
    assert len(receiver.got) == 2


def test_a_pause_ends_by_itself(subscribe: Subscribe, change: Change) -> None:
    made = subscribe()
    subscriptions.pause(made.row, actor=TESTER, reason="Lunch", until=timezone.now() + timedelta(seconds=60))
    change()
    type(made.row).objects.update(paused_until=timezone.now())

    assert subscriptions.end_due() == 1
    assert send() == 1


def test_what_came_in_the_very_moment_of_a_pause_is_held(subscribe: Subscribe, change: Change) -> None:
    made = subscribe()
    subscriptions.pause(made.row, actor=TESTER, reason="They move")
    change()
    Delivery.objects.update(state="ready")

    assert send() == 0
    subscriptions.end_due()
    assert states() == ["held"]


@pytest.mark.django_db(transaction=True)
def test_what_was_written_by_sight_of_a_pause_that_is_over_goes_on_by_the_sweep(
    receiver: Receiver, subscribe: Subscribe, change: Change
) -> None:
    made = subscribe()
    subscriptions.pause(made.row, actor=TESTER, reason="They move")
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        change()
        pool.submit(in_thread, lambda: subscriptions.resume(made.row, actor=TESTER)).result()

    subscriptions.end_due()
    send()

    assert (states(), len(receiver.got)) == (["done"], 1)


@pytest.mark.parametrize("rest", [subscriptions.pause, subscriptions.disable])
def test_the_sweep_leaves_what_rests(subscribe: Subscribe, change: Change, rest: Callable[..., object]) -> None:
    made = subscribe()
    change()
    rest(made.row, actor=TESTER, reason="They move")

    subscriptions.end_due()

    assert states() == ["held"]


def test_an_ended_subscription_is_told_nothing(receiver: Receiver, subscribe: Subscribe, change: Change) -> None:
    made = subscribe()
    change()

    assert subscriptions.end(made.row, actor=TESTER, reason="They left") == 1
    change()

    assert (send(), states()) == (0, ["dismissed"])
    assert set(SigningSecret.objects.values_list("state", flat=True)) == {"revoked"}
    with pytest.raises(Refusal):
        subscriptions.rotate(made.row, actor=TESTER, reason="Too late")


def test_what_was_on_its_way_when_its_subscription_ended_is_dismissed(subscribe: Subscribe, change: Change) -> None:
    made = subscribe()
    change()
    outbox.Claims().more()
    subscriptions.end(made.row, actor=TESTER, reason="They left")
    Delivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))

    outbox.free_lost()
    subscriptions.end_due()

    assert states() == ["dismissed"]


def test_a_secret_that_cannot_be_opened_parks_its_own_deliveries_alone(
    receiver: Receiver, subscribe: Subscribe, change: Change
) -> None:
    broken, _ = subscribe("Broken"), subscribe("Warehouse")
    SigningSecret.objects.filter(subscription=broken.row).update(secret=b"of another installation")
    change()

    send()

    assert states() == ["parked", "done"]
    assert len(receiver.got) == 1
    assert "cannot be opened" in Delivery.objects.get(state="parked").problem


# -- replay


def test_a_replay_sends_the_same_message_again(receiver: Receiver, subscribe: Subscribe, change: Change) -> None:
    subscribe()
    change()
    send()

    redeliver.replay(Delivery.objects.get(), actor=TESTER, reason="They lost it")
    send()

    assert len(receiver.got) == 2
    assert receiver.got[0].body == receiver.got[1].body
    assert len(set(receiver.uids)) == 1
    assert Delivery.objects.get().replays == 1


def test_all_that_failed_since_a_time_is_replayed(
    receiver: Receiver, subscribe: Subscribe, change: Change, settings: Any
) -> None:
    settings.OUTBOX_SCHEDULE = [0]
    made = subscribe()
    receiver.says(500)
    for _ in range(3):
        change()
    send()
    old = Delivery.objects.earliest("id")
    since = timezone.now() - timedelta(hours=1)
    Delivery.objects.filter(pk=old.pk).update(created_at=since - timedelta(hours=1))
    receiver.says(204)

    assert redeliver.replay_failed(made.row, since=since, actor=TESTER, reason="They are back") == 2
    send()

    assert states() == ["parked", "done", "done"]
    with pytest.raises(Refusal):
        redeliver.replay_failed(made.row, since=since, actor=TESTER, reason="Again")


@pytest.mark.parametrize("state", ["ready", "leased", "held"])
def test_what_leaves_by_itself_is_not_replayed(state: str, subscribe: Subscribe, change: Change) -> None:
    subscribe()
    change()
    Delivery.objects.update(state=state)

    with pytest.raises(Refusal):
        redeliver.replay(Delivery.objects.get(), actor=TESTER, reason="Now")


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
