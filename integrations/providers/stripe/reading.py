"""Reading Stripe's JSON: objects, lists and events, each as pieces of evidence."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from integrations.failures.categories import Fault
from integrations.providers.answers import ODD, mismatch, name_in
from integrations.providers.base import Item
from integrations.providers.stripe.events import CARRIES, IGNORED, POINTS_TO

_LONGEST: Final = 120
_LONGEST_ID: Final = 255
_LAST_SECOND: Final = 253_402_300_799


def read_event(event: Any, at: str) -> Item:
    """Return what an event says; `at` is the JSON pointer at which it lies.

    Raises `Fault` where its envelope cannot be read. Where the envelope can be read and what it carries
    cannot, the item says so in `fault`.
    """
    if not isinstance(event, dict) or event.get("object") != "event":
        raise mismatch("wrong_object", "The body is JSON and not an event of Stripe's.")
    event_id = name_in(event, "id", _LONGEST)
    event_type = name_in(event, "type", _LONGEST)
    occurred_at = _time(event)
    try:
        return _content(event, event_id, event_type, occurred_at, at)
    except Fault as fault:
        return Item(event_id, event_type, "", "", occurred_at, at, {}, fault=fault)


def _content(event: dict[str, Any], event_id: str, event_type: str, occurred_at: datetime, at: str) -> Item:
    if event_type in IGNORED:
        return Item(event_id, event_type, "", "", occurred_at, "", {}, ignored="it is about nothing that we keep")
    resource = CARRIES.get(event_type) or POINTS_TO.get(event_type)
    if resource is None:
        raise mismatch(f"unknown_event:{event_type}", f"Stripe sent an event of the unknown type {event_type}.")
    data = event.get("data")
    obj = data.get("object") if isinstance(data, dict) else None
    if not isinstance(obj, dict):
        raise mismatch("missing:data.object", f"The event {event_type} carries no object.", field="data.object")
    if event_type in POINTS_TO:
        return _pointer(event_id, event_type, occurred_at, resource, obj)
    _check_object(obj, resource)
    external_id = name_in(obj, "id", _LONGEST_ID)
    deleted = event_type.endswith(".deleted")
    return Item(event_id, event_type, resource, external_id, occurred_at, f"{at}/data/object", obj, deleted=deleted)


def _pointer(event_id: str, event_type: str, occurred_at: datetime, resource: str, obj: Mapping[str, Any]) -> Item:
    target = obj.get(resource)
    if isinstance(target, dict):
        target = target.get("id")
    if target is None:
        said = f"its {obj.get('object', 'object')} belongs to no {resource.replace('_', ' ')}"
        return Item(event_id, event_type, "", "", occurred_at, "", {}, ignored=said)
    external_id = name_in({"id": target}, "id", _LONGEST_ID)
    return Item(event_id, event_type, resource, external_id, occurred_at, "", {})


def read_object(obj: Any, resource: str, at: str, as_of: datetime) -> Item:
    """Return an object that Stripe answered on request, as it stood at `as_of`. Raises `Fault`."""
    if not isinstance(obj, dict):
        raise mismatch("wrong_object", f"Stripe answered something that is no {resource}.")
    _check_object(obj, resource)
    external_id = name_in(obj, "id", _LONGEST_ID)
    deleted = obj.get("deleted") is True
    return Item("", "", resource, external_id, as_of, at, obj, exact=True, deleted=deleted)


def read_list(answer: Any) -> tuple[list[Any], bool]:
    """Return (entries, whether there are more) of a list. Raises `Fault`."""
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise mismatch("wrong_object", "Stripe answered something that is no list.", field="data")
    has_more = answer.get("has_more")
    if not isinstance(has_more, bool):
        raise mismatch("missing:has_more", "The list does not say whether there is more.", field="has_more")
    return answer["data"], has_more


def _check_object(obj: Mapping[str, Any], resource: str) -> None:
    if obj.get("object") != resource:
        name = obj.get("object")
        found = ODD.sub("_", name[:40]) if isinstance(name, str) else "thing without a name"
        raise mismatch("wrong_object", f"There is a {found} where a {resource} belongs.", field="object", value=found)


def _time(event: Mapping[str, Any]) -> datetime:
    created = event.get("created")
    if created is None:
        raise mismatch("missing:created", "The event does not say when it happened.", field="created")
    if type(created) is not int or not 0 <= created <= _LAST_SECOND:
        raise mismatch("wrong_type:created", "The event's time is no unix time.", field="created")
    return datetime.fromtimestamp(created, UTC)
