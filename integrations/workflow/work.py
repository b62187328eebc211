"""The one lifecycle of work: claim with a lease, finish, wait, park, hold, dismiss; and the sweeper."""

import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import prefetch_related_objects
from django.utils import timezone

from integrations.failures.categories import POLICIES, Category, Fault
from integrations.models import Event, Run, WorkState


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
# `+ 0` keeps the planner, as long as it has no statistics, from reading all older events of the connection.
CLAIM_HEADS = """
SELECT e.id, e.connection_id, e.resource, e.external_id
FROM integrations_event e
JOIN integrations_connection c ON c.id = e.connection_id AND c.paused_at IS NULL
LEFT JOIN integrations_stream s ON s.connection_id = e.connection_id AND s.resource = e.resource
WHERE e.state IN ('ready', 'waiting') AND e.due_at <= now() AND s.paused_at IS NULL
  AND (e.external_id = '' OR NOT EXISTS (
      SELECT 1 FROM integrations_event o
      WHERE o.connection_id = e.connection_id AND o.resource = e.resource AND o.external_id = e.external_id
        AND o.id + 0 < e.id AND o.state IN ('ready', 'leased')))
ORDER BY e.due_at, e.id
LIMIT %s
FOR UPDATE OF e SKIP LOCKED
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
    """Lease up to `most` due events, with their objects' younger ones; oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM_HEADS, [most])
        heads = cursor.fetchall()
        if not heads:
            return []
        ids = [row[0] for row in heads]
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


@transaction.atomic
def claim_run(owner: uuid.UUID) -> Run | None:
    """Lease the next run that is due, of a connection that neither rests nor is paused or disabled."""
    now = timezone.now()
    run = (
        Run.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
        .filter(
            state__in=[WorkState.READY, WorkState.WAITING],
            due_at__lte=now,
            connection__paused_at__isnull=True,
            connection__disabled_at__isnull=True,
        )
        .exclude(connection__wait_until__gt=now)
        .exclude(stream__paused_at__isnull=False)
        .select_related("connection", "stream")
        .order_by("due_at", "id")
        .first()
    )
    if run is None:
        return None
    run.state, run.leased_by = WorkState.LEASED, owner
    run.leased_until = now + timedelta(seconds=settings.LEASE_SECONDS)
    run.started_at = run.started_at or now
    run.save(update_fields=["state", "leased_by", "leased_until", "started_at"])
    return run


def sweep() -> dict[str, int]:
    """Give back what workers that died had leased, and hold what arrived while paused; return the counts.

    Every step is one statement, so two sweepers at once do no harm.
    """
    now = timezone.now()
    freed: dict[str, Any] = {"state": WorkState.READY, "leased_by": None, "leased_until": None}
    return {
        "events": Event.objects.filter(state=WorkState.LEASED, leased_until__lt=now).update(**freed),
        "runs": Run.objects.filter(state=WorkState.LEASED, leased_until__lt=now).update(**freed),
    }


def categories_that_wait() -> list[str]:
    """Return the categories that the engine handles by itself for a while."""
    return [category.value for category in Category if POLICIES[category].tries > 0]
