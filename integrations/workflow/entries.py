"""When records came into the states in which they are, where somebody told who was there."""

from collections.abc import Mapping
from datetime import UTC, datetime

from django.db.models import F

from integrations.models import Cause, Event, Record, Transition


def entries_of(records: Mapping[int, Record]) -> dict[int, datetime]:
    """Return when records came into their states, by the provider's clock; without those of which nobody told.

    Events tell of the moment at which something happened. A read shows that it has happened, at any time before.
    """
    if not records:
        return {}
    rows = Transition.objects.filter(record_id__in=records, cause=Cause.EVENT).exclude(from_state=F("to_state"))
    newest = {row.record_id: row for row in rows.order_by("version")}
    ids = [row.cause_id for row in newest.values() if row.cause_id]
    told = set(Event.objects.filter(pk__in=ids, exact=False).values_list("pk", flat=True))
    return {
        pk: row.occurred_at for pk, row in newest.items() if row.cause_id in told and row.to_state == records[pk].state
    }


def rfc3339(moment: datetime | None) -> str:
    """Return a moment as canonical data has it, "" for none."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment else ""
