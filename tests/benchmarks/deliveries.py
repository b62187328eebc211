"""10,000 signed deliveries, of 5,000 records with two changes each, by the real worker to a receiver that verifies.

They are held by a pause; the clock runs from its end to the commit of the last one. The limit is what a bare
asynchronous httpx client posts to the same receiver, the same bodies without signatures, and `BARE` at once: with more
its pool takes longer and longer.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from django.conf import settings
from django.utils import timezone

from integrations.boundary.signing import new_secret
from integrations.boundary.vault import seal
from integrations.configuration import subscriptions
from integrations.models import Cause, Connection, Delivery, Message, Record, SigningSecret, Subscription, Transition
from integrations.workflow import messages, outbox
from tests.benchmarks.lines import Line
from tests.benchmarks.stage import BENCH, ROOT, make_connection, worker

RECORDS, CHANGES = 5_000, 2
#: Seconds after which it is given up.
LONGEST = 120.0
CHUNK = 500
BARE = 8


def measure() -> Iterator[Line]:
    """Yield the lines of this part."""
    os.environ["OUTBOX_ALLOW_PRIVATE"] = "1"
    settings.OUTBOX_ALLOW_PRIVATE = True
    secret = new_secret()
    with receiver(secret) as url:
        subscription = subscribe(make_connection(), url, secret)
        with worker():
            rate = deliver(subscription)
        check(url)
        limit = asyncio.run(bare(url, bodies()))
    yield Line("deliveries_per_s", rate, "deliveries/s", limit)


@contextmanager
def receiver(secret: str) -> Iterator[str]:
    """Run the receiver; yields its address."""
    command = [sys.executable, "-m", "tests.benchmarks.receiver", secret]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/hooks"
        finally:
            process.send_signal(signal.SIGTERM)


def subscribe(connection: Connection, url: str, secret: str) -> Subscription:
    """Make a paused subscription with what it will be told, signed by a known secret."""
    made, _ = subscriptions.make(
        connection.tenant, environment="test", name="Warehouse", url=url, topics=["*"], actor=BENCH
    )
    SigningSecret.objects.filter(subscription=made).update(secret=seal(secret.encode()))
    subscriptions.pause(made, actor=BENCH, reason="To be measured from its end")
    for start in range(0, RECORDS, CHUNK):
        tell(connection, range(start, start + CHUNK))
    assert Delivery.objects.filter(state="held").count() == RECORDS * CHANGES
    return made


def tell(connection: Connection, numbers: range) -> None:
    """Make invoices that were opened and paid, and tell of it."""
    now = timezone.now()
    records = Record.objects.bulk_create(invoice(connection, number) for number in numbers)
    rows = [
        Transition(
            record=record, version=version, from_state=before, to_state=after, changes=[["state", before, after]],
            cause=Cause.EVENT, occurred_at=now, at=now,
        )
        for record in records
        for version, before, after in ((1, "", "open"), (2, "open", "paid"))
    ]  # fmt: skip
    messages.tell(Transition.objects.bulk_create(rows), now)


def invoice(connection: Connection, number: int) -> Record:
    now = timezone.now()
    data: dict[str, Any] = {
        "number": f"F-{number:06}", "customer": f"cus_{number:06}", "currency": "EUR", "subtotal": 10_000,
        "tax": 2_100, "total": 12_100, "amount_due": 0, "amount_paid": 12_100, "created_at": now.isoformat(),
    }  # fmt: skip
    return Record(
        tenant=connection.tenant, environment="test", connection=connection, kind="invoice", state="paid", data=data,
        version=2, label=data["number"], occurred_at=now, created_at=now, updated_at=now,
    )  # fmt: skip


def deliver(subscription: Subscription) -> float:
    """Let go what is held; return the deliveries a second. Raises AssertionError when they do not all arrive."""
    began = time.perf_counter()
    subscriptions.resume(subscription, actor=BENCH)
    while (left := Delivery.objects.exclude(state="done").exists()) and time.perf_counter() - began < LONGEST:
        time.sleep(0.02)
    assert not left
    return RECORDS * CHANGES / (time.perf_counter() - began)


def check(url: str) -> None:
    """Prove that each message arrived once with a signature that fits; raises AssertionError."""
    with urllib.request.urlopen(url) as answer:
        told = json.load(answer)
    assert told == {"came": RECORDS * CHANGES, "ids": Message.objects.count(), "wrong": 0}, told


def bodies() -> list[bytes]:
    """Return what was delivered."""
    rows = Message.objects.values_list("topic", "created_at", "payload")
    return [outbox.body_of(topic, at, json.dumps(data)) for topic, at, data in rows]


async def bare(url: str, given: list[bytes]) -> float:
    """Return what a bare client posts a second to the same receiver."""
    left = iter(given)
    limits = httpx.Limits(max_connections=BARE, max_keepalive_connections=BARE)

    async def post(client: httpx.AsyncClient) -> None:
        for body in left:
            answer = await client.post(url, content=body, headers={"content-type": "application/json"})
            assert answer.status_code == 204

    began = time.perf_counter()
    async with httpx.AsyncClient(limits=limits) as client:
        await asyncio.gather(*(post(client) for _ in range(BARE)))
    return len(given) / (time.perf_counter() - began)
