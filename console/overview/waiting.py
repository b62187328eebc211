"""What waits in a space, and what changed there today. Every count ends at a limit, every list is short."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, F, Min, Q

from console import look
from console.access import SEE, grants_at
from console.models import User
from integrations.models import Drift, DriftStatus, JournalEntry, Problem, Record

#: Counting ends here: nobody needs more exact numbers, and a page must not wait for them.
MOST: Final = 10_000
SHOWN: Final = 6

#: What evidence writes by the million. The index `journal_of_changes` leaves these out, so the query must too.
EVIDENCE: Final = (
    "event.decided", "event.parked", "event.waits", "event.redelivered", "record.changed", "record.checked",
    "run.finished", "run.parked", "run.waits", "webhook.refused", "command.submitted", "command.answered",
    "command.waits", "command.looked_for", "command.confirmed", "delivery.delivered",
)  # fmt: skip
#: What is no change of how things stand: looks, questions and notes.
LOOKS: Final = (
    "record.noted", "payload.revealed", "export.made", "record.check_asked", "connection.check_asked",
    "stream.run_asked", "problem.assigned", "run.cancelled", "journal.verified", "person.signed_in",
    "person.signed_out", "breaker.probe_asked", "breaker.probe_failed",
)  # fmt: skip


@dataclass(frozen=True)
class Waiting:
    """So many of something, since when; `capped` says that there are more."""

    number: int = 0
    oldest_at: datetime | None = None
    capped: bool = False


def stuck_records(space: Any) -> Waiting:
    """Count the records that are stuck."""
    rows = Record.objects.filter(
        tenant=space.tenant,
        environment=space.environment,
        connection_id__in=space.connection_ids,
        stuck_since__isnull=False,
    ).order_by("stuck_since", "id")
    return _counted(rows.values("stuck_since")[: MOST + 1], "stuck_since")


def open_drift(space: Any, connection_ids: Collection[int]) -> Waiting:
    """Count the differences that are open at some connections."""
    rows = Drift.objects.filter(
        tenant=space.tenant,
        environment=space.environment,
        connection_id__in=connection_ids,
        status=DriftStatus.OPEN,
    ).order_by("-id")
    return _counted(rows.values("first_seen_at")[: MOST + 1], "first_seen_at")


def _counted(rows: Any, field: str) -> Waiting:
    found = rows.aggregate(number=Count(F(field)), oldest=Min(field))
    return Waiting(min(found["number"], MOST), found["oldest"], found["number"] > MOST)


def owners_of(roles: str) -> list[str]:
    """Return which of the owners of failures somebody with these roles is."""
    held = {role.strip() for role in roles.split(",")}
    return [owner for owner in look.OWNERS if owner in held and owner != "nobody"]


def problems_for(space: Any, user: User, owners: Collection[str]) -> list[Problem]:
    """Return the open problems that wait for a person or for their roles; without a role, for anybody."""
    mine = Q(owner__in=owners) | Q(assigned_to=user) if owners else ~Q(owner="nobody")
    rows = Problem.objects.filter(
        mine,
        tenant=space.tenant,
        environment=space.environment,
        connection_id__in=space.connection_ids,
        open_count__gt=0,
    )
    return list(rows.select_related("connection", "assigned_to").order_by("-last_seen_at", "-id")[:SHOWN])


def colleagues(space: Any, user: User, owners: Collection[str]) -> list[str]:
    """Return the names of the others whom the same roles ask here; at most three."""
    if not owners:
        return []
    held = grants_at(space.tenant, space.connection_ids).filter(role__in=owners)
    rows = User.objects.filter(pk__in=held.values("user_id"), is_active=True)
    return [person.name for person in rows.exclude(pk=user.pk).order_by("first_name", "email")[:3]]


def changes_since(space: Any, user: User, since: datetime) -> list[JournalEntry]:
    """Return what people and the engine changed since then, the newest first.

    What concerns the tenant as a whole is for those who see all of it.
    """
    seen = Q(connection_id__in=space.connection_ids)
    if user.powers.may(SEE, tenant_id=space.tenant.pk):
        seen |= Q(connection_id__isnull=True)
    rows = (
        JournalEntry.objects.filter(tenant_id=space.tenant.pk, environment=space.environment, at__gte=since)
        .filter(seen)
        .exclude(action__in=EVIDENCE)
        .exclude(action__in=LOOKS)
    )
    return list(rows.order_by("-id")[: SHOWN + 2])
