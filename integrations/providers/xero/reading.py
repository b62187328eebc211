"""Reading Xero's JSON: objects, pages and webhooks, each as pieces of evidence."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any, Final

from integrations.failures.categories import Fault
from integrations.providers.answers import ODD, mismatch, name_in, not_too_many
from integrations.providers.base import Item
from integrations.providers.xero.client import ENDPOINTS

_LONGEST: Final = 60
_LONGEST_ID: Final = 255
#: Xero writes moments as .NET does; beside them often stands the same as ISO 8601 text.
_DOTNET: Final = re.compile(r"/Date\((-?\d{1,15})([+-]\d{4})?\)/", re.ASCII)
_RESOURCES: Final = {"CONTACT": "contact", "INVOICE": "invoice", "CREDITNOTE": "credit_note"}
_KNOWN: Final = frozenset(f"{category}.{act}" for category in _RESOURCES for act in ("CREATE", "UPDATE"))
#: About the app's own subscriptions, and so about nothing that we keep.
IGNORED: Final[frozenset[str]] = frozenset({"SUBSCRIPTION.CREATE", "SUBSCRIPTION.UPDATE"})


def moment_of(value: Any) -> datetime | None:
    """Return a moment that Xero wrote in either of its formats (UTC where it names no zone); None for no moment."""
    if not isinstance(value, str):
        return None
    try:
        dotnet = _DOTNET.fullmatch(value)
        if dotnet:
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(dotnet.group(1)))
        read = datetime.fromisoformat(value)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def amount_of(value: Any) -> Decimal | None:
    """Return a decimal amount as it was written, None for anything else."""
    if type(value) not in (int, float, str):
        return None
    try:
        return Decimal(value if isinstance(value, str) else repr(value))
    except InvalidOperation:
        return None


# -- objects


def read_object(obj: Any, resource: str, at: str, as_of: datetime) -> Item:
    """Return an object that Xero answered on request, as it stood at `as_of`. Raises `Fault`."""
    if not isinstance(obj, dict):
        raise mismatch("wrong_object", f"Xero answered something that is no {resource}.")
    external_id = name_in(obj, ENDPOINTS[resource].id, _LONGEST_ID)
    return Item("", "", resource, external_id, as_of, at, obj, exact=True)


def is_ours(obj: Any, resource: str) -> bool:
    """Say whether an object is of the sales side; what is bought lies in the same lists.

    A payment that goes out for a credit note is told by that credit note.
    """
    endpoint = ENDPOINTS[resource]
    kind = obj.get(endpoint.type_field, endpoint.kind) if isinstance(obj, dict) else ""
    return not endpoint.kind or not isinstance(obj, dict) or kind == endpoint.kind


def read_list(answer: Any, resource: str) -> list[Any]:
    """Return the entries of an answer. Raises `Fault`."""
    path = ENDPOINTS[resource].path
    if not isinstance(answer, dict) or not isinstance(answer.get(path), list):
        raise mismatch("wrong_object", f"Xero answered something without {path}.", field=path)
    entries: list[Any] = answer[path]
    return entries


def read_items(answer: Any, resource: str, as_of: datetime) -> list[Item]:
    """Return the objects of an answer, as they stood at `as_of`. Raises `Fault`."""
    path = ENDPOINTS[resource].path
    entries = read_list(answer, resource)
    return [read_object(entry, resource, f"/{path}/{place}", as_of) for place, entry in enumerate(entries)]


def has_more(answer: Mapping[str, Any], page: int, entries: int, size: int) -> bool:
    """Say whether another page follows. Without `pagination` only a full page has one after it. Raises `Fault`."""
    told = answer.get("pagination")
    if told is None:
        return entries >= size
    place, count = (told.get("page"), told.get("pageCount")) if isinstance(told, dict) else (None, None)
    if type(place) is not int or type(count) is not int:
        raise mismatch("wrong_type:pagination", "The page does not say which it is of how many.", field="pagination")
    if place != page:
        raise mismatch(
            "repeated_cursor", f"Xero answered another page than was asked for ({page}).", field="pagination"
        )
    return page < count


# -- webhooks


def read_webhook(answer: Any, received_at: datetime) -> tuple[Item, ...]:
    """Return the events of a webhook; none in an intent-to-receive check. Raises `Fault` for an unreadable envelope."""
    events = answer.get("events") if isinstance(answer, dict) else None
    if not isinstance(events, list):
        raise mismatch("wrong_object", "The body is JSON and not a webhook of Xero's.", field="events")
    not_too_many(events)
    first = answer.get("firstEventSequence")
    if events and (type(first) is not int or not 0 <= first < 2**53):
        raise mismatch("wrong_type:firstEventSequence", "The webhook does not number its events.")
    return tuple(_event(event, first + place, received_at) for place, event in enumerate(events))


def _event(event: Any, number: int, received_at: datetime) -> Item:
    try:
        return _readable(event, number)
    except Fault as fault:
        return Item(f"{number}:{_mark(event)}", _type_of(event), "", "", received_at, "", {}, fault=fault)


def _mark(event: Any) -> str:
    """Return what tells an unreadable event from another."""
    try:
        return sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()[:32]
    except RecursionError:
        raise mismatch("malformed_json", "The webhook is nested too deep.") from None


def _type_of(event: Any) -> str:
    if not isinstance(event, dict):
        return "unreadable"
    words = [event.get(name) for name in ("eventCategory", "eventType")]
    return ".".join(ODD.sub("_", word[:_LONGEST]) if isinstance(word, str) and word else "unreadable" for word in words)


def _readable(event: Any, number: int) -> Item:
    if not isinstance(event, dict):
        raise mismatch("wrong_object", "The webhook holds something that is no event.")
    for name in ("eventCategory", "eventType"):
        name_in(event, name, _LONGEST)
    event_type = _type_of(event)
    external_id = name_in(event, "resourceId", _LONGEST_ID)
    occurred_at = moment_of(name_in(event, "eventDateUtc", _LONGEST))
    if occurred_at is None:
        raise mismatch("wrong_type:eventDateUtc", "The event's time is no time.", field="eventDateUtc")
    # Xero gives events a number and no id. Numbers begin anew with a new subscription, so the rest is part of it.
    event_id = f"{number}:{external_id[:40]}:{occurred_at:%Y%m%d%H%M%S%f}"
    if event_type in IGNORED or _is_bought(event):
        return Item(event_id, event_type, "", "", occurred_at, "", {}, ignored="it is about nothing that we keep")
    if event_type not in _KNOWN:
        fault = mismatch(f"unknown_event:{event_type}", f"Xero sent an event of the unknown type {event_type}.")
        return Item(event_id, event_type, "", "", occurred_at, "", {}, fault=fault)
    return Item(event_id, event_type, _RESOURCES[event["eventCategory"]], external_id, occurred_at, "", {})


def _is_bought(event: Mapping[str, Any]) -> bool:
    data = event.get("data")
    return isinstance(data, dict) and data.get("Type") == "ACCPAYCREDIT"
