"""What arrives at a receiver: verified, in order, on the timeline."""

import random
import threading
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from integrations.boundary import posting
from integrations.configuration import subscriptions
from integrations.models import Delivery, DeliveryAttempt, JournalEntry, SigningSecret
from integrations.workflow import redeliver, tasks, wake
from tests.conftest import TESTER
from tests.outbox.conftest import let_time_pass, send
from tests.outbox.sending.conftest import Change, Subscribe, states
from tests.receiver import Answer, Got, Receiver

pytestmark = pytest.mark.django_db


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


def test_a_slow_receiver_does_not_hold_up_another_at_its_host(
    receiver: Receiver, subscribe: Subscribe, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "AT_ONCE", 1)
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
