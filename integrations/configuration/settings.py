"""Changing a connection's settings: checked by the adapter's own schema, kept with who, when and why."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from pydantic import ValidationError

from integrations.journal import history
from integrations.journal.actor import Actor
from integrations.journal.write import Entry, write
from integrations.models import Connection, Lane
from integrations.providers import get_adapter
from integrations.workflow.errors import Refusal


class BadSettings(Exception):
    """The values do not fit the adapter's settings. `faults` holds a sentence for each field."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {words}" for field, words in faults.items()))
        self.faults = faults


@transaction.atomic
def change(
    connection: Connection, *, values: Mapping[str, Any], actor: Actor, reason: str
) -> list[tuple[str, Any, Any]]:
    """Give a connection new settings; return what changed as (title, old, new).

    Values that are not given stay. Raises `BadSettings`, and `Refusal` where there is no reason or
    nothing to change.
    """
    if not reason.strip():
        raise Refusal("Give a reason: it is kept in the history with your name.")
    held = Connection.objects.select_for_update().get(pk=connection.pk)
    new = check(held, {**held.settings, **values})
    changes = difference(held, new)
    if not changes:
        raise Refusal("These are the settings already. Nothing was changed.")
    held.settings = new
    history.save(held, actor=actor, reason=reason, fields=["settings"])
    _note(held, changes, actor, reason)
    return changes


def check(connection: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as they are kept; raises `BadSettings`."""
    try:
        return get_adapter(connection.provider).settings_schema.model_validate(dict(values)).model_dump(mode="json")
    except ValidationError as error:
        raise BadSettings(
            {str(fault["loc"][0]) if fault["loc"] else "": _words(fault["msg"]) for fault in error.errors()}
        ) from None


def difference(connection: Connection, new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (title, old, new) of each setting that differs."""
    fields = get_adapter(connection.provider).settings_schema.model_fields
    old = connection.settings
    return [
        (info.title or name.replace("_", " "), old.get(name), new.get(name))
        for name, info in fields.items()
        if old.get(name) != new.get(name)
    ]


def _words(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{text[:1].upper()}{text[1:]}."


def _note(connection: Connection, changes: list[tuple[str, Any, Any]], actor: Actor, reason: str) -> None:
    titles = ", ".join(title for title, _, _ in changes)
    write(
        [
            Entry(
                tenant_id=connection.tenant_id,
                environment=connection.environment,
                connection_id=connection.pk,
                lane=Lane.PEOPLE,
                action="settings.changed",
                summary=f"{actor.name} changed the settings of {connection.name}: {titles}",
                subject_type="connection",
                subject_id=connection.pk,
                data={"changes": [list(change) for change in changes]},
                actor=actor,
                reason=reason,
            )
        ]
    )
