"""Writing the journal: the only place that inserts entries, always in the transaction of what they tell."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Model
from django.utils import timezone

from integrations.journal.actor import Actor
from integrations.models import Connection, JournalEntry, Lane, Record
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


def about(
    subject: Model,
    lane: str,
    action: str,
    summary: str,
    *,
    at: Model | None = None,
    outcome: str = "",
    data: dict[str, Any] | None = None,
    actor: Actor | None = None,
    reason: str = "",
) -> Entry:
    """Return an entry about a row, with the tenant, environment, connection and record that `at` names.

    `at` is the row itself unless another one is given, as for what only hangs on a connection.
    """
    place: Any = at or subject
    return Entry(
        tenant_id=place.tenant_id,
        environment=place.environment,
        connection_id=place.pk if isinstance(place, Connection) else getattr(place, "connection_id", None),
        record_id=place.pk if isinstance(place, Record) else getattr(place, "record_id", None),
        lane=lane,
        action=action,
        summary=summary,
        outcome=outcome,
        subject_type=str(subject._meta.model_name),
        subject_id=subject.pk,
        data=data or {},
        actor=actor,
        reason=reason,
    )


def write_act(
    subject: Model,
    action: str,
    summary: str,
    *,
    actor: Actor,
    reason: str = "",
    outcome: str = "",
    data: dict[str, Any] | None = None,
    at: Model | None = None,
) -> JournalEntry:
    """Insert what somebody did to a row, as `about` places it; call inside the transaction of the change."""
    entry = about(subject, Lane.PEOPLE, action, summary, at=at, outcome=outcome, data=data, actor=actor, reason=reason)
    return write([entry])[0]


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
