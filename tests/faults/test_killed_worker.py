"""Kill the worker at any moment, empty the broker at any moment: nothing is lost, nothing happens twice."""

import contextlib
import os
import random
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import psutil
import pytest
import redis
from django.db.models import Count, F, Sum
from django.utils import timezone

from integrations.models import (
    Connection,
    Event,
    Failure,
    JournalEntry,
    Record,
    Reference,
    Stream,
    Tally,
    Tenant,
    Transition,
    WorkState,
)
from tests.conftest import connected, signed
from tests.faults.webhooks import Plan, plan
from tests.processes import Product, end_all, wait_until

pytestmark = pytest.mark.fault

BURSTS = 8
SENDERS = 4
#: How often the worker must die with work in its hands for this to be a test at all.
LEAST_STRUCK = 3
WORK_SECONDS = 6.0
#: Leases run out after 2 seconds, sweeps come twice a second, retries wait for 30 s at most at a tenth.
PATIENCE = 25.0
OPEN = (WorkState.READY, WorkState.LEASED, WorkState.WAITING, WorkState.HELD)


@dataclass
class Reaper:
    """Kills the worker, and empties the broker."""

    product: Product
    broker: "redis.Redis"
    rng: random.Random
    #: How many events each strike found in the hands of the worker.
    struck: list[int] = field(default_factory=list)
    dead: set[Any] = field(default_factory=set)
    orphans: list[psutil.Process] = field(default_factory=list)

    def strike(self) -> None:
        """Wait until the worker has work, kill it whole, its head, or one hand, and start what must be started."""
        with contextlib.suppress(pytest.fail.Exception):
            wait_until("work is leased", self.at_work, WORK_SECONDS, every=self.rng.uniform(0.001, 0.02))
        head, *hands = self.product.family("worker")
        victims = self.rng.choice([[head, *hands], [head, *hands], [head], hands])
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                os.kill(victim.pid, signal.SIGKILL)
        psutil.wait_procs(victims, timeout=5)
        held = self.at_work()
        self.struck.append(len(held))
        self.dead |= {owner for _, owner in held}
        if self.rng.random() < 0.7:
            self.broker.flushall()
        if head in victims:
            self.orphans += hands
            self.product.start("worker")

    def at_work(self) -> list[tuple[int, Any]]:
        """Return the events under a lease of somebody who was not killed before, with the lease's owner."""
        leased = Event.objects.filter(state=WorkState.LEASED).exclude(leased_by__in=self.dead)
        return list(leased.values_list("pk", "leased_by"))


@pytest.fixture
def target(product: Product) -> Connection:
    """A connection whose provider nobody asks: all evidence comes by webhook."""
    tenant = Tenant.objects.create(slug="faults", name="Faults")
    made = connected(tenant, api_base="http://127.0.0.1:9")
    Stream.objects.filter(connection=made).update(next_run_at=timezone.now() + timedelta(days=1))
    return made


@pytest.fixture
def reaper(product: Product, broker: "redis.Redis") -> Iterator[Reaper]:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    made = Reaper(product, broker, random.Random(seed))
    yield made
    end_all(made.orphans)


def send_all(url: str, bodies: list[bytes]) -> list[int]:
    """Deliver the webhooks from several senders at once; return the statuses."""
    with httpx.Client(timeout=30) as client, ThreadPoolExecutor(SENDERS) as pool:
        return list(pool.map(lambda body: client.post(url, content=body, headers=signed(body)).status_code, bodies))


def test_every_event_is_done_or_parked_and_none_twice(product: Product, target: Connection, reaper: Reaper) -> None:
    made = plan(reaper.rng)
    url = f"{product.url}/hooks/{target.public_id}/"
    size = -(-len(made.bodies) // BURSTS)
    assert len(made.bodies) >= 1000

    with ThreadPoolExecutor(1) as sender:
        for start in range(0, len(made.bodies), size):
            sent: Future[list[int]] = sender.submit(send_all, url, made.bodies[start : start + size])
            reaper.strike()
            assert set(sent.result()) == {200}
    reaper.broker.flushall()
    wait_until("no event is open", lambda: not Event.objects.filter(state__in=OPEN).exists(), PATIENCE)

    print(f"events in the hands of killed workers: {reaper.struck}")
    assert sum(count > 0 for count in reaper.struck) >= LEAST_STRUCK
    assert_evidence(made)
    assert_once()
    assert_belief(made)


def assert_evidence(made: Plan) -> None:
    """Each event is here once, with all its deliveries, done, or parked where people see it."""
    events = {event.provider_event_id: event for event in Event.objects.all()}
    assert events.keys() == made.deliveries.keys()
    for name, count in made.deliveries.items():
        event = events[name]
        assert event.redelivered == count - 1, name
        assert (event.state, event.category) == (
            (WorkState.PARKED, made.poison[name]) if name in made.poison else (WorkState.DONE, "")
        ), name
    open_failures = Failure.objects.filter(resolved_at__isnull=True, event__isnull=False)
    parked = {event.pk for event in events.values() if event.state == WorkState.PARKED}
    assert set(open_failures.values_list("event_id", flat=True)) == parked
    counted = open_failures.values("problem", "problem__open_count").annotate(ours=Count("id"))
    assert all(row["problem__open_count"] == row["ours"] for row in counted)
    stuck = {event.record_id for event in events.values() if event.state == WorkState.PARKED and event.record_id}
    assert set(Record.objects.filter(stuck_since__isnull=False).values_list("pk", flat=True)) == stuck


def assert_once() -> None:
    """No event was decided, counted or turned into belief twice."""
    decided = lines_of("event.decided")
    parked = lines_of("event.parked")
    assert set(decided.values()) == set(parked.values()) == {1}
    assert decided.keys() == set(Event.objects.filter(state=WorkState.DONE).values_list("pk", flat=True))
    assert parked.keys() == set(Event.objects.filter(state=WorkState.PARKED).values_list("pk", flat=True))
    assert Tally.objects.aggregate(done=Sum("done"))["done"] == len(decided)
    assert not Transition.objects.values("cause_id").annotate(times=Count("id")).filter(times__gt=1).exists()
    for record in Record.objects.annotate(transitions_made=Count("transitions")):
        versions = list(record.transitions.order_by("version").values_list("version", flat=True))
        assert versions == list(range(1, record.version + 1))
    changes = JournalEntry.objects.filter(action="record.changed").count()
    assert changes == Transition.objects.count()
    redelivered = Event.objects.aggregate(total=Sum(F("redelivered")))["total"]
    assert JournalEntry.objects.filter(action="event.redelivered").count() == redelivered


def lines_of(action: str) -> dict[int, int]:
    """Return how many journal lines of an action each event has."""
    rows = JournalEntry.objects.filter(action=action).values("subject_id").annotate(lines=Count("id"))
    return {row["subject_id"]: row["lines"] for row in rows if row["subject_id"]}


def assert_belief(made: Plan) -> None:
    """Every record is as its newest readable evidence says."""
    references = Reference.objects.select_related("record")
    assert {ref.external_id for ref in references} == made.truth.keys()
    for ref in references:
        state, fields, at = made.truth[ref.external_id]
        held: Any = {name: ref.record.data[name] for name in fields}
        assert (ref.record.state, held, int(ref.seen_at.timestamp())) == (state, fields, at), ref.external_id
