"""What the form of a command begins with when it is opened from a record, and which actions are offered there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from console.commands.fields import TARGET, properties_of, typed_of
from integrations.canonical import KINDS
from integrations.models import Connection, Record, Reference
from integrations.providers import get_adapter
from integrations.providers.base import ActionSpec, Adapter


@dataclass(frozen=True)
class Offer:
    """One action that a record's page offers, at one connection."""

    connection: Connection
    spec: ActionSpec


def offers(record: Record, held: Iterable[tuple[int, str]], connections: Iterable[Connection]) -> list[Offer]:
    """Return what may be asked about a record at those of the connections that hold it.

    `held` says as what it is held where: (connection id, resource). An action is offered that acts on the record's
    object there, or that makes something which refers to it. What makes the object itself is left to exports: two of
    them would be two objects.
    """
    places = {each.pk: each for each in connections if not each.disabled_at}
    found = []
    for connection_id, resource in sorted(set(held)):
        connection = places.get(connection_id)
        adapter = get_adapter(connection.provider) if connection else None
        if connection and adapter and _kind_of(adapter, resource) == record.kind:
            found += [Offer(connection, spec) for spec in adapter.actions.values() if _is_about(adapter, spec, record)]
    return found


def _is_about(adapter: Adapter, spec: ActionSpec, record: Record) -> bool:
    if not spec.creates:
        return _kind_of(adapter, spec.resource) == record.kind
    return any(_kind_of(adapter, name) == record.kind for name in properties_of(spec))


def values(record: Record, connection: Connection, spec: ActionSpec) -> dict[str, Any]:
    """Return what is known of a record for a form: ids at the connection, and its own fields for its own action.

    Of another kind only the currency is taken over: how much is paid back, somebody has to say.
    """
    adapter, properties = get_adapter(connection.provider), properties_of(spec)
    ids = _ids_there(record, connection, adapter)
    own = _kind_of(adapter, spec.resource) == record.kind
    currency = record.data.get("currency")
    found = {name: ids[kind] for name in properties if (kind := _kind_of(adapter, name)) in ids}
    if own and not spec.creates and record.kind in ids:
        found[TARGET] = ids[record.kind]
    for name in properties if own else {"currency"} & properties.keys():
        value = record.state if name == "state" else record.data.get(name)
        if name not in found and value is not None and _fits(properties[name], value):
            found[name] = typed_of(properties[name], value, currency if isinstance(currency, str) else "")
    return found


def _fits(field: Mapping[str, Any], value: Any) -> bool:
    return "enum" not in field or value in field["enum"]


def _ids_there(record: Record, connection: Connection, adapter: Adapter) -> dict[str, str]:
    """Return by kind what a record and those that it refers to are called at a connection."""
    linked = record.links.values_list("target_id", flat=True)
    rows = Reference.objects.filter(record_id__in=[*linked, record.pk], connection=connection, deleted_at=None)
    found = {}
    for record_id, kind, resource, external_id in rows.order_by("pk").values_list(
        "record_id", "record__kind", "resource", "external_id"
    ):
        if _kind_of(adapter, resource) == kind and (kind not in found or record_id == record.pk):
            found[kind] = external_id
    return found


def _kind_of(adapter: Adapter, word: str) -> str:
    """Return the canonical kind that a resource of the provider, or a field by its name, is about; "" for none."""
    by_resource = (spec.kind for spec in adapter.streams if spec.resource == word)
    return next(by_resource, word if word in KINDS else "")
