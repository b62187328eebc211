"""From kept bytes to what they would make of belief: open, read, map. No transaction, nothing is written."""

import json
import logging
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from typing import Any

from integrations.boundary.mapping import Mapped, Traced, apply, schema_difference
from integrations.boundary.payloads import read_many
from integrations.canonical import KINDS
from integrations.configuration.mappings import InForce, in_force
from integrations.failures.categories import Category, Fault
from integrations.failures.outline import outline
from integrations.models import Connection, Event, Source
from integrations.models import Mapping as MappingVersion
from integrations.providers import get_adapter
from integrations.providers.base import Adapter, Item
from integrations.workflow.decide import Candidate, deletion

log = logging.getLogger(__name__)

#: The path of evidence whose payload shows no object: what is gone, or only said to have changed.
NOWHERE = "-"


@dataclass
class Read:
    """What one event says: the provider's object, the candidate for belief, or the fault that is in the way."""

    event: Event
    obj: Any = None
    candidate: Candidate | None = None
    mapped: Mapped | None = None
    trace: tuple[Traced, ...] = ()
    mapping_id: int | None = None
    fault: Fault | None = None
    difference: list[Any] = field(default_factory=list)
    ignored: str = ""
    #: It says only that something changed, and shows nothing of it.
    pointer: bool = False

    @property
    def key(self) -> tuple[int, str, str]:
        """Which object it is about."""
        return self.event.connection_id, self.event.resource, self.event.external_id


def read_events(
    events: Iterable[Event], connections: Table[int, Connection], *, instead: MappingVersion | None = None
) -> list[Read]:
    """Open and map many events; `instead` maps its resource by another version than the one in force."""
    found = list(events)
    bodies = read_many((event.payload_id, event.payload_at) for event in found)
    pages: dict[Any, Any] = {}
    result = []
    for event in found:
        connection = connections[event.connection_id]
        rules = in_force_once(connection.pk, instead or event.replay_mapping, pages)
        result.append(_read(event, bodies.get(event.payload_id), get_adapter(connection.provider), rules, pages))
    return result


def in_force_once(connection_id: int, instead: MappingVersion | None, seen: dict[Any, Any]) -> InForce:
    """Return the rules in force, looked up once a batch."""
    key = ("rules", connection_id, instead.pk if instead else None)
    if key not in seen:
        seen[key] = in_force(connection_id, instead=instead)
    rules: InForce = seen[key]
    return rules


def _read(event: Event, body: bytes | None, adapter: Adapter, rules: InForce, pages: dict[Any, Any]) -> Read:
    read = Read(event)
    try:
        if body is None:
            raise Fault(
                Category.UNKNOWN, "payload_gone", "Its payload is no longer kept, or no key in FIELD_KEYS opens it"
            )
        if event.source == Source.WEBHOOK:
            _read_webhook(read, _of_event(_items(event, body, adapter, pages), event))
        elif not event.resource:
            entry = json.dumps(_look(event, body, pages)).encode()
            _read_webhook(read, _of_event(adapter.parse(entry, event.received_at), event))
        elif event.path != NOWHERE:
            read.obj = _look(event, body, pages)
        read.pointer = not (read.ignored or read.obj or event.deleted)
        if not (read.ignored or read.pointer):
            _map(read, rules)
    except Fault as fault:
        read.fault = fault
        read.trace = getattr(fault, "trace", ())
        if read.obj is not None and event.resource in rules.document.resources:
            read.difference = [list(d) for d in schema_difference(rules.document, event.resource, read.obj)]
    except Exception as error:  # one that an adapter did not foresee must not hold up the others
        log.error("Event %d cannot be read: %s", event.pk, outline(error))
        kind = type(error).__name__
        read.fault = Fault(Category.UNKNOWN, f"engine:{kind}", f"It could not be read ({kind})")
    return read


def _items(event: Event, body: bytes, adapter: Adapter, pages: dict[Any, Any]) -> Sequence[Item]:
    """Return what a webhook tells of, read once a batch for all of its events."""
    key = ("webhook", event.payload_id)
    if key not in pages:
        pages[key] = adapter.parse(body, event.received_at)
    items: Sequence[Item] = pages[key]
    return items


def _of_event(items: Sequence[Item], event: Event) -> Item:
    """Return what a webhook says of one event. The only one in it may have got its identity from its bytes."""
    for item in items:
        if len(items) == 1 or item.event_id[:120] == event.provider_event_id:
            return item
    raise Fault(Category.CONTRACT, "no_such_event", "The webhook does not hold the event that was read from it")


def _read_webhook(read: Read, item: Item) -> None:
    """Take over what the envelope says; a newer adapter may read what an older one could not."""
    event = read.event
    if item.fault:
        raise item.fault
    read.obj, read.ignored = item.obj, item.ignored
    if not event.resource:
        event.event_type, event.resource, event.external_id = item.event_type, item.resource, item.external_id
        event.occurred_at, event.deleted, event.path = item.occurred_at, item.deleted, item.path


def _map(read: Read, rules: InForce) -> None:
    event = read.event
    kind = rules.document.kind_of(event.resource)
    if kind is None:
        raise Fault(Category.CONTRACT, f"unmapped:{event.resource}", f"No mapping reads {event.resource or 'this'}")
    read.mapping_id = rules.ids[event.resource]
    if event.deleted and not read.obj:
        read.candidate = deletion(kind, event.occurred_at, event.received_at, event.asked_at)
        return
    read.mapped = apply(rules.document, event.resource, read.obj, deleted=event.deleted)
    read.trace = read.mapped.trace
    read.candidate = Candidate(
        KINDS[kind], read.mapped.state, read.mapped, event.occurred_at, event.received_at, event.asked_at
    )


def _look(event: Event, body: bytes, pages: dict[Any, Any]) -> Any:
    return _pointed(_page(event, body, pages), event.path)


def _page(event: Event, body: bytes, pages: dict[Any, Any]) -> Any:
    if event.payload_id not in pages:
        try:
            pages[event.payload_id] = json.loads(body)
        except ValueError as error:
            raise Fault(Category.CONTRACT, "not_json", "The payload is not JSON") from error
    return pages[event.payload_id]


def _pointed(document: Any, pointer: str) -> Any:
    """Return what an RFC 6901 pointer names; raises `Fault` where it leads nowhere."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        try:
            document = document[int(name)] if isinstance(document, list) else document[name]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise Fault(Category.CONTRACT, "pointer", "The payload does not hold what the event points to") from error
    return document
