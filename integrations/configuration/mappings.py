"""Mappings as versioned data: version 1 comes with the adapter, people publish the next ones."""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.utils import timezone
from pydantic import ValidationError

from integrations.boundary.mapping_document import MappingDocument, fault_in_words
from integrations.configuration.rules import difference
from integrations.journal import history
from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import Connection, Mapping, MappingState
from integrations.providers.mapping_files import mapping_file
from integrations.workflow.errors import IN_HISTORY, Refusal, require_reason

#: Key of the document-wide table that is kept beside each resource's rules.
DECIMALS = "currency_decimals"


@dataclass(frozen=True)
class InForce:
    """A document to map by, and which mapping version stands behind each resource."""

    document: MappingDocument
    ids: dict[str, int]
    versions: dict[str, int]


@transaction.atomic
def install(connection: Connection, *, actor: Actor) -> list[Mapping]:
    """Publish version 1 of the adapter's own rules for a new connection; returns the mappings."""
    table = tomllib.loads(mapping_file(connection.provider).decode())
    decimals = table.pop(DECIMALS, {})
    now = timezone.now()
    made = []
    for resource, rules in table.items():
        mapping = Mapping(
            connection=connection,
            resource=resource,
            kind=rules["kind"],
            version=1,
            state=MappingState.PUBLISHED,
            rules={"rules": rules, DECIMALS: decimals},
            published_at=now,
            published_by=actor.name,
        )
        mapping._change_reason = "Came with the adapter"  # type: ignore[attr-defined]
        mapping.save()
        made.append(mapping)
    return made


def in_force(connection_id: int, *, instead: Mapping | None = None) -> InForce:
    """Return what maps a connection's objects now; `instead` takes the place of its resource's version."""
    rows = Mapping.objects.filter(connection_id=connection_id, state=MappingState.PUBLISHED)
    ids = dict(rows.values_list("resource", "pk"))
    if instead is not None:
        ids[instead.resource] = instead.pk
    return _load(tuple(sorted(ids.items())))


@lru_cache(maxsize=256)
def _load(ids: tuple[tuple[str, int], ...]) -> InForce:
    """Build the document of a set of mapping versions; published rules never change, so it is cached."""
    mappings = {m.resource: m for m in Mapping.objects.filter(pk__in=[pk for _, pk in ids])}
    decimals: dict[str, int] = {}
    for mapping in mappings.values():
        decimals |= mapping.rules.get(DECIMALS, {})
    document = MappingDocument.model_validate(
        {"resources": {r: m.rules["rules"] for r, m in mappings.items()}, DECIMALS: decimals}
    )
    return InForce(document, dict(ids), {r: m.version for r, m in mappings.items()})


class BadRules(ValueError):
    """The rules are not a valid mapping; the text names each fault, `faults` holds them one by one."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@transaction.atomic
def publish(
    connection: Connection,
    resource: str,
    rules: dict[str, Any],
    *,
    actor: Actor,
    reason: str,
    over: int | None = None,
) -> Mapping:
    """Publish new rules for one resource as its next version; the one before is retired.

    `over` is the version that the rules were written over. Raises `BadRules`, and `Refusal` when
    another version is in force by now, nothing differs, or there is no reason.
    """
    Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
    current = Mapping.objects.get(connection=connection, resource=resource, state=MappingState.PUBLISHED)
    if over is not None and over != current.version:
        raise Refusal(f"{current.published_by} published v{current.version} meanwhile. Begin from that.")
    require_reason(reason, IN_HISTORY)
    document_with(connection, current, rules)
    changes = difference(current.rules["rules"], rules)
    if not changes:
        raise Refusal(f"These are the rules of v{current.version}. Nothing was published.")
    draft = Mapping(
        connection=connection,
        resource=resource,
        kind=current.kind,
        version=current.version + 1,
        state=MappingState.PUBLISHED,
        rules={**current.rules, "rules": rules},
        published_at=timezone.now(),
        published_by=actor.name,
    )
    current.state = MappingState.RETIRED
    history.save(current, actor=actor, reason=f"Replaced by v{draft.version}: {reason}")
    history.save(draft, actor=actor, reason=reason)
    said, version = {"changes": changes, "version": draft.version}, f"v{draft.version}"
    words = f"{actor.name} published mapping {resource} {version}"
    write_act(draft, "mapping.published", words, at=connection, outcome=version, data=said, actor=actor, reason=reason)
    return draft


def document_with(connection: Connection, current: Mapping, rules: dict[str, Any]) -> MappingDocument:
    """Return the connection's document with other rules in the place of `current`; raises `BadRules`."""
    if rules.get("kind", current.kind) != current.kind:
        raise BadRules([f"kind: {current.resource} leads to {current.kind}; another kind needs a mapping of its own"])
    others = Mapping.objects.filter(connection=connection, state=MappingState.PUBLISHED).exclude(
        resource=current.resource
    )
    tables = {m.resource: m.rules["rules"] for m in others} | {current.resource: rules}
    try:
        return MappingDocument.model_validate({"resources": tables, DECIMALS: current.rules.get(DECIMALS, {})})
    except ValidationError as error:
        raise BadRules([fault_in_words(fault, current.resource) for fault in error.errors()]) from error
