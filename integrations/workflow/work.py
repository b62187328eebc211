"""The one lifecycle of work: claim with a lease, finish, wait, park, hold, dismiss; and the sweeper."""

import random
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import prefetch_related_objects
from django.utils import timezone

from integrations.failures.categories import POLICIES, Fault
from integrations.models import Attempt, AttemptState, Event, Run, WorkState
from integrations.workflow import turns


class LostLease(Exception):
    """The lease ended while the work was under way, and another worker may have it: write nothing."""


@dataclass(frozen=True)
class Verdict:
    """What becomes of work that failed: `waiting` until `due_at`, or `parked`."""

    state: str
    due_at: datetime


def after_failure(fault: Fault, tries: int, now: datetime) -> Verdict:
    """Return what the category's policy says after `tries` failed tries (this one included).

    Exponential backoff with full jitter: uniform over zero and the doubled wait up to the ceiling
    (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog). What the provider asks by
    Retry-After is obeyed in full.
    """
    policy = POLICIES[fault.category]
    if tries >= policy.tries:
        return Verdict(WorkState.PARKED, now)
    if fault.retry_after is not None:
        return Verdict(WorkState.WAITING, now + timedelta(seconds=fault.retry_after))
    ceiling = min(policy.longest_wait, policy.first_wait * 2 ** (tries - 1)) * settings.RETRY_SCALE
    return Verdict(WorkState.WAITING, now + timedelta(seconds=random.uniform(0.5, 1) * ceiling))  # noqa: S311


# The oldest event that is due of each object that nobody is working on. Objects whose older event is
# ready or leased are left out, which keeps the order per record while different records go in parallel.
# Every connection with due events has an equal part of a batch, so that no backlog delays anybody else's.
# `+ 0` keeps the planner, as long as it has no statistics, from reading all older events of the connection, and
# `LIMIT 1` keeps it from reading all due events to find out who has any.
CLAIM_HEADS = """
WITH waiting AS MATERIALIZED (
    SELECT c.id FROM integrations_connection c CROSS JOIN LATERAL (
        SELECT 1 FROM integrations_event e
        WHERE e.connection_id = c.id AND e.state IN ('ready', 'waiting') AND e.due_at <= now() LIMIT 1) due
    WHERE c.paused_at IS NULL AND NOT c.id = ANY(%(emptied)s)
), part AS MATERIALIZED (
    SELECT ceil(%(most)s / greatest(1, count(*))::numeric)::bigint AS size FROM waiting
)
SELECT h.id, h.connection_id, h.resource, h.external_id, (SELECT size FROM part)
FROM waiting w CROSS JOIN LATERAL (
    SELECT e.id, e.connection_id, e.resource, e.external_id, e.due_at
    FROM integrations_event e
    LEFT JOIN integrations_stream s ON s.connection_id = e.connection_id AND s.resource = e.resource
    WHERE e.connection_id = w.id AND e.state IN ('ready', 'waiting') AND e.due_at <= now() AND s.paused_at IS NULL
      AND NOT e.id = ANY(%(claimed)s)
      AND (e.external_id = '' OR NOT EXISTS (
          SELECT 1 FROM integrations_event o
          WHERE o.connection_id = e.connection_id AND o.resource = e.resource AND o.external_id = e.external_id
            AND o.id + 0 < e.id AND o.state IN ('ready', 'leased')))
    ORDER BY e.due_at, e.id
    LIMIT (SELECT size FROM part)
    FOR UPDATE OF e SKIP LOCKED) h
ORDER BY h.due_at, h.id
LIMIT %(most)s
"""

CLAIM_FOLLOWERS = """
SELECT e.id
FROM integrations_event e
JOIN unnest(%s::bigint[], %s::text[], %s::text[]) AS k(connection_id, resource, external_id)
  ON (e.connection_id, e.resource, e.external_id) = (k.connection_id, k.resource, k.external_id)
WHERE e.state = 'ready' AND e.due_at <= now() AND e.external_id <> '' AND NOT e.id = ANY(%s)
ORDER BY e.id
LIMIT %s
FOR UPDATE OF e SKIP LOCKED
"""

LEASE = (
    "UPDATE integrations_event SET state = 'leased', leased_by = %s, leased_until = %s WHERE id = ANY(%s) RETURNING *"
)


@transaction.atomic
def claim_events(owner: uuid.UUID, most: int) -> list[Event]:
    """Lease up to `most` due events, with their objects' younger ones; of each connection in equal parts, oldest first.

    What one connection leaves of its part goes to the others.
    """
    heads = _claim_heads(most)
    if not heads:
        return []
    ids = [row[0] for row in heads]
    with connection.cursor() as cursor:
        if len(ids) < most:
            keys = sorted({row[1:] for row in heads})
            cursor.execute(
                CLAIM_FOLLOWERS,
                [[k[0] for k in keys], [k[1] for k in keys], [k[2] for k in keys], ids, most - len(ids)],
            )
            ids += [row[0] for row in cursor.fetchall()]
    until = timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
    events = sorted(Event.objects.raw(LEASE, [owner, until, ids]), key=attrgetter("id"))
    prefetch_related_objects(events, "run", "replay_mapping")
    return events


def _claim_heads(most: int) -> list[tuple[int, int, str, str]]:
    """Lock due events, each the oldest of its object, and return (id, connection id, resource, external id)."""
    heads: list[tuple[int, int, str, str]] = []
    emptied: list[int] = []
    with connection.cursor() as cursor:
        while len(heads) < most:
            known: dict[str, Any] = {
                "most": most - len(heads),
                "claimed": [row[0] for row in heads],
                "emptied": emptied,
            }
            cursor.execute(CLAIM_HEADS, known)
            found = cursor.fetchall()
            heads += [row[:4] for row in found]
            taken = Counter(row[1] for row in found)
            if not any(number >= found[0][4] for number in taken.values()):
                break
            emptied += [pk for pk, number in taken.items() if number < found[0][4]]
    return heads


# Due runs; first of the tenant, then of the connection, that had its turn longest ago, then the oldest. The lock is
# taken in that order until one is free, so a few of each connection suffice.
CLAIM_RUN = """
SELECT run.id FROM integrations_run run JOIN (
    SELECT d.id, d.due_at, c.ran_at, c.tenant_ran_at FROM (
        SELECT c.id, p.ran_at, max(p.ran_at) OVER (PARTITION BY c.tenant_id) AS tenant_ran_at
        FROM integrations_connection c LEFT JOIN integrations_pace p ON p.connection_id = c.id
        WHERE c.paused_at IS NULL AND c.disabled_at IS NULL AND (c.wait_until IS NULL OR c.wait_until <= %(now)s)
    ) c CROSS JOIN LATERAL (
        SELECT r.id, r.due_at FROM integrations_run r LEFT JOIN integrations_stream s ON s.id = r.stream_id
        WHERE r.connection_id = c.id AND r.state IN ('ready', 'waiting') AND r.due_at <= %(now)s
          AND s.paused_at IS NULL
        ORDER BY r.due_at, r.id LIMIT %(few)s) d) due ON due.id = run.id
WHERE run.state IN ('ready', 'waiting')
ORDER BY due.tenant_ran_at NULLS FIRST, due.ran_at NULLS FIRST, due.due_at, due.id
LIMIT 1 FOR NO KEY UPDATE OF run SKIP LOCKED
"""
#: Due runs of one connection that are looked at: more than workers could hold locked in the same moment.
FEW = 20


@transaction.atomic
def claim_run(owner: uuid.UUID) -> Run | None:
    """Lease the next run that is due, of a connection that neither rests nor is paused or disabled; tenants in turn."""
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(CLAIM_RUN, {"now": now, "few": FEW})
        found = cursor.fetchone()
    if found is None:
        return None
    run: Run = Run.objects.select_related("connection", "stream").get(pk=found[0])
    run.state, run.leased_by = WorkState.LEASED, owner
    run.leased_until = now + timedelta(seconds=settings.LEASE_SECONDS)
    run.started_at = run.started_at or now
    run.save(update_fields=["state", "leased_by", "leased_until", "started_at"])
    turns.had_its_turn(run.connection, "ran_at", now)
    return run


def sweep() -> dict[str, int]:
    """Give back what workers that died had leased, and hold what arrived while paused; return the counts.

    Every step is one statement, so two sweepers at once do no harm.
    """
    now = timezone.now()
    freed: dict[str, Any] = {"state": WorkState.READY, "leased_by": None, "leased_until": None}
    # No request takes that long: whoever sent this one is gone.
    longest = timedelta(seconds=settings.LEASE_SECONDS + settings.PROVIDER_TIMEOUT)
    Attempt.objects.filter(state=AttemptState.IN_FLIGHT, started_at__lt=now - longest).update(
        state=AttemptState.NO_ANSWER, finished_at=now, message="The worker ended under way"
    )
    return {
        "events": Event.objects.filter(state=WorkState.LEASED, leased_until__lt=now).update(**freed),
        "runs": Run.objects.filter(state=WorkState.LEASED, leased_until__lt=now).update(**freed),
    }
