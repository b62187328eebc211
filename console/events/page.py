"""What the page of one event shows, gathered in few queries."""

from functools import partial
from typing import Any

from django.urls import reverse
from django.utils import timezone

from console.access import find_here, seen
from console.events import evidence, telling, versions
from integrations.boundary.vault import Unreadable, unseal
from integrations.models import Attempt, Event, Failure, JournalEntry, Mapping, MappingState, Payload, Run, WorkState
from integrations.providers import get_adapter
from integrations.workflow.evidence import Read, read_events

MOST_LINES = 30


def find(request: Any, pk: int, action: str = "") -> Event:
    """Return an event of the space: Http404 where it is hidden, `Forbidden` without `action` at its connection."""
    rows = Event.objects.select_related("connection", "record", "mapping", "run__stream", "replay_mapping")
    return find_here(request, rows, pk, action)


def gather(request: Any, event: Event, *, revealed: bool = False) -> dict[str, Any]:
    """Return everything that the page shows; `revealed` shows personal data of this payload."""
    space, now = request.space, timezone.now()
    may = partial(request.user.powers.may, tenant_id=event.tenant_id, connection_id=event.connection_id)
    adapter, chosen = get_adapter(event.connection.provider), mapping_asked(request, event)
    payload, body = payload_of(event)
    read = read_again(event, chosen) if body is not None else Read(event)
    hidden = frozenset[str]() if revealed else evidence.sensitive(read, adapter)
    kind = evidence.kind_of(read)
    failures = list(Failure.objects.filter(event=event).select_related("problem").order_by("-id")[:5])
    open_failure = next((failure for failure in failures if failure.resolved_at is None), None)
    same = versions.events_of_object(event)
    record = seen(event.record, request.user)
    return {
        "event": event,
        "record": record,
        "kind": kind,
        "payload": payload,
        "shown": evidence.show(read, body, adapter, revealed=revealed),
        "results": evidence.results(read.trace, kind, hidden, personal=revealed or may("see_personal")),
        "rules": read.mapping_id,
        "fault": read.fault,
        "difference": read.difference or (open_failure.difference if open_failure else []),
        "mappings": mappings_of(event, read.mapping_id, chosen),
        "failures": failures,
        "open_failure": open_failure,
        "lead": telling.tell(event, record, open_failure, now, lambda pk: reverse("record", args=(*space.args, pk))),
        "state_words": telling.state_words(event),
        "lines": lines_of(event),
        "versions": versions.compare(same, event.connection, hidden) if len(same) > 1 and body is not None else [],
        "attempt": attempt_of(event),
        "under_way": is_under_way(event),
        "api_version": adapter.api_version,
        "may_replay": may("replay") and event.state in REPLAYABLE and not is_check(event),
        "may_dismiss": may("dismiss") and event.state in DISMISSABLE,
        "may_reveal": may("reveal") and not revealed,
    }


def read_again(event: Event, chosen: Mapping | None) -> Read:
    """Read the event as it would be read now, by the version in force or the one chosen; nothing is written."""
    return read_events([event], {event.connection_id: event.connection}, instead=chosen)[0]


REPLAYABLE = frozenset({WorkState.PARKED, WorkState.WAITING, WorkState.DONE, WorkState.DISMISSED})
DISMISSABLE = frozenset({WorkState.PARKED, WorkState.WAITING})


def kind_of(event: Event) -> str:
    """Return the canonical kind that an event is about, "" where no mapping reads it."""
    known = event.record or event.mapping
    if known is not None:
        return known.kind
    rows = Mapping.objects.filter(connection_id=event.connection_id, resource=event.resource)
    return rows.values_list("kind", flat=True).first() or ""


def is_under_way(event: Event) -> bool:
    """Say whether a worker has it, or takes it next."""
    return event.state in (WorkState.READY, WorkState.LEASED)


def is_check(event: Event) -> bool:
    """Say whether it was read to be compared, which is asked anew and not replayed."""
    return event.run is not None and event.run.kind == "reconcile"


def payload_of(event: Event) -> tuple[Payload | None, bytes | None]:
    """Return the payload's row and its bytes; None for what is no longer kept or cannot be opened."""
    payload = Payload.objects.filter(pk=event.payload_id, at=event.payload_at).first()
    if payload is None:
        return None, None
    try:
        return payload, unseal(payload.body)
    except Unreadable:
        return payload, None


def mapping_asked(request: Any, event: Event) -> Mapping | None:
    """Return the mapping version that the address asks for; None for the one in force."""
    pk = request.GET.get("mapping", "") or request.POST.get("mapping", "")
    if not (pk.isascii() and pk.isdigit() and len(pk) < 19):
        return None
    return Mapping.objects.filter(pk=int(pk), connection_id=event.connection_id, resource=event.resource).first()


def rules_in_force(event: Event) -> Mapping | None:
    """Return the mapping version that reads such an event now."""
    rows = Mapping.objects.filter(connection_id=event.connection_id, resource=event.resource)
    return rows.filter(state=MappingState.PUBLISHED).first()


def mappings_of(event: Event, used: int | None, chosen: Mapping | None) -> list[tuple[Mapping, str, bool]]:
    """Return the versions worth comparing: the one that decided, and the one in force, where they differ."""
    if not event.resource:
        return []
    current = rules_in_force(event)
    wanted = {m.pk: m for m in (event.mapping, current, chosen) if m is not None}
    if len(wanted) < 2:
        return []
    return [
        (mapping, "in force" if current and mapping.pk == current.pk else "decided then", mapping.pk == used)
        for mapping in sorted(wanted.values(), key=lambda each: each.version)
    ]


def lines_of(event: Event) -> list[JournalEntry]:
    """Return what the journal says of an event, newest first."""
    return list(JournalEntry.objects.filter(subject_type="event", subject_id=event.pk).order_by("-id")[:MOST_LINES])


def attempt_of(event: Event) -> Attempt | None:
    """Return the exchange with the provider that brought it."""
    run: Run | None = event.run
    if run is None:
        return None
    return Attempt.objects.filter(run=run, payload_id=event.payload_id).order_by("-id").first()
