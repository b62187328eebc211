"""Changing a connection's settings: checked by the adapter's own schema, kept with who, when and why."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from pydantic import ValidationError

from integrations.journal import history
from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import Command, Connection, Credential, CredentialState, Event, Reference
from integrations.providers import get_adapter
from integrations.providers.base import NAMES_ACCOUNT, RECEIVES_SECRETS
from integrations.workflow.errors import IN_HISTORY, Refusal, require_reason


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
    require_reason(reason, IN_HISTORY)
    held = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
    new = check(held, {**held.settings, **values})
    _keep_secrets_home(held, new)
    if _keep_account(held, new):
        held.account = ""
    changes = difference(held, new)
    if not changes:
        raise Refusal("These are the settings already. Nothing was changed.")
    held.settings = new
    history.save(held, actor=actor, reason=reason, fields=["settings", "account"])
    words = f"{actor.name} changed the settings of {held.name}: {', '.join(title for title, _, _ in changes)}"
    write_act(held, "settings.changed", words, data={"changes": changes}, actor=actor, reason=reason)
    return changes


def check(connection: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as they are kept; raises `BadSettings`."""
    return checked(connection.provider, values)


def checked(provider: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings for a provider as they are kept; raises `BadSettings`."""
    try:
        kept = get_adapter(provider).settings_schema.model_validate(dict(values)).model_dump(mode="json")
    except ValidationError as error:
        raise BadSettings(
            {str(fault["loc"][0]) if fault["loc"] else "": _words(fault["msg"]) for fault in error.errors()}
        ) from None
    inside = [name for name in destinations(provider) if is_inside(str(kept.get(name)))]
    if inside and not settings.PROVIDERS_INSIDE:
        raise BadSettings(dict.fromkeys(inside, "This address is inside our own network; providers are outside of it."))
    return kept


def destinations(provider: str) -> list[str]:
    """Return the names of the settings that say to which address secrets are sent."""
    return _marked(provider, RECEIVES_SECRETS)


def _marked(provider: str, mark: str) -> list[str]:
    fields = get_adapter(provider).settings_schema.model_fields
    return [
        name
        for name, info in fields.items()
        if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get(mark)
    ]


def is_inside(address: str) -> bool:
    """Say whether an address names this machine or a private network. Of other names TLS proves whose they are."""
    host = (urlsplit(address).hostname or "").rstrip(".")
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".internal", ".local"))


def _keep_secrets_home(held: Connection, new: Mapping[str, Any]) -> None:
    """Refuse another address while there are secrets: who changes it would be sent what nobody may read."""
    moved = [name for name in destinations(held.provider) if held.settings.get(name) != new.get(name)]
    kept = Credential.objects.filter(connection=held).exclude(state=CredentialState.REVOKED)
    if moved and kept.exists():
        words = "The secrets were given for the present address and go to no other. Connect the provider anew."
        raise BadSettings(dict.fromkeys(moved, words))


def is_in_use(connection: Connection) -> bool:
    """Say whether anything came of a connection: evidence, an object that is known by its id there, or a command."""
    return any(model._default_manager.filter(connection=connection).exists() for model in (Reference, Command, Event))


def _keep_account(held: Connection, new: Mapping[str, Any]) -> list[str]:
    """Return which settings name another account; refuse them once anything came of the present one.

    A command in doubt would be repeated at another account under the same key, and done there too; and what we know
    by its id is not there.
    """
    moved = [name for name in _marked(held.provider, NAMES_ACCOUNT) if held.settings.get(name) != new.get(name)]
    if moved and is_in_use(held):
        words = "What is known and was asked for belongs to the present one. Connect the provider anew for another."
        raise BadSettings(dict.fromkeys(moved, words))
    return moved


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
