"""Deliveries of tenants and of subscriptions go in turns: who has much to be told, slowly, keeps back nobody else."""

import threading
from collections import Counter
from collections.abc import Callable

import psycopg
import pytest
from django.utils import timezone

from integrations.boundary import posting
from integrations.boundary.posting import Posted
from integrations.boundary.receive import connection_parameters
from integrations.configuration import subscriptions
from integrations.models import Connection, Delivery, DeliveryAttempt
from integrations.workflow import outbox, wake
from integrations.workflow.errors import Refusal
from tests.conftest import TESTER
from tests.outbox.conftest import send
from tests.outbox.sending.conftest import Change, Subscribe
from tests.receiver import Answer, Got, Receiver

pytestmark = pytest.mark.django_db


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are twelve places in all."""
    monkeypatch.setattr(outbox, "MOST", 12)


def claimed(claims: outbox.Claims) -> Counter[str]:
    """Claim what may be claimed; return how many are in hand, by subscription."""
    claims.more()
    return Counter(sent.subscription for sent in claims.sent.values())


@pytest.mark.usefixtures("few")
def test_tenants_are_served_in_turns_and_so_are_their_subscriptions(
    subscribe: Subscribe, change: Change, other_connection: Connection
) -> None:
    for name in ("A", "B", "C"):
        subscribe(name)
    for _ in range(10):
        change()
    subscribe("Theirs", tenant=other_connection.tenant)
    for _ in range(3):
        change(on=other_connection)

    assert claimed(outbox.Claims()) == {"A": 2, "B": 2, "C": 2, "Theirs": 3}


@pytest.mark.usefixtures("few")
def test_a_tenant_leaves_places_for_who_comes_later(
    subscribe: Subscribe, change: Change, other_connection: Connection
) -> None:
    """Receivers may keep all that is in hand for as long as they are given."""
    claims = outbox.Claims()
    for name in ("A", "B", "C"):
        subscribe(name)
    for _ in range(10):
        change()
    assert claimed(claims).total() == 6
    assert claimed(claims).total() == 6
    subscribe("Theirs", tenant=other_connection.tenant)
    for _ in range(10):
        change(on=other_connection)

    assert claimed(claims)["Theirs"] == 3


@pytest.mark.usefixtures("few")
def test_what_is_in_hand_counts_when_turns_are_taken(subscribe: Subscribe, change: Change) -> None:
    claims = outbox.Claims()
    subscribe("A")
    for _ in range(5):
        change()
    assert claimed(claims) == {"A": 5}
    subscribe("B")
    for _ in range(5):
        change()

    assert claimed(claims) == {"A": 5, "B": 1}


def test_of_many_subscriptions_with_one_busy_that_one_is_served_in_full(subscribe: Subscribe, change: Change) -> None:
    for number in range(30):
        subscribe(f"Quiet {number}", topics=("refund.*",))
    subscribe("Busy")
    for _ in range(posting.AT_ONCE + 1):
        change()

    assert claimed(outbox.Claims()) == {"Busy": posting.AT_ONCE}


@pytest.mark.parametrize(("latency_ms", "status", "most"), [(20, 204, 6), (20, 500, 6), (20, None, 1), (2_500, 204, 1)])
def test_only_who_answers_quickly_is_sent_more_than_goes_at_once(
    latency_ms: int,
    status: int | None,
    most: int,
    subscribe: Subscribe,
    change: Change,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, number in (("AT_ONCE", 2), ("MOST_TO_ONE", 6), ("MOST_TO_SLOW", 1)):
        monkeypatch.setattr(outbox, name, number)
    subscribe("A")
    for _ in range(10):
        change()
    claims = outbox.Claims()
    assert claimed(claims) == {"A": 2}

    for number in list(claims.sent):
        claims.done(Posted(number, 1, timezone.now(), latency_ms=latency_ms, status=status))

    assert claimed(claims) == {"A": most}


def test_others_may_claim_while_the_last_answers_of_a_turn_are_waited_for(
    receiver: Receiver, subscribe: Subscribe, change: Change, quiet_broker: list[str]
) -> None:
    free: list[bool] = []

    def answer(got: Got) -> Answer:
        wait_for(lambda: wake.DELIVERIES in quiet_broker)
        with psycopg.connect(**connection_parameters(), autocommit=True) as another:
            row = another.execute("SELECT pg_try_advisory_lock(%s, 0)", [outbox.LOCK]).fetchone()
            free.append(bool(row and row[0]))
        return Answer()

    receiver.answer = answer
    subscribe()
    change()
    quiet_broker.clear()

    outbox.send_due(seconds=0.1)

    assert free == [True]
    assert Delivery.objects.get().state == "done"


def test_what_waits_for_another_at_the_end_of_a_turn_is_given_back_untried(
    receiver: Receiver, subscribe: Subscribe, change: Change, quiet_broker: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the last of a turn would be waited for as often as they have to wait for each other."""
    monkeypatch.setattr(posting, "AT_ONCE", 1)
    first_came = threading.Event()

    def answer(got: Got) -> Answer:
        if not first_came.is_set():
            first_came.set()
            wait_for(lambda: wake.DELIVERIES in quiet_broker)
        return Answer()

    receiver.answer = answer
    subscribe()
    for _ in range(3):
        change()
    quiet_broker.clear()

    assert outbox.send_due(seconds=0.1) == 1

    assert Counter(Delivery.objects.values_list("state", "tries")) == {("done", 0): 1, ("ready", 0): 2}
    assert DeliveryAttempt.objects.count() == 1
    assert send() == 2
    assert len(receiver.got) == 3


def wait_for(told: Callable[[], bool]) -> None:
    """Return once something is so, or after some seconds."""
    pause = threading.Event()
    for _ in range(300):
        if told():
            return
        pause.wait(0.01)


def test_a_tenant_has_so_many_subscriptions_in_an_environment(
    subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch, other_connection: Connection
) -> None:
    monkeypatch.setattr(subscriptions, "MOST", 2)
    first = subscribe("First")
    subscribe("Second")

    with pytest.raises(Refusal, match="End one that is no longer needed"):
        subscribe("Third")

    subscribe("Elsewhere", environment="live", url="https://127.0.0.1:9/hooks")
    subscribe("Theirs", tenant=other_connection.tenant)
    subscriptions.end(first.row, actor=TESTER, reason="It moved")
    subscribe("Third")
