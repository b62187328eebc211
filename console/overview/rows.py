"""One row a connection: everything that says whether it needs somebody, read by a fixed number of queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Min, Sum

from integrations.configuration.reach import lacking
from integrations.health.backlog import Backlog, Unsent, backlogs_of, unsent_of
from integrations.health.freshness import WORST_FIRST, Freshness, freshness_of, worst
from integrations.health.rates import Count as Done
from integrations.health.rates import Rates, latencies_of, rates_of
from integrations.models import (
    Breaker,
    BreakerState,
    Connection,
    Credential,
    CredentialState,
    Problem,
    Run,
    RunKind,
    WorkState,
)

NOBODY = "nobody"


@dataclass
class Owned:
    """Open problems of one owner at one connection."""

    problems: int
    items: int
    oldest_at: datetime


@dataclass
class Row:
    """A connection as the overview shows it."""

    connection: Connection
    streams: list[Freshness]
    rates: Rates
    latency: float | None
    backlog: Backlog
    owned: dict[str, Owned] = field(default_factory=dict)
    first_syncs: list[Run] = field(default_factory=list)
    #: Secrets without which nothing can be asked: none is active, none is being verified.
    lacking: list[str] = field(default_factory=list)
    #: Commands that wait to be sent, and what holds them where it is not closed.
    unsent: Unsent = field(default_factory=Unsent)
    breaker: Breaker | None = None

    @property
    def waiting(self) -> int:
        """Events that are not done and commands that are not sent."""
        return self.backlog.total + self.unsent.number

    @property
    def waiting_since(self) -> datetime | None:
        return min(filter(None, (self.backlog.oldest_at, self.unsent.oldest_at)), default=None)

    @property
    def breaker_word(self) -> str:
        return self.breaker.state if self.breaker else BreakerState.CLOSED.value

    @property
    def freshness(self) -> Freshness | None:
        """What stands for all streams: the worst."""
        return worst(self.streams)

    @property
    def last_hour(self) -> Done:
        return self.rates.last_hour

    @property
    def failing(self) -> bool:
        """Whether more than one try in five failed in the last hour."""
        hour = self.rates.last_hour
        return hour.failed > 0 and hour.failed * 4 > hour.done

    @property
    def asked(self) -> list[tuple[str, int]]:
        """(owner, open problems) for each role that is asked."""
        return sorted((owner, each.problems) for owner, each in self.owned.items() if owner != NOBODY)

    @property
    def late(self) -> list[Freshness]:
        return [each for each in self.streams if each.late]

    @property
    def needs_someone(self) -> bool:
        """Whether a person is asked: a problem has an owner, a secret lacks, or data is late and nobody chose that."""
        return bool(self.asked or self.lacking or self.late or any(each.word == "never" for each in self.streams))

    def badness(self) -> tuple[bool, bool, int, int, int, str]:
        """Order rows by it, the worst first."""
        fresh = self.freshness
        return (
            not self.needs_someone,
            self.breaker is None,
            -sum(number for _, number in self.asked),
            WORST_FIRST.index(fresh.word) if fresh else len(WORST_FIRST),
            -self.backlog.of(WorkState.PARKED),
            self.connection.name.casefold(),
        )


def read_rows(connections: Sequence[Connection], now: datetime) -> list[Row]:
    """Return the rows of a space's connections, the worst first. Eight queries, two more during a first sync."""
    ids = [connection.pk for connection in connections]
    if not ids:
        return []
    streams, rates, latencies = freshness_of(connections, now), rates_of(ids, now), latencies_of(ids, now)
    backlogs, owned = backlogs_of(ids), _owned(ids)
    unsent, breakers = unsent_of(ids), _not_closed(ids)
    syncs, lacks = _first_syncs(streams), _lacking(connections, streams)
    rows = [
        Row(
            connection=connection,
            streams=streams[connection.pk],
            rates=rates[connection.pk],
            latency=latencies.get(connection.pk),
            backlog=backlogs[connection.pk],
            owned=owned.get(connection.pk, {}),
            first_syncs=syncs.get(connection.pk, []),
            lacking=lacks.get(connection.pk, []),
            unsent=unsent.get(connection.pk, Unsent()),
            breaker=breakers.get(connection.pk),
        )
        for connection in connections
    ]
    return sorted(rows, key=Row.badness)


def _not_closed(ids: Sequence[int]) -> dict[int, Breaker]:
    rows = Breaker.objects.filter(connection_id__in=ids).exclude(state=BreakerState.CLOSED)
    return {row.connection_id: row for row in rows}


def _owned(ids: Sequence[int]) -> dict[int, dict[str, Owned]]:
    found: dict[int, dict[str, Owned]] = {}
    rows = (
        Problem.objects.filter(connection_id__in=ids, open_count__gt=0)
        .values("connection_id", "owner")
        .annotate(problems=Count("pk"), items=Sum("open_count"), oldest_at=Min("first_seen_at"))
        .order_by()
    )
    for row in rows:
        owned = Owned(row["problems"], row["items"], row["oldest_at"])
        found.setdefault(row["connection_id"], {})[row["owner"]] = owned
    return found


def _first_syncs(streams: Mapping[int, list[Freshness]]) -> dict[int, list[Run]]:
    """Return the first syncs that are under way, by connection; asks nothing where all are done."""
    awaited = [each.stream.pk for found in streams.values() for each in found if not each.stream.first_sync_done_at]
    if not awaited:
        return {}
    runs: dict[int, list[Run]] = {}
    under_way = (WorkState.READY, WorkState.LEASED, WorkState.WAITING)
    for run in Run.objects.filter(stream_id__in=awaited, kind=RunKind.SYNC, state__in=under_way).select_related(
        "stream"
    ):
        runs.setdefault(run.connection_id, []).append(run)
    return runs


def _lacking(connections: Sequence[Connection], streams: Mapping[int, list[Freshness]]) -> dict[int, list[str]]:
    """Return what keeps first syncs from starting, by connection: the titles of secrets that somebody has to give."""
    awaited = {pk for pk, found in streams.items() if any(not each.stream.first_sync_done_at for each in found)}
    if not awaited:
        return {}
    held: dict[int, set[str]] = {pk: set() for pk in awaited}
    usable = (CredentialState.ACTIVE, CredentialState.PENDING)
    found = Credential.objects.filter(connection_id__in=awaited, state__in=usable)
    for pk, purpose in found.values_list("connection_id", "purpose"):
        held[pk].add(purpose)
    return {each.pk: [spec.title for spec in lacking(each, held[each.pk])] for each in connections if each.pk in held}


def by_owner(rows: Sequence[Row]) -> dict[str, Owned]:
    """Return the open problems of all rows by owner."""
    found: dict[str, Owned] = {}
    for row in rows:
        for owner, each in row.owned.items():
            before = found.get(owner, Owned(0, 0, each.oldest_at))
            found[owner] = Owned(
                before.problems + each.problems, before.items + each.items, min(before.oldest_at, each.oldest_at)
            )
    return found
