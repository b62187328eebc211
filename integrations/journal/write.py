"""Writing the journal: the only place that inserts entries, always in the transaction of what they tell."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.utils import timezone

from integrations.journal.actor import Actor
from integrations.models import JournalEntry
from integrations.workflow.rows import insert_rows

NOBODY = Actor(None, "")


@dataclass(kw_only=True)
class Entry:
    """One line to be written; see `JournalEntry` for the fields. `at` defaults to now (UTC)."""

    tenant_id: int | None
    environment: str
    lane: str
    action: str
    summary: str
    connection_id: int | None = None
    record_id: int | None = None
    outcome: str = ""
    subject_type: str = ""
    subject_id: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
    actor: Actor | None = None
    reason: str = ""
    address: str = ""
    at: datetime | None = None


class Line(NamedTuple):
    """An entry as it is written; see `JournalEntry`, which costs ten times as much to make."""

    at: datetime
    tenant_id: int | None
    environment: str
    connection_id: int | None
    record_id: int | None
    lane: str
    action: str
    summary: str
    outcome: str
    subject_type: str
    subject_id: int | None
    data: dict[str, Any]
    actor_id: int | None
    actor: str
    role: str
    reason: str
    address: str
    request_id: str


def write(entries: Iterable[Entry]) -> list[JournalEntry]:
    """Insert entries in order; call inside the transaction of the change that they tell."""
    moment = timezone.now()
    return JournalEntry.objects.bulk_create([JournalEntry(**_line(entry, moment)._asdict()) for entry in entries])


def append(entries: Iterable[Entry]) -> None:
    """Insert entries like `write`, for the many of a batch: faster, and their ids are not told."""
    moment = timezone.now()
    insert_rows([_line(entry, moment) for entry in entries], model=JournalEntry)


def _line(entry: Entry, moment: datetime) -> Line:
    actor = entry.actor or NOBODY
    return Line(
        at=entry.at or moment,
        tenant_id=entry.tenant_id,
        environment=entry.environment,
        connection_id=entry.connection_id,
        record_id=entry.record_id,
        lane=entry.lane,
        action=entry.action,
        summary=entry.summary,
        outcome=entry.outcome[:40],
        subject_type=entry.subject_type,
        subject_id=entry.subject_id,
        data=entry.data,
        actor_id=actor.id,
        actor=actor.name,
        role=actor.roles_at.get(entry.connection_id, actor.role)[:60],
        reason=entry.reason,
        address=actor.address or entry.address,
        request_id=actor.request_id,
    )
