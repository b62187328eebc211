"""How old our copy of a provider's data is, stream by stream, and whether that is too old."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from django.db import connection as database

from integrations.models import Connection, Stream

Word = Literal["very late", "late", "never", "first sync", "held", "fresh"]

#: The worst first: what a connection of several streams is called by.
WORST_FIRST: Final[tuple[Word, ...]] = ("very late", "late", "never", "first sync", "held", "fresh")
#: So many times the allowed age, and late is very late.
VERY = 4
#: How many of the newest events of a connection are looked through for webhooks.
NEWEST: Final = 500


@dataclass(frozen=True)
class Freshness:
    """One stream's data: as of when, how it came, and the word for its age."""

    stream: Stream
    word: Word
    as_of: datetime | None = None
    by: Literal["webhook", "poll", ""] = ""

    @property
    def late(self) -> bool:
        return self.word in ("late", "very late")

    @property
    def allowed(self) -> timedelta:
        return timedelta(seconds=self.stream.fresh_within)


def judge(stream: Stream, webhook_at: datetime | None, now: datetime) -> Freshness:
    """Return how fresh a stream is; pure. `webhook_at` is when its newest webhook came that has been decided."""
    polled = stream.last_success_at
    as_of = max(filter(None, (polled, webhook_at)), default=None)
    by: Literal["webhook", "poll", ""] = "" if as_of is None else ("poll" if as_of == polled else "webhook")
    connection = stream.connection
    if stream.paused_at or connection.paused_at or connection.disabled_at:
        return Freshness(stream, "held", as_of, by)
    if stream.first_sync_done_at is None:
        new = now - connection.created_at < timedelta(seconds=stream.fresh_within)
        return Freshness(stream, "first sync" if new or as_of else "never", as_of, by)
    age = now - as_of if as_of else timedelta.max
    allowed = timedelta(seconds=stream.fresh_within)
    word: Word = "fresh" if age <= allowed else ("late" if age <= VERY * allowed else "very late")
    return Freshness(stream, word, as_of, by)


def worst(found: Iterable[Freshness]) -> Freshness | None:
    """Return what stands for several streams: the worst word, and of those the oldest data."""
    return min(found, key=_badness, default=None)


def _badness(each: Freshness) -> tuple[int, float]:
    return WORST_FIRST.index(each.word), each.as_of.timestamp() if each.as_of else 0.0


def freshness_of(connections: Collection[Connection], now: datetime) -> dict[int, list[Freshness]]:
    """Return the freshness of each stream of some connections, by connection; two queries."""
    by_id = {connection.pk: connection for connection in connections}
    found: dict[int, list[Freshness]] = {pk: [] for pk in by_id}
    webhooks = newest_webhooks(by_id)
    for stream in Stream.objects.filter(connection__in=by_id).order_by("id"):
        stream.connection = by_id[stream.connection_id]
        webhook_at = webhooks.get((stream.connection_id, stream.resource))
        found[stream.connection_id].append(judge(stream, webhook_at, now))
    return found


def newest_webhooks(connection_ids: Collection[int]) -> dict[tuple[int, str], datetime]:
    """Return when the newest decided webhook about each resource came, by (connection id, resource).

    Only the newest events of each connection are looked through. What lies further back is older than
    they are, and the last poll speaks for it.
    """
    with database.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.id, e.resource, max(e.received_at)
            FROM unnest(%s::bigint[]) AS c(id) CROSS JOIN LATERAL (
                SELECT resource, received_at, source, state FROM integrations_event
                WHERE connection_id = c.id ORDER BY id DESC LIMIT %s) e
            WHERE e.source = 'webhook' AND e.state = 'done' GROUP BY 1, 2
            """,
            [list(connection_ids), NEWEST],
        )
        return {(pk, resource): at for pk, resource, at in cursor.fetchall()}
