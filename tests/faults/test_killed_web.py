"""Kill the web at any moment: what it acknowledged is there, and what it did not comes again and is one event."""

import contextlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from django.db.models import QuerySet

from integrations.models import Connection, Event
from tests.faults.outcome import assert_belief, assert_evidence, assert_once, wait_for_the_end
from tests.faults.webhooks import plan, send_all
from tests.processes import Product, wait_until

pytestmark = pytest.mark.fault

KILLS = 3


@pytest.fixture
def rng() -> random.Random:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.fixture
def mortal(product: Product) -> Iterator[Product]:
    """The product; whatever became of its web, it answers again afterwards."""
    yield product
    product.wait_for_web()


def kill_web(product: Product) -> None:
    """End the web and all that it has started, at once, and start it anew."""
    family = product.family("web")
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=10)
    product.start("web")


def wait_for(events: "QuerySet[Event]", enough: int) -> None:
    """Wait until so many have come, and look often, to strike in their midst."""
    wait_until(f"{enough} events are kept", lambda: events.count() >= enough, 40, every=0.002)


def test_what_was_acknowledged_is_there_once(mortal: Product, target: Connection, rng: random.Random) -> None:
    made = plan(rng, customers=10, invoices=15, each=10)
    events = Event.objects.filter(connection=target)

    with ThreadPoolExecutor(1) as sender:
        sent = sender.submit(send_all, f"{mortal.url}/hooks/{target.public_id}/", made.bodies)
        for _ in range(KILLS):
            enough = events.count() + rng.randint(5, len(made.bodies) // (KILLS + 2))
            wait_for(events, enough)
            kill_web(mortal)
        attempts = sent.result()
    wait_for_the_end(target)

    print(f"deliveries that were repeated: {sum(each > 1 for each in attempts)}")
    assert max(attempts) > 1
    assert_evidence(made, target, exactly=False)
    assert_once(target)
    assert_belief(made, target)
