"""What the page of a connection shows, read by a fixed number of queries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings

from console.connections.history import said
from console.overview.rows import Row
from console.wording import age, count
from integrations.boundary.limits import spent_of
from integrations.configuration import limits as agreed
from integrations.health.freshness import Freshness
from integrations.models import Attempt, Connection, Credential, CredentialState, Run, RunKind, Stream, WorkState
from integrations.models.run import OFF_PEAK
from integrations.providers import get_adapter
from integrations.providers.base import SecretSpec
from integrations.workflow import windows
from integrations.workflow.scans import waits_for_person
from integrations.workflow.schedules import length_said, parse_cron, zone_of

#: Newest runs that are read: enough to hold the last one of every stream but the rarest.
RUNS, SHOWN_RUNS, ATTEMPTS = 120, 8, 8
#: Versions of one secret that are shown before the older ones are only counted.
VERSIONS = 4
RUNNING = (WorkState.READY, WorkState.LEASED)
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
    scan: Run | None = None

    @property
    def stream(self) -> Stream:
        return self.freshness.stream

    @property
    def running(self) -> bool:
        return any(run is not None and run.state in RUNNING for run in (self.under_way, self.scan))

    @property
    def every(self) -> str:
        """The schedule in words."""
        return schedule_said(self.stream.every, self.stream.cron)

    @property
    def next_run(self) -> str:
        """When its next run comes by the clocks of its schedule, "" where those are UTC."""
        return clock_said(self.stream.next_run_at, zone_of(self.stream.cron))

    @property
    def next_scan(self) -> str:
        """When its next absence scan comes by the clocks of its schedule, "" where those are UTC."""
        return clock_said(self.stream.next_scan_at, zone_of(self.stream.scan_cron))

    @property
    def overlap(self) -> str:
        """How far a resync looks back, in words."""
        return length_said(self.stream.overlap)

    @property
    def scans(self) -> str:
        """The schedule of its absence scans in words, "" where there is none."""
        return schedule_said(self.stream.scan_every, self.stream.scan_cron)

    @property
    def scanning(self) -> bool:
        return self.scan is not None and self.scan.state in UNDER_WAY

    @property
    def asks_person(self) -> bool:
        """Whether its scan found so much missing that somebody has to decide."""
        return self.scan is not None and waits_for_person(self.scan)

    @property
    def found(self) -> str:
        """What its newest scan found, or does, in words."""
        return scan_said(self.scan) if self.scan else ""

    @property
    def can_scan(self) -> bool:
        """Whether asking for a scan makes sense."""
        stream, connection = self.stream, self.stream.connection
        held = stream.paused_at or connection.paused_at or connection.disabled_at
        return bool(stream.first_sync_done_at) and not (stream.change_log or self.scanning or held)

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
    def waits_for_window(self) -> bool:
        return self.run.state == WorkState.WAITING and self.run.waits_for == OFF_PEAK

    @property
    def asks_person(self) -> bool:
        return waits_for_person(self.run)

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


def schedule_said(every: int, cron: str) -> str:
    """Return a schedule in words: "every 15 min", "daily at 02:30 UTC", "Mon-Fri at 02:30 Europe/Berlin"."""
    if not cron:
        return f"every {age(every)}" if every else ""
    fields, zone = cron.split()[:5], zone_of(cron)
    minute, hour, day, month, weekday = fields
    if (day, month) != ("*", "*") or not (minute.isdecimal() and hour.isdecimal()):
        return f"by cron {' '.join(fields)}, {zone}"
    days = "daily" if weekday == "*" else windows.days_said(parse_cron(cron).weekdays_from_monday)
    return f"{days} at {int(hour):02}:{int(minute):02} {zone}"


def clock_said(at: datetime | None, zone: str) -> str:
    """Return a time by the clocks of a zone and of UTC: "Sun 02:30 Europe/Berlin, 01:30 UTC"; "" where both are one."""
    if at is None or zone == "UTC":
        return ""
    there, utc = at.astimezone(ZoneInfo(zone)), at.astimezone(UTC)
    day = "" if there.date() == utc.date() else f"{utc:%a} "
    return f"{there:%a %H:%M} {zone}, {day}{utc:%H:%M} UTC"


def bulk_said(kept: Sequence[dict[str, Any]], now: datetime) -> str:
    """Say whether bulk runs may go on now, and until or from when, by the clocks of the windows and of UTC."""
    found = windows.read_all(kept)
    opens = windows.opens_at(found, now)
    at = opens or windows.closes_at(found, now)
    if at is None:
        return "at any time"
    zone = next((each.zone for each in found if at in (span for pair in each.spans(now) for span in pair)), "UTC")
    said = clock_said(at, zone) or f"{at:%a %H:%M} UTC"
    return f"from {said}" if opens else f"now, until {said}"


def scan_said(run: Run) -> str:
    """Return what an absence scan does or found, in words."""
    if run.state == WorkState.PARKED and not waits_for_person(run):
        return f"R-{run.pk} failed: {run.category}"
    if run.state == WorkState.DISMISSED:
        return "dismissed, everything is kept"
    if run.state == WorkState.WAITING and run.waits_for:
        return f"R-{run.pk} waits for {run.waits_for}"
    if run.state in UNDER_WAY and run.listed_at:
        return f"R-{run.pk} asks for {count(run.missing, 'missing object')}, {run.gone:,} gone"
    if run.state in UNDER_WAY:
        return f"R-{run.pk} reads the list, {count(run.items, 'object')}"
    if waits_for_person(run):
        return f"{run.missing:,} of {run.held:,} are missing"
    if not run.missing:
        return f"all {run.held:,} are there"
    return f"{run.gone:,} gone, {run.missing - run.gone:,} still there of {run.missing:,} not listed"


def newest_scans(connection: Connection) -> list[Run]:
    """Return the newest absence scan of each stream."""
    found = Run.objects.filter(kind=RunKind.SCAN, stream__connection=connection)
    return list(found.order_by("stream_id", "-id").distinct("stream_id"))


def stream_rows(freshness: Iterable[Freshness], runs: Sequence[Run], scans: Iterable[Run] = ()) -> list[StreamRow]:
    """Return the streams with their runs and scans; `runs` are the newest of the connection, newest first."""
    rows = [StreamRow(each) for each in freshness]
    by_stream = {row.stream.pk: row for row in rows}
    for scan in scans:
        if scan.stream_id in by_stream:
            by_stream[scan.stream_id].scan = scan
    for run in runs:
        small = run.targets or run.kind == RunKind.SCAN
        row = by_stream.get(run.stream_id) if run.stream_id and not small else None
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
    rows = [RunRow(run, _word(run), _what(run), _took(run)) for run in runs]
    return sorted(rows, key=lambda row: not (row.open or row.asks_person))[:SHOWN_RUNS]


def _word(run: Run) -> str:
    return "asks you" if waits_for_person(run) else RUN_WORDS[run.state]


def _what(run: Run) -> str:
    if run.stream:
        return run.stream.title
    if run.kind == RunKind.EXPORT:
        return f"{run.items:,} of {count(run.held, 'record')}"
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
    if row.breaker:
        return "commands wait"
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


@dataclass(frozen=True)
class Used:
    """One limit as the page shows it: so many of so many."""

    title: str
    number: int
    most: int


def used_of(connection: Connection, now: datetime) -> list[Used]:
    """Return how much of each limit of a connection is used now; what is not limited is left out."""
    spent = spent_of(connection, now=now)
    known = [
        ("Calls this minute", spent.this_minute, spent.limits.per_minute),
        ("Calls, last 24 h", spent.today, spent.limits.per_day),
        ("Calls under way", spent.under_way, spent.limits.at_once),
    ]
    return [Used(title, number, most) for title, number, most in known if most]


def limit_facts(connection: Connection) -> list[tuple[str, str]]:
    """Return the limits as (title, value)."""
    return [(title, agreed.said(connection, connection.limits, name)) for name, title in agreed.TITLES.items()]
