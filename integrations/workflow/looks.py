"""The single objects that a run asks for: which of them one request brings, and which are asked for by themselves.

What an answer about several does not show is not taken for gone: a list proves nothing, only the answer to the question
by id does. So it is asked for by itself afterwards, and so is each of those that could not be fetched together.
"""

from collections.abc import Container, Sequence
from datetime import datetime
from typing import Final

from integrations.boundary.client import Exchanges
from integrations.models import Run, RunKind
from integrations.providers.base import Access, Adapter, Item, Response

#: [resource, external id], and `ALONE` behind them where it is asked for by itself.
Target = list[str]
ALONE: Final = "alone"


def next_of(run: Run, adapter: Adapter) -> list[Target]:
    """Return the objects that the next request of a run is about: the first, and others that can come with it.

    A check or a scan asks for what a list did not show already, so there each is asked for by itself.
    """
    first: list[Target] = run.targets[:1]
    if run.kind != RunKind.RESYNC or ALONE in first[0]:
        return first
    resource = first[0][0]
    most = next((stream.together for stream in adapter.streams if stream.resource == resource), 1)
    return [target for target in run.targets if target[0] == resource and ALONE not in target][:most]


def look(
    adapter: Adapter, access: Access, exchanges: Exchanges, asked: Sequence[Target]
) -> tuple[Response, dict[str, Item]]:
    """Ask for some objects by one request; return the answer and what it says of each, by the id asked for.

    The answer to the question about a single one that is not there says that it is gone. Raises `Fault`.
    """
    resource, ids = asked[0][0], [target[1] for target in asked]
    if len(ids) > 1:
        response, told = adapter.fetch_several(access, exchanges, resource, ids)
    else:
        response, found = adapter.fetch(access, exchanges, resource, ids[0])
        told = {ids[0]: found}
    return response, {name: found.item or _absent(resource, name, found.as_of) for name, found in told.items()}


def _absent(resource: str, external_id: str, as_of: datetime) -> Item:
    return Item("", f"{resource} absent", resource, external_id, as_of, "", {}, exact=True, deleted=True)


def left(run: Run, asked: Sequence[Target], told: Container[str]) -> list[Target]:
    """Return what a run still asks for once the answer that told of some ids is kept."""
    others = [target for target in run.targets if target not in asked]
    return others + [[*target, ALONE] for target in asked if target[1] not in told]


def apart(run: Run, adapter: Adapter) -> list[Target]:
    """Return what a run asks for once those that could not be fetched together are asked for one by one.

    Empty where the next request is about one object only: there is nothing to take apart.
    """
    asked = next_of(run, adapter)
    if len(asked) < 2:
        return []
    return [[*target, ALONE] if target in asked else target for target in run.targets]
