"""What other mapping rules would do: tried on what is parked and the newest of a resource, nothing is written."""

from collections import Counter
from collections.abc import Mapping as Table
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import QuerySet

from integrations.boundary.mapping import Mapped, MappingDocument, apply
from integrations.configuration.mappings import document_with, in_force
from integrations.failures.categories import Fault
from integrations.models import Connection, Event, Mapping, WorkState
from integrations.workflow.evidence import read_events

NO_CHANGE, CHANGES, FAILS, REPAIRED, FAILS_AGAIN = (
    "no change", "would change", "would fail", "would map again", "would fail as before"
)  # fmt: skip
VERDICTS = (NO_CHANGE, CHANGES, REPAIRED, FAILS_AGAIN, FAILS)
NEWEST = 50


@dataclass(frozen=True)
class Tried:
    """One event mapped by the rules in force and by the new ones."""

    event: Event
    verdict: str
    changes: tuple[tuple[str, Any, Any], ...] = ()
    fault: Fault | None = None
    currency: str = ""


@dataclass(frozen=True)
class Impact:
    """What the new rules would make of some events; `unread` could not be tried, `parked` of all wait for repair."""

    tried: tuple[Tried, ...]
    unread: int
    parked: int = 0

    @cached_property
    def counts(self) -> Table[str, int]:
        """How many events have each verdict."""
        return Counter(each.verdict for each in self.tried)

    @property
    def differing(self) -> list[Tried]:
        """The events that the new rules change, failures first."""
        found = [each for each in self.tried if each.verdict != NO_CHANGE]
        return sorted(found, key=lambda each: -VERDICTS.index(each.verdict))

    @cached_property
    def fields(self) -> Table[str, int]:
        """How often each field would change."""
        return Counter(name for each in self.tried for name, _, _ in each.changes)


def try_rules(mapping: Mapping, rules: dict[str, Any], *, newest: int = NEWEST) -> Impact:
    """Map parked and newest events of a mapping's resource by other rules. Raises `BadRules`."""
    connection = mapping.connection
    document = document_with(connection, mapping, rules)
    present = in_force(connection.pk).document
    events = _parked_and_newest(connection, mapping.resource, newest)
    tried, unread = [], 0
    for read in read_events(events, {connection.pk: connection}):
        if read.obj is None:
            unread += 1
            continue
        before, after = (_mapped(each, read.event, read.obj) for each in (present, document))
        tried.append(_compared(read.event, before, after))
    return Impact(tuple(tried), unread, sum(event.state == WorkState.PARKED for event in events))


def newest_events(connection: Connection, resource: str, newest: int) -> list[Event]:
    """Return the newest events about a resource, newest first."""
    return list(_events(connection, resource)[:newest])


def _parked_and_newest(connection: Connection, resource: str, most: int) -> list[Event]:
    """Return what new rules may repair, then the newest: parked events are often older than these."""
    parked = list(_events(connection, resource).filter(state=WorkState.PARKED)[:most])
    known = {event.pk for event in parked}
    return [*parked, *(event for event in newest_events(connection, resource, most) if event.pk not in known)]


def _events(connection: Connection, resource: str) -> "QuerySet[Event]":
    found = Event.objects.filter(
        tenant_id=connection.tenant_id, environment=connection.environment, connection=connection, resource=resource
    )
    return found.select_related("record", "replay_mapping").order_by("-id")


def _mapped(document: MappingDocument, event: Event, obj: Any) -> Mapped | Fault:
    try:
        return apply(document, event.resource, obj, deleted=event.deleted)
    except Fault as fault:
        return fault


def _compared(event: Event, before: Mapped | Fault, after: Mapped | Fault) -> Tried:
    if isinstance(after, Fault):
        return Tried(event, FAILS_AGAIN if isinstance(before, Fault) else FAILS, fault=after)
    currency = str(after.data.get("currency") or "")
    if isinstance(before, Fault):
        return Tried(event, REPAIRED, currency=currency)
    old, new = ({"state": each.state, **each.data} for each in (before, after))
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    changes = tuple((name, old.get(name), new.get(name)) for name in names)
    return Tried(event, CHANGES if changes else NO_CHANGE, changes, currency=currency)
