"""The breaker of a connection: while a provider fails, commands wait, and one probe at a time looks whether it works.

    closed ── enough failures ──► open ── probe due ──► half open ── probe went through ──► closed
                                   ▲                        └── probe failed ──┘ (the next one later)

It holds commands only: reading goes on, and runs wait by themselves where the provider is away. Each change is in the
journal, and people may open it, close it, or have it probed at once.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from integrations.failures.categories import Category, Fault
from integrations.health.backlog import Unsent, unsent_of
from integrations.journal.actor import ENGINE, Actor
from integrations.journal.write import about, write
from integrations.models import Breaker, BreakerState, Connection, Lane
from integrations.workflow.errors import Refusal, require_reason
from integrations.workflow.wake import COMMANDS, after_commit

#: So many failures within so many seconds, and no fewer than what went through meanwhile, open it.
FAILURES: Final = 5
WINDOW: Final = 60.0
#: Seconds until the first probe; each one that fails doubles them, up to the longest.
FIRST_PROBE: Final = 15.0
LONGEST_PROBE: Final = 300.0
#: What says that the provider does not work. Anything else it refuses, it refuses because it works.
COUNTED: Final = (Category.OUTAGE, Category.TIMEOUT, Category.AUTHENTICATION)
#: What fails for every command alike opens it at once.
AT_ONCE: Final = (Category.AUTHENTICATION,)


@dataclass(frozen=True)
class Allowed:
    """Commands may go. `probe` names the one probe, which goes with one request; None while the breaker is closed."""

    probe: uuid.UUID | None = None


@dataclass(frozen=True)
class Waits:
    """Commands wait. `until` is when to look again, None: until somebody closes it or asks for a probe."""

    until: datetime | None
    why: str


def allows(connection: Connection, *, now: datetime | None = None) -> Allowed | Waits:
    """Say whether commands may go; where a probe is due, the first who asks gets it, for as long as a request takes."""
    at = now or timezone.now()
    held = Breaker.objects.filter(connection=connection).first()
    if held is None or held.state == BreakerState.CLOSED:
        return Allowed()
    probe = uuid.uuid4()
    taken = (
        _free_probes(at)
        .filter(connection=connection)
        .update(state=BreakerState.HALF_OPEN, probe=probe, probe_until=at + _probe_takes())
    )
    if taken:
        return Allowed(probe)
    held.refresh_from_db()
    if held.state == BreakerState.CLOSED:
        return Allowed()
    return Waits(held.probe_until if held.state == BreakerState.HALF_OPEN else held.probe_at, held.reason)


def _free_probes(at: datetime) -> "QuerySet[Breaker]":
    due = Q(state=BreakerState.OPEN, probe_at__lte=at)
    lost = Q(state=BreakerState.HALF_OPEN, probe_until__lte=at)
    return Breaker.objects.filter(due | lost)


def _probe_takes() -> timedelta:
    return timedelta(seconds=2 * settings.PROVIDER_TIMEOUT + 10)


def note_success(connection: Connection, *, probe: uuid.UUID | None = None, now: datetime | None = None) -> None:
    """Note that a command's request was answered well; that of the probe closes the breaker."""
    at = now or timezone.now()
    moved = Breaker.objects.filter(connection=connection).exclude(state=BreakerState.CLOSED, failed=0)
    if not moved.exists():
        return
    with transaction.atomic():
        held = Breaker.objects.select_for_update().get(connection=connection)
        if held.state == BreakerState.CLOSED:
            _count(held, at, passed=1)
            held.save(update_fields=["counted_since", "failed", "passed"])
        elif probe and held.probe == probe:
            _close(connection, held, at, actor=ENGINE, reason="The probe went through")


@transaction.atomic
def note_fault(
    connection: Connection, fault: Fault, *, probe: uuid.UUID | None = None, now: datetime | None = None
) -> None:
    """Note that a command's request failed. Enough failures open the breaker; that of the probe keeps it open.

    A refusal of what was asked (validation, business rule, …) is an answer: the provider works.
    """
    at = now or timezone.now()
    if fault.category not in COUNTED and fault.category != Category.RATE_LIMIT:
        note_success(connection, probe=probe, now=at)
        return
    Breaker.objects.get_or_create(connection=connection)
    held = Breaker.objects.select_for_update().get(connection=connection)
    if probe and held.probe == probe:
        _probe_failed(connection, held, fault, at)
    elif held.state == BreakerState.CLOSED and fault.category in COUNTED:
        _count(held, at, failed=1)
        enough = held.failed >= FAILURES and held.failed >= held.passed
        if enough or fault.category in AT_ONCE:
            _open(connection, held, at, fault)
        else:
            held.save(update_fields=["counted_since", "failed", "passed"])


def unused(connection: Connection, probe: uuid.UUID) -> None:
    """Give a probe back that nothing was sent with: it is due at once."""
    Breaker.objects.filter(connection=connection, probe=probe).update(
        state=BreakerState.OPEN, probe=None, probe_until=None, probe_at=timezone.now()
    )


def _count(held: Breaker, at: datetime, *, failed: int = 0, passed: int = 0) -> None:
    over = held.counted_since is None or at - held.counted_since >= timedelta(seconds=WINDOW)
    if over:
        held.counted_since, held.failed, held.passed = (at if failed else None), 0, 0
    if held.counted_since:
        held.failed, held.passed = held.failed + failed, held.passed + passed


def _open(connection: Connection, held: Breaker, at: datetime, fault: Fault) -> None:
    seconds = int((at - held.counted_since).total_seconds()) if held.counted_since else 0
    often = f" ({held.failed} failures in {max(1, seconds)} s)" if held.failed > 1 else ""
    held.state, held.changed_at, held.changed_by = BreakerState.OPEN, at, ""
    held.reason, held.category = f"{fault.message.rstrip('.')}{often}", fault.category
    held.refused_probes, held.probe, held.probe_until = 0, None, None
    held.probe_at = at + _until_probe(0)
    held.save()
    _note(
        connection, ENGINE, "opened", f"Breaker of {connection.name} opened for commands: {held.reason}", held.category
    )


def _probe_failed(connection: Connection, held: Breaker, fault: Fault, at: datetime) -> None:
    """Keep it open; a provider that only asks for time is asked again when it said, and that counts as no failure."""
    held.state, held.probe, held.probe_until = BreakerState.OPEN, None, None
    if fault.category == Category.RATE_LIMIT:
        held.probe_at = at + timedelta(seconds=fault.retry_after or FIRST_PROBE)
    else:
        held.refused_probes += 1
        held.probe_at = at + _until_probe(held.refused_probes)
    if held.changed_by:
        held.probe_at = None
    held.save()
    then = f"the next one in {(held.probe_at - at).total_seconds():,.0f} s" if held.probe_at else "it stays open"
    summary = f"Probe of {connection.name} failed: {fault.message.rstrip('.')}; {then}"
    _note(connection, ENGINE, "probe_failed", summary, fault.category)


def _until_probe(refused: int) -> timedelta:
    """Return the wait before the next probe; exponential, no jitter: there is one probe a connection."""
    return timedelta(seconds=min(LONGEST_PROBE, FIRST_PROBE * 2 ** min(refused, 30)) * settings.RETRY_SCALE)


def _close(connection: Connection, held: Breaker, at: datetime, *, actor: Actor, reason: str) -> int:
    held.state, held.changed_at = BreakerState.CLOSED, at
    held.changed_by, held.reason = ("" if actor is ENGINE else actor.name), reason
    held.category, held.counted_since, held.failed, held.passed, held.refused_probes = "", None, 0, 0, 0
    held.probe_at = held.probe = held.probe_until = None
    held.save()
    count = _let_go(connection)
    goes = f"; {count:,} {'command goes' if count == 1 else 'commands go'} on, oldest first" if count else ""
    _note(connection, actor, "closed", f"Breaker of {connection.name} closed{goes}", "closed", reason)
    after_commit(COMMANDS)
    return count


# What waits for its connection alone: commands that are due, and those that this outage had put back.
WAITING = """
connection_id = %(connection)s AND state IN ('ready', 'waiting') AND outcome IN ('submitted', 'sent', 'unknown')
AND (due_at <= now() OR category = ANY(%(categories)s))
"""


def _let_go(connection: Connection) -> int:
    """Make what waited due, each a little later than the one before it; return how many.

    What somebody settles in this very moment is left to them.
    """
    with database.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE integrations_command c SET due_at = now() + o.place * interval '1 second' / %(rate)s
            FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM (
                      SELECT id FROM integrations_command WHERE {WAITING}
                      ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) free) o
            WHERE c.id = o.id
            """,  # noqa: S608
            _waiting(connection) | {"rate": max(1, connection.drain_per_second)},
        )
        return int(cursor.rowcount)


def _waiting(connection: Connection) -> dict[str, Any]:
    return {"connection": connection.pk, "categories": [category.value for category in COUNTED]}


def behind(connection: Connection) -> int:
    """Return how many commands would go on if the breaker closed now."""
    with database.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM integrations_command WHERE {WAITING}", _waiting(connection))  # noqa: S608
        return int(cursor.fetchone()[0])


def unsent(connection: Connection) -> int:
    """Return how many commands an open breaker holds, those that are not due yet too."""
    return unsent_of([connection.pk]).get(connection.pk, Unsent()).number


@transaction.atomic
def open_by_hand(connection: Connection, *, actor: Actor, reason: str) -> int:
    """Hold all commands of a connection until somebody closes the breaker or probes; return how many wait.

    Raises `Refusal` when it is open by hand already, or without a reason.
    """
    require_reason(reason, "everybody who looks here will ask.")
    Breaker.objects.get_or_create(connection=connection)
    held = Breaker.objects.select_for_update().get(connection=connection)
    if held.state != BreakerState.CLOSED and held.changed_by:
        raise Refusal(f"The breaker is open already, by {held.changed_by}.")
    held.state, held.changed_at, held.changed_by = BreakerState.OPEN, timezone.now(), actor.name
    held.reason, held.category, held.refused_probes = reason, "", 0
    held.probe_at = held.probe = held.probe_until = None
    held.save()
    waits = unsent(connection)
    summary = f"Breaker of {connection.name} opened by hand; commands wait until it is closed"
    _note(connection, actor, "opened", summary, "open", reason)
    return waits


@transaction.atomic
def close_by_hand(connection: Connection, *, actor: Actor, reason: str) -> int:
    """Let commands go again, oldest first; return how many go on. Raises `Refusal` when it is closed, or unreasoned."""
    require_reason(reason, "what waited is sent, whether the provider works or not.")
    held = _opened(connection)
    return _close(connection, held, timezone.now(), actor=actor, reason=reason)


@transaction.atomic
def probe_now(connection: Connection, *, actor: Actor, reason: str = "") -> None:
    """Let one command go at once to find out whether the provider works. Raises `Refusal`: closed, or under way."""
    held = _opened(connection)
    now = timezone.now()
    if held.state == BreakerState.HALF_OPEN and held.probe_until and held.probe_until > now:
        raise Refusal("A probe is under way already.")
    held.state, held.probe, held.probe_until, held.probe_at = BreakerState.OPEN, None, None, now
    held.save(update_fields=["state", "probe", "probe_until", "probe_at"])
    _note(connection, actor, "probe_asked", f"{actor.name} asked for a probe of {connection.name}", "open", reason)
    after_commit(COMMANDS)


def _opened(connection: Connection) -> Breaker:
    held = Breaker.objects.select_for_update().filter(connection=connection).first()
    if held is None or held.state == BreakerState.CLOSED:
        raise Refusal("The breaker is closed already.")
    return held


def secret_renewed(connection: Connection) -> None:
    """Have a breaker probed at once that a refused secret had opened: there is a new one."""
    renewed = Breaker.objects.filter(
        connection=connection, state=BreakerState.OPEN, category=Category.AUTHENTICATION, changed_by=""
    )
    if renewed.update(probe_at=timezone.now(), refused_probes=0):
        after_commit(COMMANDS)


def _note(connection: Connection, actor: Actor, act: str, summary: str, outcome: str = "", reason: str = "") -> None:
    lane = Lane.COMMANDS if actor is ENGINE else Lane.PEOPLE
    write([about(connection, lane, f"breaker.{act}", summary, outcome=outcome, actor=actor, reason=reason)])
