"""The list of commands: intent, newest first, by what is believed of it, state, action, connection, record or id."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import QueryDict

from console import newest
from console.filters import Choice, Filter, read
from console.records.search import Asked, by_id, some_with_words
from integrations.models import Command, Connection, Outcome, Record, WorkState
from integrations.providers import get_adapter

SIZE = 50
#: Tabs count to here; more than that nobody reads off a tab.
MOST_COUNTED = 999
#: Records that a name may mean before nobody looks for their commands by it.
MOST_RECORDS = 50
#: States in which work goes on by itself.
UNDER_WAY = (WorkState.READY, WorkState.LEASED, WorkState.WAITING, WorkState.HELD)


@dataclass(frozen=True)
class View:
    """One tab: a saved query, and whether it shows how many there are."""

    name: str
    query: tuple[tuple[str, str], ...] = ()
    counted: bool = False


VIEWS = (
    View("All"),
    View("Needs someone", (("state", WorkState.PARKED),), counted=True),
    View("Unknown outcome", (("outcome", Outcome.UNKNOWN),), counted=True),
    View("Waiting", tuple(("state", state) for state in UNDER_WAY)),
)


@dataclass(frozen=True)
class Asking:
    """What an address asks of the list."""

    filters: dict[str, Filter]
    asked: Asked

    @classmethod
    def read(cls, query: QueryDict, connections: list[Connection]) -> "Asking":
        """Return what the query asks; what it does not understand narrows nothing."""
        filters = read(offered(connections), query)
        return cls(filters, Asked.read(filters["q"].value))

    @property
    def narrowed(self) -> bool:
        return any(each.chosen for each in self.filters.values())

    @property
    def chosen(self) -> frozenset[tuple[str, str]]:
        """The values in force, as (filter, value)."""
        return frozenset((name, value) for name, each in self.filters.items() for value in each.chosen)


def offered(connections: list[Connection]) -> list[Filter]:
    """Return the filters of the list; actions are those of the providers that are connected."""
    actions = {name: spec.title for each in connections for name, spec in get_adapter(each.provider).actions.items()}
    return [
        Filter(
            "outcome",
            "Outcome",
            choices=[Choice(word, str(label).lower(), "command") for word, label in Outcome.choices],
        ),
        Filter(
            "state", "Work", choices=[Choice(word, str(label).lower(), "work") for word, label in WorkState.choices]
        ),
        Filter("action", "Action", choices=[Choice(name, title) for name, title in sorted(actions.items())]),
        Filter("connection", "Connection", choices=[Choice(str(c.pk), c.name) for c in connections]),
        Filter("q", "Id", "text", hint="An operation id, the provider’s id of what was made, a record’s number or id."),
        Filter("record", "Record", "text", hint="The number of a record here, as its address holds it."),
    ]


def shown_filters(asking: Asking) -> list[Filter]:
    """Return the filters as chips; that of a record shows only while it holds."""
    shown = dict(asking.filters)
    record = shown.pop("record")
    return [*shown.values(), *([record] if record.chosen else [])]


def page(
    asking: Asking, visible: "QuerySet[Command]", connections: list[Connection], query: QueryDict
) -> "newest.Newest[Command]":
    """Return one page of the commands among `visible` that match."""
    rows = _narrowed(asking, visible, connections)
    for name in ("state", "outcome"):
        chosen = asking.filters[name].chosen
        if len(chosen) > 1:
            rows = visible.filter(pk__in=newest.first_of_each(rows, name, chosen, query, SIZE))
            break
    return newest.page(rows.select_related("connection"), query, SIZE)


def tabs(asking: Asking, visible: "QuerySet[Command]", url: str) -> list[dict[str, Any]]:
    """Return the views as tabs; those that ask for somebody say how many wait."""
    return [
        {
            "name": view.name,
            "url": f"{url}?{urlencode(view.query)}" if view.query else url,
            "current": asking.chosen == frozenset(view.query),
            "count": _count(visible.filter(**dict(view.query))) if view.counted else None,
        }
        for view in VIEWS
    ]


def _count(rows: "QuerySet[Command]") -> int | None:
    found = rows.order_by().values("pk")[: MOST_COUNTED + 1].count()
    return found if 0 < found <= MOST_COUNTED else None


def _narrowed(asking: Asking, rows: "QuerySet[Command]", connections: list[Connection]) -> "QuerySet[Command]":
    narrow: dict[str, Callable[[tuple[str, ...]], Q]] = {
        "outcome": lambda chosen: Q(outcome__in=chosen),
        "state": lambda chosen: Q(state__in=chosen),
        "action": lambda chosen: Q(action__in=chosen),
        "connection": lambda chosen: Q(connection_id__in=[int(value) for value in chosen]),
        "record": lambda chosen: Q(record_id=newest.id_of(chosen[0])),
    }
    for name, condition in narrow.items():
        chosen = asking.filters[name].chosen
        if chosen:
            rows = rows.filter(condition(chosen))
    return rows.filter(_matches(asking.asked, connections)) if asking.asked else rows


def _matches(asked: Asked, connections: list[Connection]) -> Q:
    """Return what finds commands by a whole id (theirs, that of what they made), or by their record."""
    ids = frozenset(each.pk for each in connections)
    resources = {spec.resource for each in connections for spec in get_adapter(each.provider).actions.values()}
    known = Record.objects.filter(connection_id__in=ids)
    records = by_id(asked, ids) or some_with_words(asked, known, MOST_RECORDS)
    return (
        Q(operation_id=asked.text)
        | Q(connection_id__in=ids, resource__in=sorted(resources), external_id=asked.text)
        | Q(record_id__in=sorted(records))
    )


def may_be_asked(connections: list[Connection]) -> list[Connection]:
    """Return the connections whose provider can be asked for anything at all."""
    return [each for each in connections if get_adapter(each.provider).actions]
