"""What an answer shows: new evidence, or only a newer sight of what is known."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from django.db.models import F

from integrations.boundary.payloads import Kept
from integrations.models import Attempt, Connection, Event, MappingState, Reference, Run, RunKind
from integrations.providers.base import Item, Response
from integrations.workflow.belief import digest
from integrations.workflow.decide import lag_of
from integrations.workflow.evidence import NOWHERE
from integrations.workflow.rows import insert_rows


class Asked(NamedTuple):
    """Our clock when a request left and when its answer was here."""

    at: datetime
    answered_at: datetime

    @classmethod
    def by(cls, attempt: Attempt | None, response: Response) -> "Asked":
        """Return when an exchange began and ended."""
        return cls(attempt.started_at if attempt else response.received_at, response.received_at)


def store(run: Run, connection: Connection, items: Sequence[Item], kept: Kept, asked: Asked, source: str) -> int:
    """Insert the events of an answer that are new evidence; return how many.

    An object that reads as when we last saw it is no new evidence: only the time of that sight moves.
    The answers of a check of single objects are always kept, because that is what was asked for.
    """
    known = _known(run, connection, items)
    unchanged, fresh = [], []
    for item in items:
        reference = known.get((item.resource, item.external_id))
        if not item.event_id and reference and not run.targets and _same(reference, item):
            unchanged.append((reference, item))
        else:
            fresh.append(_event(run, connection, item, kept, asked, source, reference))
    _saw_again(unchanged, asked)
    if run.kind == RunKind.RECONCILE and unchanged:
        Run.objects.filter(pk=run.pk).update(compared=F("compared") + len(unchanged))
    # What a webhook brings in this very moment is here twice, and kept once.
    return insert_rows(fresh, conflict="ON CONFLICT DO NOTHING")


def _same(reference: Reference, item: Item) -> bool:
    """Say whether an object reads as when we last saw it: its content, or a mere tombstone of what is deleted."""
    if item.obj:
        return bytes(reference.seen_hash) == digest(item.obj)
    return item.deleted and reference.deleted_at is not None


def _known(run: Run, connection: Connection, items: Sequence[Item]) -> dict[tuple[str, str], Reference]:
    """Return by (resource, external id) how the objects were last seen.

    A comparison leaves out those whose last sight does not stand for belief: they differ by now, or were
    mapped by rules that are no longer in force.
    """
    resources = {item.resource for item in items}
    rows = Reference.objects.filter(
        connection=connection, resource__in=resources, external_id__in=[item.external_id for item in items]
    )
    if run.kind == RunKind.RECONCILE:
        rows = rows.filter(record__open_drift=0, record__mapping__state=MappingState.PUBLISHED)
    return {(row.resource, row.external_id): row for row in rows}


def _saw_again(seen: Sequence[tuple[Reference, Item]], asked: Asked) -> None:
    if not seen:
        return
    as_of = max(item.occurred_at for _, item in seen)
    rows = Reference.objects.filter(pk__in=[reference.pk for reference, _ in seen])
    rows.update(checked_at=asked.answered_at)
    # By their digests too: what an event has changed in this very moment is no longer what was seen here.
    digests = [reference.seen_hash for reference, _ in seen]
    rows.filter(seen_at__lt=as_of, seen_hash__in=digests).update(
        seen_at=as_of, seen_exact=True, asked_at=asked.at, lag=lag_of(*asked).seconds
    )


def _event(
    run: Run,
    connection: Connection,
    item: Item,
    kept: Kept,
    asked: Asked,
    source: str,
    reference: Reference | None,
) -> Event:
    return Event(
        tenant_id=connection.tenant_id,
        environment=connection.environment,
        connection=connection,
        run=run,
        source=source,
        provider_event_id=item.event_id[:120] or identity(run, item, reference),
        event_type=(item.event_type or f"{item.resource} as it is")[:120],
        resource=item.resource[:60],
        external_id=item.external_id[:255],
        occurred_at=item.occurred_at,
        exact=item.exact,
        deleted=item.deleted,
        received_at=asked.answered_at,
        asked_at=asked.at if item.exact else None,
        payload_id=kept.id,
        payload_at=kept.at,
        path=item.path if item.obj or not item.external_id else NOWHERE,
        due_at=asked.answered_at,
    )


def identity(run: Run, item: Item, reference: Reference | None) -> str:
    """Return the identity of evidence that has no id of its own: a look at an object.

    A check is always its own evidence. Any other look is new when the object differs from how it was
    seen before; the time of that earlier sight makes A → B → A three pieces of evidence, while a look
    that failed to become belief is not kept again and again.
    """
    if run.kind == RunKind.RECONCILE:
        return f"check:{run.pk}:{item.resource[:12]}:{_short(item.external_id)}"
    seen = int(reference.seen_at.timestamp()) if reference else 0
    what = digest(item.obj).hex() if item.obj else "absent"
    asked = f":{run.pk}" if run.targets else ""
    return f"seen:{item.resource[:12]}:{_short(item.external_id)}:{what}:{seen}{asked}"


def _short(external_id: str) -> str:
    """Return an id in at most 40 characters; ids that differ stay different."""
    return external_id if len(external_id) <= 40 else sha256(external_id.encode()).hexdigest()[:40]
