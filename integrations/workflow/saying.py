"""Saying in words how evidence came, and what a command asks for."""

from collections.abc import Mapping
from typing import Any

from integrations.models import Event, Record
from integrations.providers.base import ActionSpec


def asks(
    spec: ActionSpec, where: str, *, content: Mapping[str, Any], external_id: str = "", record: Record | None = None
) -> str:
    """Say what a command asks for and where: "Create invoice INV-0042 in Books", at most 200 characters.

    It is called as it is to be called there, else as its record is called here, else by its id.
    """
    called = _called(spec, content, external_id, record)
    most = 200 - len(spec.title) - len(where) - len("  in ")
    return f"{spec.title}{f' {called[:most]}' if called else ''} in {where}"[:200]


def _called(spec: ActionSpec, content: Mapping[str, Any], external_id: str, record: Record | None) -> str:
    for name in ("number", "name"):
        if isinstance(content.get(name), str):
            return str(content[name])
    title = spec.title.lower()
    if record is not None and record.kind in title:
        return record.label
    for name, value in content.items():
        if isinstance(value, str) and name.replace("_", " ") in title:
            return value
    return f"for {record.kind} {record.label}" if record is not None else external_id


def came(event: Event) -> str:
    """Say in words how the evidence came."""
    if event.replays:
        return "replayed"
    words = {"webhook": "arrived", "page": "was read", "change log": "was found in the event log", "check": "was read"}
    late = (event.received_at - event.occurred_at).total_seconds()
    if event.source == "webhook" and late >= 5:
        return f"arrived {lasted(late)} after it happened"
    return words[event.source]


def lasted(seconds: float) -> str:
    """Say a length of time in its largest whole unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:,.0f} {unit}"
    return f"{seconds:.0f} s"
