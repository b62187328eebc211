"""What was agreed with a provider about a connection's limits, instead of what its adapter says."""

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction

from integrations.journal import history
from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import Connection
from integrations.providers import get_adapter
from integrations.workflow.errors import IN_HISTORY, Refusal, require_reason

Change = tuple[str, Any, Any]

TITLES: Final = {
    "per_minute": "Requests a minute",
    "per_day": "Requests a day",
    "at_once": "Requests at once",
}


@transaction.atomic
def change(connection: Connection, *, values: Mapping[str, int | None], actor: Actor, reason: str) -> list[Change]:
    """Give a connection limits of its own; return what changed as (title, old, new).

    `values` by the names of `TITLES`, whole numbers from one; None: as the adapter says. They hold for all workers
    from the next request on. Raises `Refusal` where there is no reason, nothing to change, or a number below one.
    """
    require_reason(reason, IN_HISTORY)
    if any(number is not None and number < 1 for number in values.values()):
        raise Refusal("A limit is at least one. To stop all requests, pause the connection.")
    held = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
    agreed = {name: number for name, number in values.items() if name in TITLES and number is not None}
    changes = [
        (title, said(held, held.limits, name), said(held, agreed, name))
        for name, title in TITLES.items()
        if held.limits.get(name) != agreed.get(name) or (name in held.limits) != (name in agreed)
    ]
    if not changes:
        raise Refusal("These are the limits already. Nothing was changed.")
    held.limits = agreed
    history.save(held, actor=actor, reason=reason, fields=["limits"])
    words = f"{actor.name} changed the limits of {held.name}: {', '.join(title.lower() for title, _, _ in changes)}"
    write_act(held, "settings.changed", words, data={"changes": changes}, actor=actor, reason=reason)
    return changes


def said(connection: Connection, agreed: Mapping[str, int | None], name: str) -> str:
    """Return a limit in words, and whose it is."""
    named: int | None = getattr(get_adapter(connection.provider).limits, name)
    if name in agreed:
        number = agreed[name]
        return f"{'not limited' if number is None else f'{number:,}'}, as agreed"
    return "not limited" if named is None else f"{named:,}"
