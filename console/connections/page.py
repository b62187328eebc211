"""What the page of a connection shows, read by a fixed number of queries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote, urlsplit

from django.conf import settings

from console.connections.history import said
from console.overview.rows import Row
from console.wording import age, count
from integrations.health.freshness import Freshness
from integrations.models import Attempt, Connection, Credential, CredentialState, Run, Stream, WorkState
from integrations.providers import get_adapter
from integrations.providers.base import SecretSpec

#: Newest runs that are read: enough to hold the last one of every stream but the rarest.
RUNS, SHOWN_RUNS, ATTEMPTS = 120, 8, 8
#: Versions of one secret that are shown before the older ones are only counted.
VERSIONS = 4
UNDER_WAY = (WorkState.READY, WorkState.LEASED, WorkState.WAITING, WorkState.HELD)
RUN_WORDS: Mapping[str, str] = {
    WorkState.READY: "ready",
    WorkState.LEASED: "running",
    WorkState.WAITING: "waiting",
    WorkState.HELD: "paused",
    WorkState.PARKED: "failed",
    WorkState.DISMISSED: "cancelled",
    WorkState.DONE: "done",
}


@dataclass
class StreamRow:
    """One stream with what runs over it and what ran last."""

    freshness: Freshness
    under_way: Run | None = None
    last: Run | None = None

    @property
    def stream(self) -> Stream:
        return self.freshness.stream

    @property
    def running(self) -> bool:
        return self.under_way is not None and self.under_way.state in (WorkState.READY, WorkState.LEASED)

    @property
    def every(self) -> str:
        """The schedule in words."""
        return f"every {age(self.stream.every)}"

    @property
    def can_run(self) -> bool:
        """Whether asking for a run makes sense: none is under way, nothing holds it."""
        connection = self.stream.connection
        return not (self.under_way or self.stream.paused_at or connection.paused_at or connection.disabled_at)


@dataclass
class RunRow:
    """One run in words."""

    run: Run
    word: str
    what: str
    took: float | None

    @property
    def open(self) -> bool:
        return self.run.state in UNDER_WAY


@dataclass
class Secret:
    """One secret of a connection with its versions, newest first."""

    spec: SecretSpec
    versions: list[Credential] = field(default_factory=list)

    def _in(self, state: str) -> Credential | None:
        return next((each for each in self.versions if each.state == state), None)

    @property
    def active(self) -> Credential | None:
        return self._in(CredentialState.ACTIVE)

    @property
    def pending(self) -> Credential | None:
        return self._in(CredentialState.PENDING)

    @property
    def failed(self) -> Credential | None:
        """The newest version, where it was not accepted."""
        newest = self.versions[0] if self.versions else None
        refused = newest and newest.state == CredentialState.REVOKED and newest.failure not in ("", "Cancelled")
        return newest if refused else None

    @property
    def by_delivery(self) -> bool:
        return self.spec.verified_by == "delivery"

    @property
    def shown(self) -> list[Credential]:
        return self.versions[:VERSIONS]

    @property
    def older(self) -> int:
        return max(0, len(self.versions) - VERSIONS)


def webhook_url(connection: Connection) -> str:
    """Return the address that the provider sends webhooks to."""
    return f"{settings.PUBLIC_URL.rstrip('/')}/hooks/{connection.public_id}/"


def stream_rows(freshness: Iterable[Freshness], runs: Sequence[Run]) -> list[StreamRow]:
    """Return the streams with their runs; `runs` are the newest of the connection, newest first."""
    rows = [StreamRow(each) for each in freshness]
    by_stream = {row.stream.pk: row for row in rows}
    for run in runs:
        row = by_stream.get(run.stream_id) if run.stream_id and not run.targets else None
        if row and run.state in UNDER_WAY:
            row.under_way = row.under_way or run
        elif row:
            row.last = row.last or run
    return rows


def newest_runs(connection: Connection) -> list[Run]:
    """Return the connection's newest runs, newest first."""
    return list(Run.objects.filter(connection=connection).select_related("stream").order_by("-id")[:RUNS])


def run_rows(runs: Iterable[Run]) -> list[RunRow]:
    """Return the runs in words: those under way first, then the newest."""
    rows = [RunRow(run, RUN_WORDS[run.state], _what(run), _took(run)) for run in runs]
    return sorted(rows, key=lambda row: not row.open)[:SHOWN_RUNS]


def _what(run: Run) -> str:
    if run.stream:
        return run.stream.title
    return count(max(len(run.targets), run.items), "named object")


def _took(run: Run) -> float | None:
    return (run.finished_at - run.started_at).total_seconds() if run.finished_at and run.started_at else None


def newest_attempts(connection: Connection) -> list[tuple[Attempt, str]]:
    """Return the connection's newest exchanges, newest first, each with its request line without the host."""
    found = Attempt.objects.filter(connection=connection).order_by("-started_at")[:ATTEMPTS]
    return [(attempt, _line(attempt)) for attempt in found]


def _line(attempt: Attempt) -> str:
    parts = urlsplit(attempt.url)
    query = f"?{unquote(parts.query)}" if parts.query else ""
    return f"{attempt.method} {parts.path}{query}"


def secrets_of(connection: Connection, credentials: Iterable[Credential]) -> list[Secret]:
    """Return each secret that the adapter names, with its versions."""
    found = {spec.name: Secret(spec) for spec in get_adapter(connection.provider).secrets}
    for credential in sorted(credentials, key=lambda each: -each.version):
        if credential.purpose in found:
            found[credential.purpose].versions.append(credential)
    return list(found.values())


def overlap_parts(credential: Credential, now: datetime) -> list[tuple[str, int, str]]:
    """Return the overlap of a retiring secret as shares: gone and left, in minutes."""
    if not credential.retire_at:
        return []
    whole = max(1, int(credential.overlap_hours * 60))
    left = min(whole, max(0, int((credential.retire_at - now).total_seconds() // 60)))
    return [("minutes over", whole - left, "accent"), ("minutes left", left, "rest")]


def word_of(row: Row) -> str:
    """Return the one word for a connection's health, of the topic "connection"."""
    connection, fresh = row.connection, row.freshness
    if connection.disabled_at:
        return "disabled"
    if connection.paused_at:
        return "paused"
    if row.failing:
        return "failing"
    if fresh and fresh.late:
        return "late"
    if row.asked or row.lacking:
        return "needs someone"
    return "first sync" if fresh and fresh.word == "first sync" else "healthy"


def asked_of(row: Row) -> int:
    """Return how many open problems ask somebody at a connection."""
    return sum(number for _, number in row.asked)


def facts(connection: Connection) -> list[tuple[str, str]]:
    """Return the settings as (title, value)."""
    schema = get_adapter(connection.provider).settings_schema.model_fields
    return [(info.title or name, said(connection.settings.get(name))) for name, info in schema.items()]
