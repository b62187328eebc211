"""Kill the worker at any moment, empty the broker at any moment: nothing is lost, nothing happens twice."""

import contextlib
import os
import random
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest
import redis

from integrations.models import Connection, Event, WorkState
from tests.faults.outcome import assert_belief, assert_evidence, assert_once, wait_for_the_end
from tests.faults.webhooks import plan, send_all
from tests.processes import Product, end_all, wait_until

pytestmark = pytest.mark.fault

BURSTS = 8
#: How often the worker must die with work in its hands for this to be a test at all.
LEAST_STRUCK = 3
WORK_SECONDS = 6.0


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
def reaper(product: Product, broker: "redis.Redis") -> Iterator[Reaper]:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    made = Reaper(product, broker, random.Random(seed))
    yield made
    end_all(made.orphans)


def test_every_event_is_done_or_parked_and_none_twice(product: Product, target: Connection, reaper: Reaper) -> None:
    made = plan(reaper.rng)
    url = f"{product.url}/hooks/{target.public_id}/"
    size = -(-len(made.bodies) // BURSTS)
    assert len(made.bodies) >= 1000

    with ThreadPoolExecutor(1) as sender:
        for start in range(0, len(made.bodies), size):
            sent: Future[list[int]] = sender.submit(send_all, url, made.bodies[start : start + size])
            reaper.strike()
            assert set(sent.result()) == {1}
    reaper.broker.flushall()
    wait_for_the_end(target)

    print(f"events in the hands of killed workers: {reaper.struck}")
    assert sum(count > 0 for count in reaper.struck) >= LEAST_STRUCK
    assert_evidence(made, target)
    assert_once(target)
    assert_belief(made, target)
