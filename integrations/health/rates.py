"""How much goes through and how much fails: counted in steps of ten minutes, read for the last 24 hours."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection as database

from integrations.models import Tally

STEP = timedelta(minutes=10)
HOURS = 24
#: Exchanges looked at for a latency: the newest of the last hour, so that the question stays cheap.
EXCHANGES = 500


@dataclass
class Count:
    """What some work came to: went through, changed belief, failed."""

    done: int = 0
    applied: int = 0
    failed: int = 0

    def __bool__(self) -> bool:
        return bool(self.done or self.failed)


@dataclass(frozen=True)
class Rates:
    """A connection's last 24 hours, oldest first, and the last hour by itself."""

    hours: tuple[Count, ...] = tuple(Count() for _ in range(HOURS))

    @property
    def last_hour(self) -> Count:
        return self.hours[-1]

    @property
    def series(self) -> list[tuple[int, int]]:
        """(done, failed) for each hour."""
        return [(hour.done, hour.failed) for hour in self.hours]


def step_of(at: datetime) -> datetime:
    """Return when the ten minutes that hold `at` began."""
    return at - (at - datetime.min.replace(tzinfo=at.tzinfo)) % STEP


def count(counts: Mapping[int, Count], at: datetime) -> None:
    """Add to the counts of some connections, by id.

    Call it last in a transaction: the row stays locked until the commit, and all workers add to it.
    """
    rows = [
        Tally(connection_id=pk, at=step_of(at), done=new.done, applied=new.applied, failed=new.failed)
        for pk, new in sorted(counts.items())
        if new
    ]
    if not rows:
        return
    with database.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO integrations_tally AS t (connection_id, at, done, applied, failed) VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT (connection_id, at) DO UPDATE SET done = t.done + EXCLUDED.done,
                applied = t.applied + EXCLUDED.applied, failed = t.failed + EXCLUDED.failed
            """,
            [(row.connection_id, row.at, row.done, row.applied, row.failed) for row in rows],
        )


def rates_of(connection_ids: Collection[int], now: datetime) -> dict[int, Rates]:
    """Return the rates of some connections, each with a place. One query over at most 144 rows a connection.

    Hours are counted back from the end of the present ten minutes, so the last one holds 50 to 60 minutes.
    """
    end = step_of(now) + STEP
    hours = {pk: [Count() for _ in range(HOURS)] for pk in connection_ids}
    with database.cursor() as cursor:
        cursor.execute(
            """
            SELECT connection_id, floor(extract(epoch FROM %s - at - interval '1 second') / 3600)::int,
                   sum(done)::bigint, sum(applied)::bigint, sum(failed)::bigint
            FROM integrations_tally WHERE connection_id = ANY(%s) AND at >= %s AND at < %s
            GROUP BY 1, 2
            """,
            [end, list(connection_ids), end - timedelta(hours=HOURS), end],
        )
        for pk, back, done, applied, failed in cursor.fetchall():
            hours[pk][HOURS - 1 - back] = Count(done, applied, failed)
    return {pk: Rates(tuple(counts)) for pk, counts in hours.items()}


def latencies_of(connection_ids: Collection[int], now: datetime) -> dict[int, float]:
    """Return in seconds how long 95 of 100 exchanges of the last hour took at most; without exchanges, no entry."""
    with database.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.id, percentile_cont(0.95) WITHIN GROUP (ORDER BY a.latency_ms) / 1000
            FROM unnest(%s::bigint[]) AS c(id) CROSS JOIN LATERAL (
                SELECT latency_ms FROM integrations_attempt
                WHERE connection_id = c.id AND started_at > %s ORDER BY started_at DESC LIMIT %s) a
            WHERE a.latency_ms IS NOT NULL GROUP BY c.id
            """,
            [list(connection_ids), now - timedelta(hours=1), EXCHANGES],
        )
        return {pk: float(seconds) for pk, seconds in cursor.fetchall()}
