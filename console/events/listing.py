"""The list of events: evidence, newest first, by state, decision, source, category or id."""

from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.http import QueryDict

from console import newest
from console.filters import Choice, Filter, read
from console.records.search import Asked
from integrations.failures.categories import Category
from integrations.models import Connection, DecisionWord, Event, Source, WorkState

SIZE = 50


@dataclass(frozen=True)
class Asking:
    """What an address asks of the list."""

    filters: dict[str, Filter]
    asked: Asked

    @classmethod
    def read(cls, query: QueryDict, connections: list[Connection]) -> "Asking":
        """Return what the query asks; what it does not understand narrows nothing."""
        return cls(read(offered(connections), query), Asked.read(query.get("q", "")))

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


def page(
    asking: Asking, visible: "QuerySet[Event]", connection_ids: frozenset[int], query: QueryDict
) -> "newest.Newest[Event]":
    """Return one page of the events among `visible` that match."""
    rows, states = _narrowed(asking, visible, connection_ids), asking.filters["state"].chosen
    if len(states) > 1:
        rows = visible.filter(pk__in=newest.first_of_each(rows, "state", states, query, SIZE))
    elif states:
        rows = rows.filter(state=states[0])
    return newest.page(rows.select_related("connection"), query, SIZE)


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
