"""Kill the worker while it delivers: every message arrives at least once, under one id, in order per record."""

import contextlib
import os
import random
import signal
from collections import defaultdict
from typing import Any

import psutil
import pytest
from django.db import transaction
from django.utils import timezone
from standardwebhooks import Webhook

from integrations.configuration import subscriptions
from integrations.models import Cause, Connection, Delivery, DeliveryAttempt, JournalEntry, Message, Record, WorkState
from integrations.workflow import messages
from integrations.workflow.belief import transition
from tests import receiver as receivers
from tests.conftest import TESTER
from tests.processes import Product, end_all, wait_until

pytestmark = pytest.mark.fault

RECORDS, CHANGES, STRIKES = 60, 5, 5
PATIENCE = 60.0


@pytest.fixture
def allowed(product: Product, settings: Any) -> None:
    """Receivers of tests are on this machine."""
    settings.OUTBOX_ALLOW_PRIVATE = True
    product.variables |= {"OUTBOX_ALLOW_PRIVATE": "1", "OUTBOX_TIMEOUT": "0.5"}
    for victim in product.family("worker"):
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    product.start("worker")


def test_a_killed_sender_loses_nothing_and_keeps_ids_and_order(
    product: Product, target: Connection, allowed: None
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    rng, orphans = random.Random(seed), []
    with receivers.running() as receiver:
        receiver.answer = lambda got: receivers.Answer(rng.choice([204, 204, 204, 500]))
        _, secret = subscriptions.make(
            target.tenant, environment="test", name="Warehouse", url=receiver.url, topics=["*"], actor=TESTER
        )
        for _ in range(RECORDS):
            tell(target)
        for _ in range(STRIKES):
            orphans += strike(product, rng)
        wait_until("every delivery is over", all_done, PATIENCE)
        end_all(orphans)

    messages_made = dict(Message.objects.filter(connection=target).values_list("uid", "topic"))
    assert len(messages_made) == RECORDS * CHANGES
    assert set(receiver.uids) == messages_made.keys()
    for got in receiver.got:
        assert got.json["type"] == messages_made[got.uid]
    Webhook(secret).verify(receiver.got[-1].body, receiver.got[-1].headers)
    assert_order(receiver)
    attempts = DeliveryAttempt.objects.filter(delivery__connection=target)
    assert attempts.filter(problem__startswith="The worker ended").exists(), "no strike hit a delivery on its way"
    assert not attempts.filter(state="in flight").exists()
    told = JournalEntry.objects.filter(connection_id=target.pk, action="delivery.delivered")
    assert told.count() == RECORDS * CHANGES


def assert_order(receiver: receivers.Receiver) -> None:
    """Nobody downstream sees a record go back: a message comes again, but never after a younger one of its record."""
    newest: dict[int, int] = defaultdict(int)
    for got in receiver.got:
        record = got.json["data"]["record"]
        assert record["version"] in (newest[record["id"]], newest[record["id"]] + 1)
        newest[record["id"]] = record["version"]
    assert set(newest.values()) == {CHANGES}


def all_done() -> bool:
    """Let nothing wait for its next try, and say whether all arrived."""
    Delivery.objects.filter(state=WorkState.WAITING).update(due_at=timezone.now())
    return not Delivery.objects.exclude(state=WorkState.DONE).exists()


@transaction.atomic
def tell(target: Connection) -> None:
    """Make a record and change it several times."""
    now = timezone.now()
    record = Record.objects.create(
        tenant=target.tenant, environment="test", connection=target, kind="invoice", state="open", label="F-1",
        data={"amount_paid": 0}, occurred_at=now, created_at=now, updated_at=now,
    )  # fmt: skip
    for version in range(1, CHANGES + 1):
        record.version, before = version, "open" if version > 1 else ""
        changes = [("amount_paid", record.data["amount_paid"], version)]
        record.data = {"amount_paid": version}
        row = transition(record, before, changes, cause=Cause.EVENT, cause_id=1, occurred_at=now, now=now)
        row.save()
        messages.tell([row], now)
    record.save()


def strike(product: Product, rng: random.Random) -> list[psutil.Process]:
    """Wait until deliveries are in the hands of the worker, and kill it whole or one hand; return what is left."""
    with contextlib.suppress(pytest.fail.Exception):
        wait_until("deliveries are leased", Delivery.objects.filter(state="leased").exists, 5, every=0.003)
    head, *hands = product.family("worker")
    victims = rng.choice([[head, *hands], [head], hands])
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            os.kill(victim.pid, signal.SIGKILL)
    psutil.wait_procs(victims, timeout=5)
    if head in victims:
        product.start("worker")
        return hands
    return []
