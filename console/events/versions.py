"""The payloads of one object, compared: what the provider changed from one to the next."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.boundary.redaction import Redacted, redact
from integrations.models import Connection, Event
from integrations.workflow.evidence import read_events

MOST = 8
#: Differences that are listed in full.
MOST_CHANGES = 40


@dataclass(frozen=True)
class Version:
    """One event of the object, and what it shows otherwise than the one before it; `changes` None: unknown."""

    event: Event
    changes: list[tuple[str, str, str]] | None
    more: int = 0

    @property
    def first(self) -> tuple[str, str, str] | None:
        return self.changes[0] if self.changes else None

    @property
    def others(self) -> int:
        return len(self.changes or ()) + self.more - 1


def events_of_object(event: Event) -> list[Event]:
    """Return the newest events about the object, this one among them; newest first by the provider's clock."""
    if not event.external_id:
        return [event]
    same = Event.objects.filter(
        connection_id=event.connection_id, resource=event.resource, external_id=event.external_id
    )
    later = list(same.filter(pk__gt=event.pk).order_by("id")[: MOST // 2])
    earlier = list(same.filter(pk__lt=event.pk).order_by("-id")[: MOST - len(later)])
    return sorted([*later, event, *earlier], key=lambda each: (each.occurred_at, each.pk), reverse=True)


def compare(events: Sequence[Event], connection: Connection, sensitive: frozenset[str]) -> list[Version]:
    """Return the events as versions, each against the one before it that shows the same kind of object."""
    objects = [read.obj for read in read_events(events, {connection.pk: connection})]
    versions = []
    for place, event in enumerate(events):
        before = next((each for each in objects[place + 1 :] if _alike(each, objects[place])), None)
        if before is None:
            versions.append(Version(event, None))
            continue
        found = list(differences(before, objects[place], sensitive))
        versions.append(Version(event, found[:MOST_CHANGES], max(0, len(found) - MOST_CHANGES)))
    return versions


def _alike(one: Any, other: Any) -> bool:
    """Say whether two objects can be compared: a charge that speaks of a payment is no version of it."""
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return False
    return 2 * len(one.keys() & other.keys()) >= len(one.keys() | other.keys())


def differences(before: Any, after: Any, sensitive: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (path, before, after) where two objects differ; what is personal differs without being shown."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    shown_old, shown_new = dict(_leaves(redact(before, sensitive))), dict(_leaves(redact(after, sensitive)))
    for path in dict.fromkeys([*new, *old]):
        if old.get(path, _ABSENT) != new.get(path, _ABSENT):
            yield (
                path.encode(errors="replace").decode(),
                _text(shown_old.get(path, _ABSENT)),
                _text(shown_new.get(path, _ABSENT)),
            )


_ABSENT = object()


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping) and node:
        for key, child in node.items():
            yield from _leaves(child, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list) and node:
        for place, child in enumerate(node):
            yield from _leaves(child, f"{path}[{place}]")
    else:
        yield path, node


def _text(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    text = str(value) if isinstance(value, str | Redacted) else json.dumps(value, ensure_ascii=False, default=str)
    text = text.encode(errors="replace").decode()
    return text if len(text) <= 60 else f"{text[:59]}…"
