"""Pauses hold and people send again; nothing is dropped."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from integrations.configuration import subscriptions
from integrations.models import Delivery, SigningSecret
from integrations.workflow import outbox, redeliver
from integrations.workflow.errors import Refusal
from tests.conftest import TESTER, in_thread
from tests.outbox.conftest import send
from tests.outbox.sending.conftest import Change, Subscribe, states
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db


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
        pool.submit(in_thread, partial(subscriptions.resume, made.row, actor=TESTER)).result()

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
