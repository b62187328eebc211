"""How much a connection may ask: one bucket a connection, shared by all workers, in one row of the database.

A request needs a leave. What is allowed in a minute is a token bucket, what is allowed in a day is counted by the
hour, and what is allowed at once are places that end by themselves, so that a killed worker frees its own. Taking
a leave is one statement: two workers never get the same token.
"""

import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from django.conf import settings
from django.db import connection as database
from django.utils import timezone

from integrations.failures.categories import NotYet
from integrations.models import Connection, Pace
from integrations.providers import get_adapter
from integrations.providers.base import Limits, Remaining

Which = Literal["told", "day", "minute", "at once"]

#: The provider counts when requests arrive, we when they leave: our minute is this many seconds longer.
SLACK: Final = 2.0
#: Seconds after which a place under the limit at once is looked for again.
LOOK_AGAIN: Final = 0.1
#: Seconds that a worker waits for a leave before it hands its work over.
PATIENCE: Final = 2.0
#: A bucket that no provider limits: requests, and requests a second.
UNLIMITED: Final = 1e9

WHY: Final[dict[Which, str]] = {
    "told": "The provider asked us to wait",
    "day": "What the provider allows in a day is used up",
    "minute": "What the provider allows in a minute is used up",
    "at once": "As many requests are under way as the provider allows at once",
}


@dataclass(frozen=True)
class Wait:
    """No leave now: look again in `seconds`. `which` limit it is."""

    seconds: float
    which: Which

    @property
    def why(self) -> str:
        return WHY[self.which]


@dataclass
class Leave:
    """One request may go now. Call `done` when it is over, or `give_back` when it was not needed after all."""

    connection: Connection
    #: Marks its place among the requests under way, None where their number is not limited.
    mark: float | None = None
    _over: bool = field(default=False, repr=False)

    def done(self, remaining: Remaining | None = None, *, now: datetime | None = None) -> None:
        """Free the place, and take over what the provider says is left where that is less than we counted."""
        over, self._over = self._over, True
        if over or (self.mark is None and remaining is None):
            return
        left = remaining or Remaining()
        _run(DONE, self.connection, now, mark=self.mark, this_minute=left.this_minute, today=left.today)

    def give_back(self, *, now: datetime | None = None) -> None:
        """Undo the leave: no request left."""
        if not self._over:
            self._over = True
            _run(GIVE_BACK, self.connection, now, mark=self.mark)


def limits_of(connection: Connection) -> Limits:
    """Return what a connection is allowed: what was agreed for it, else what its adapter says."""
    named = get_adapter(connection.provider).limits
    agreed = connection.limits
    return Limits(
        per_minute=agreed.get("per_minute", named.per_minute),
        per_day=agreed.get("per_day", named.per_day),
        at_once=agreed.get("at_once", named.at_once),
    )


def bucket_of(per_minute: int | None) -> tuple[float, float]:
    """Return (capacity in requests, refill in requests a second) for a number allowed in any 60 seconds.

    A bucket lets through at most capacity + refill × time. Over 60 s and the slack that stays below one more than
    the number, wherever the provider's minute begins, and whether it is fixed or slides.
    """
    if per_minute is None:
        return UNLIMITED, UNLIMITED
    capacity = per_minute // 60 + 1
    return float(capacity), (per_minute + 1 - capacity - 0.01) / (60 + SLACK)


# The row as it is now: filled by the time that has passed, with the hours moved on and the places that ended left out.
# Time never goes back in it, whatever clock a worker has. Every statement locks the row first, so each sees the last.
# Of the hours 25 are kept: whatever 24 one looks at lie within them.
PRESENT = """
WITH locked AS (
    SELECT p.*, greatest(coalesce(%(now)s::timestamptz, clock_timestamp()), p.refilled_at) AS at
    FROM integrations_pace p WHERE p.connection_id = %(connection)s FOR UPDATE
), moved AS (
    SELECT l.*, least(25, extract(epoch FROM date_trunc('hour', l.at) - l.hour_at) / 3600)::int AS gone
    FROM locked l
), present AS (
    SELECT m.connection_id, m.at, date_trunc('hour', m.at) AS hour_at,
           least(%(capacity)s, m.tokens + %(refill)s * extract(epoch FROM m.at - m.refilled_at)::float8) AS tokens,
           (m.hours || array_fill(0, ARRAY[m.gone]))[m.gone + 1 : m.gone + 25] AS hours,
           ARRAY(SELECT u FROM unnest(m.under_way) u WHERE u > extract(epoch FROM m.at)::float8) AS under_way
    FROM moved m
), used AS (
    SELECT p.*, (SELECT sum(h) FROM unnest(p.hours) h) AS day FROM present p
)"""

ASK = (
    PRESENT  # noqa: S608
    + """, told AS (
    SELECT u.*, extract(epoch FROM u.at)::float8 + %(lease)s + random() / 1000 AS mark, c.wait_until,
           CASE WHEN c.wait_until > u.at THEN 'told'
                WHEN u.day >= %(per_day)s::int THEN 'day'
                WHEN u.tokens < 1 - 1e-6 THEN 'minute'
                WHEN cardinality(u.under_way) >= %(at_once)s::int THEN 'at once' ELSE '' END AS which
    FROM used u JOIN integrations_connection c ON c.id = u.connection_id
), taken AS (
    UPDATE integrations_pace p
    SET tokens = t.tokens - 1, refilled_at = t.at, hour_at = t.hour_at, hours = t.hours[1:24] || (t.hours[25] + 1),
        under_way = CASE WHEN %(at_once)s::int IS NULL THEN t.under_way ELSE t.under_way || t.mark END
    FROM told t WHERE p.connection_id = t.connection_id AND t.which = ''
)
SELECT which, mark, CASE which
    WHEN 'told' THEN extract(epoch FROM wait_until - at)::float8
    WHEN 'day' THEN extract(epoch FROM hour_at + interval '1 hour' - at)::float8
    WHEN 'minute' THEN (1 - tokens) / %(refill)s ELSE %(look_again)s END
FROM told
"""
)

DONE = (
    PRESENT
    + """
UPDATE integrations_pace p
SET tokens = least(u.tokens, coalesce(%(this_minute)s::int, u.tokens)), refilled_at = u.at, hour_at = u.hour_at,
    hours = u.hours[1:24] || (u.hours[25]
        + greatest(0, coalesce(%(per_day)s::int - u.day - %(today)s::int, 0)))::int,
    under_way = array_remove(u.under_way, %(mark)s::float8)
FROM used u WHERE p.connection_id = u.connection_id
"""
)

GIVE_BACK = (
    PRESENT
    + """
UPDATE integrations_pace p
SET tokens = least(%(capacity)s, u.tokens + 1), refilled_at = u.at, hour_at = u.hour_at,
    hours = u.hours[1:24] || greatest(0, u.hours[25] - 1), under_way = array_remove(u.under_way, %(mark)s::float8)
FROM used u WHERE p.connection_id = u.connection_id
"""
)

EMPTY = (
    PRESENT  # noqa: S608
    + """, told AS (
    UPDATE integrations_connection c SET wait_until = greatest(c.wait_until, u.at + %(seconds)s * interval '1 second')
    FROM used u WHERE c.id = u.connection_id AND %(seconds)s::float8 > 0
)
UPDATE integrations_pace p SET tokens = 0, refilled_at = u.at, hour_at = u.hour_at, hours = u.hours
FROM used u WHERE p.connection_id = u.connection_id
"""
)

BEGIN = """
INSERT INTO integrations_pace (connection_id, tokens, refilled_at, hours, hour_at, under_way)
SELECT %(connection)s, %(capacity)s, at, array_fill(0, ARRAY[25]), date_trunc('hour', at), '{}'
FROM (SELECT coalesce(%(now)s::timestamptz, clock_timestamp()) AS at) n
ON CONFLICT DO NOTHING
"""


def ask(connection: Connection, *, now: datetime | None = None) -> Leave | Wait:
    """Take leave for one request, or say how long to wait. `now` is the database's clock where it is not given."""
    if limits_of(connection) == Limits() and not connection.wait_until:
        return Leave(connection)
    found = _run(ASK, connection, now)
    if found is None:
        begin(connection, now=now)
        found = _run(ASK, connection, now)
    assert found
    which, mark, seconds = found
    if which:
        return Wait(max(0.001, seconds), which)
    return Leave(connection, None if limits_of(connection).at_once is None else mark)


def begin(connection: Connection, *, now: datetime | None = None) -> None:
    """Make the row of a connection, its bucket full, where there is none yet."""
    _run(BEGIN, connection, now)


def leave_of(connection: Connection, *, patience: float = PATIENCE) -> Leave:
    """Return a leave, waiting for it up to `patience` seconds; raises `NotYet` where that is not enough."""
    left = patience
    while isinstance(answer := ask(connection), Wait):
        if answer.seconds > left:
            raise NotYet.until(answer.seconds, answer.why)
        threading.Event().wait(answer.seconds)
        left -= answer.seconds
    return answer


def told_to_wait(connection: Connection, seconds: float | None, *, now: datetime | None = None) -> None:
    """Obey a refusal by the provider: the bucket is empty, and nothing leaves for `seconds`, where it named them."""
    begin(connection, now=now)
    _run(EMPTY, connection, now, seconds=float(seconds or 0))


def _run(statement: str, connection: Connection, now: datetime | None, **parts: Any) -> Any:
    limits = limits_of(connection)
    capacity, refill = bucket_of(limits.per_minute)
    known = {
        "connection": connection.pk,
        "now": now,
        "capacity": capacity,
        "refill": refill,
        "per_day": limits.per_day,
        "at_once": limits.at_once,
        # A request is given up after PROVIDER_TIMEOUT; the rest is for a name that takes long to be looked up.
        "lease": 2 * settings.PROVIDER_TIMEOUT + 10,
        "look_again": LOOK_AGAIN,
    }
    with database.cursor() as cursor:
        cursor.execute(statement, known | parts)
        return cursor.fetchone() if cursor.description else None


@dataclass(frozen=True)
class Spent:
    """What of a connection's limits is used: requests of the last minute and day, and under way now."""

    limits: Limits
    this_minute: int = 0
    today: int = 0
    under_way: int = 0


def spent_of(connection: Connection, *, now: datetime | None = None) -> Spent:
    """Return what is used of a connection's limits, for people. Two short queries."""
    at = now or timezone.now()
    with database.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(DISTINCT coalesce(nullif(key, ''), id::text)) FROM integrations_attempt
            WHERE connection_id = %s AND started_at > %s::timestamptz - interval '60 seconds'
            """,
            [connection.pk, at],
        )
        this_minute: int = cursor.fetchone()[0]
    pace = Pace.objects.filter(connection=connection).first()
    if pace is None:
        return Spent(limits_of(connection), this_minute)
    gone = int((at - pace.hour_at).total_seconds() // 3600)
    under_way = sum(end > at.timestamp() for end in pace.under_way)
    return Spent(limits_of(connection), this_minute, sum(pace.hours[max(0, gone) :]), under_way)
