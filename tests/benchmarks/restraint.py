"""How much of an allowed rate is used, and how often the provider says 429: by a simulated clock, in seconds.

Workers ask the real bucket in the real database; only time and the provider are simulated. The provider allows 60 in a
minute, 5,000 in a day and 5 at once, as Xero does, once with windows that slide and once with minutes that begin by the
clock. Answers take between moments and seconds, both ways.
"""

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection as database

from integrations.boundary import limits
from integrations.boundary.limits import PATIENCE, Leave
from integrations.models import Connection, Pace
from integrations.providers.base import Remaining
from tests.benchmarks.lines import Line
from tests.benchmarks.stage import make_connection

ALLOWED: Final = {"per_minute": 60, "per_day": 5000, "at_once": 5}
BEGAN: Final = datetime(2026, 3, 1, 12, 0, 17, tzinfo=UTC)
#: Simulated seconds of each variant: enough for a thousand calls.
SECONDS: Final = 1200.0
WORKERS: Final = (3, 8)


@dataclass
class Sliding:
    """The provider's limiter: a request counts for a minute, and for a day, after it came."""

    came: list[float] = field(default_factory=list)
    under_way: int = 0

    def enter(self, at: float) -> float | None:
        """Take a request, or return for how many seconds to stay away."""
        if self.under_way >= ALLOWED["at_once"]:
            return 1.0
        if len(self.counted(at)) >= ALLOWED["per_minute"]:
            return self.again(at)
        self.came.append(at)
        return None

    def counted(self, at: float) -> list[float]:
        """Return when those came that count now."""
        return [time for time in self.came[-ALLOWED["per_minute"] :] if time > at - 60]

    def again(self, at: float) -> float:
        """Return after how many seconds there is a place."""
        return self.counted(at)[0] + 60 - at

    def left(self, at: float) -> Remaining:
        """Return what an answer says is left."""
        return Remaining(ALLOWED["per_minute"] - len(self.counted(at)), ALLOWED["per_day"] - len(self.came))


class Fixed(Sliding):
    """Its minutes begin by the clock, whenever requests come."""

    def counted(self, at: float) -> list[float]:
        return [time for time in self.came[-ALLOWED["per_minute"] :] if time // 60 == at // 60]

    def again(self, at: float) -> float:
        return 60 - at % 60


@dataclass
class Simulation:
    """Workers that never run out of work at one connection, on one clock that only events move."""

    connection: Connection
    provider: Sliding
    rng: random.Random
    calls: int = 0
    refusals: int = 0
    _queue: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    _number: int = 0

    def run(self, workers: int, seconds: float) -> None:
        """Let the clock go from zero to `seconds`."""
        for _ in range(workers):
            self.at(self.rng.random(), lambda now: self.ask(now, PATIENCE))
        while self._queue and self._queue[0][0] < seconds:
            now, _, act = heapq.heappop(self._queue)
            act(now)

    def at(self, when: float, act: Callable[[float], None]) -> None:
        """Do something later."""
        self._number += 1
        heapq.heappush(self._queue, (when, self._number, act))

    def ask(self, now: float, patience: float) -> None:
        """A worker asks for leave: it waits a little, or hands its work over until the sweeper wakes somebody."""
        answer = limits.ask(self.connection, now=clock(now))
        if isinstance(answer, Leave):
            leave = answer
            self.at(now + self.rng.uniform(0.02, 0.4), lambda at: self.arrive(at, leave))
        elif answer.seconds <= patience:
            left = patience - answer.seconds
            self.at(now + answer.seconds, lambda at: self.ask(at, left))
        else:
            self.at(swept(now + answer.seconds), lambda at: self.ask(at, PATIENCE))

    def arrive(self, now: float, leave: Leave) -> None:
        """The provider counts the request, and works on it."""
        self.calls += 1
        retry_after = self.provider.enter(now)
        left = self.provider.left(now)
        if retry_after is None:
            self.provider.under_way += 1
            took = self.rng.uniform(0.1, 1.5) if self.rng.random() < 0.98 else self.rng.uniform(3, 9)
            self.at(now + took, lambda at: self.answer(at, leave, left))
        else:
            self.refusals += 1
            self.at(now + 0.05, lambda at: self.refuse(at, leave, retry_after))

    def answer(self, now: float, leave: Leave, left: Remaining) -> None:
        self.provider.under_way -= 1
        self.at(now + self.rng.uniform(0.02, 0.4), lambda at: self.over(at, leave, left))

    def refuse(self, now: float, leave: Leave, retry_after: float) -> None:
        limits.told_to_wait(self.connection, retry_after, now=clock(now))
        self.connection.refresh_from_db()
        self.over(now, leave, None)

    def over(self, now: float, leave: Leave, left: Remaining | None) -> None:
        """The worker has its answer, and goes on with the next request."""
        leave.done(left, now=clock(now))
        self.at(now + 0.01, lambda at: self.ask(at, PATIENCE))


def clock(seconds: float) -> datetime:
    """Return the time of day of a simulated second."""
    return BEGAN + timedelta(seconds=seconds)


def swept(seconds: float) -> float:
    """Return when the sweeper next wakes workers."""
    return (seconds // settings.SWEEP_SECONDS + 1) * settings.SWEEP_SECONDS


def measure() -> Iterator[Line]:
    """Yield the worst of all variants."""
    connection = make_connection()
    connection.limits = ALLOWED
    connection.save(update_fields=["limits"])
    with database.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
    refused, used = [], []
    for kind in (Sliding, Fixed):
        for workers in WORKERS:
            Pace.objects.all().delete()
            Connection.objects.update(wait_until=None)
            simulation = Simulation(connection, kind(), random.Random(workers))
            simulation.run(workers, SECONDS)
            refused.append(simulation.refusals / simulation.calls * 1000)
            used.append((simulation.calls - simulation.refusals) / (ALLOWED["per_minute"] * SECONDS / 60))
    yield Line("xero_429_per_1000", max(refused), "answers", 1)
    yield Line("xero_rate_used", min(used), "of the allowed rate", 1)
