"""The list of events: evidence, newest first, by state, decision, source, category or id."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from django.http import QueryDict

from console.filters import Choice, Filter, read
from console.records.search import Asked
from integrations.failures.categories import Category
from integrations.models import Connection, DecisionWord, Event, Source, WorkState

SIZE = 50


class Cut(NamedTuple):
    """One page, with the ids where its neighbours begin; None where there is none."""

    rows: list[Event]
    newer: int | None
    older: int | None


@dataclass(frozen=True)
class Asking:
    """What an address asks of the list. `after` and `before` are ids of events."""

    filters: dict[str, Filter]
    asked: Asked
    after: int | None
    before: int | None

    @classmethod
    def read(cls, query: QueryDict, connections: list[Connection]) -> "Asking":
        """Return what the query asks; what it does not understand narrows nothing."""
        asked = Asked.read(query.get("q", ""))
        return cls(read(offered(connections), query), asked, _id(query.get("after")), _id(query.get("before")))

    @property
    def narrowed(self) -> bool:
        return bool(self.asked) or any(each.chosen for each in self.filters.values())


def offered(connections: list[Connection]) -> list[Filter]:
    """Return the filters of the list."""
    return [
        Filter(
            "state", "State", choices=[Choice(word, str(label).lower(), "work") for word, label in WorkState.choices]
        ),
        Filter(
            "decision",
            "Decision",
            choices=[Choice(word, str(label).lower(), "decision") for word, label in DecisionWord.choices],
        ),
        Filter("category", "Failure", choices=[Choice(each.value, each.value) for each in Category]),
        Filter("type", "Type", "text", hint="As the provider names it, such as invoice.paid."),
        Filter("source", "Source", choices=[Choice(word, label.lower()) for word, label in Source.choices]),
        Filter("connection", "Connection", choices=[Choice(str(c.pk), c.name) for c in connections]),
    ]


def page(asking: Asking, visible: "QuerySet[Event]", connection_ids: frozenset[int]) -> Cut:
    """Return one page of the events among `visible` that match."""
    rows = _narrowed(asking, visible, connection_ids)
    forward = asking.before is None
    order = "-id" if forward else "id"
    if asking.after is not None and forward:
        rows = rows.filter(pk__lt=asking.after)
    elif asking.before is not None:
        rows = rows.filter(pk__gt=asking.before)
    states = asking.filters["state"].chosen
    # A slice for each state, because an index holds each state's events in order.
    slices = [rows.filter(state=state).order_by(order) for state in states] or [rows.order_by(order)]
    found = _read(slices, order)
    more, found = len(found) > SIZE, found[:SIZE]
    if not forward:
        found.reverse()
    if not found:
        return Cut([], None, None)
    has_newer = more if not forward else asking.after is not None
    has_older = more if forward else True
    return Cut(found, found[0].pk if has_newer else None, found[-1].pk if has_older else None)


def _read(slices: list["QuerySet[Event]"], order: str) -> list[Event]:
    related = ("record", "connection")
    if len(slices) == 1:
        return list(slices[0].select_related(*related)[: SIZE + 1])
    keys = [each.values_list("id", flat=True)[: SIZE + 1] for each in slices]
    pks = list(keys[0].union(*keys[1:], all=True).order_by(order)[: SIZE + 1])
    by_pk = Event.objects.select_related(*related).in_bulk(pks)
    return [by_pk[pk] for pk in pks if pk in by_pk]


def _narrowed(asking: Asking, rows: "QuerySet[Event]", connection_ids: frozenset[int]) -> "QuerySet[Event]":
    narrow: dict[str, Callable[[tuple[str, ...]], Q]] = {
        "decision": lambda chosen: Q(decision__in=chosen),
        "category": lambda chosen: Q(category__in=chosen),
        "type": lambda chosen: Q(event_type=chosen[0]),
        "source": lambda chosen: Q(source__in=chosen),
        "connection": lambda chosen: Q(connection_id__in=[int(value) for value in chosen]),
    }
    for name, condition in narrow.items():
        chosen = asking.filters[name].chosen
        if chosen:
            rows = rows.filter(condition(chosen))
    if asking.asked:
        text = asking.asked.text
        rows = rows.filter(
            Q(external_id=text) | Q(connection_id__in=connection_ids, provider_event_id=text),
            connection_id__in=connection_ids,
        )
    return rows


def _id(text: Any) -> int | None:
    """Return an id that an address holds; None where it holds none."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 19 else None
