"""The list of problems: its tabs, filters and pages."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, QuerySet
from django.http import QueryDict
from django.urls import reverse

from console import look
from console.filters import Choice, Filter, read
from console.keyset import Cut, Order, Place, cut
from console.models import User
from integrations.failures.categories import Category
from integrations.failures.trend import Trend, trends_of
from integrations.models import Connection, Problem

SIZE: Final = 25
NEWEST: Final = Order("last_seen_at")
NOBODY: Final = "nobody"


@dataclass(frozen=True)
class Line:
    """One problem of the list, with its trend."""

    problem: Problem
    trend: Trend

    @property
    def open(self) -> bool:
        return self.problem.open_count > 0


def offered(connections: list[Connection]) -> list[Filter]:
    """Return what the list can be narrowed by."""
    return [
        Filter("connection", "Connection", choices=[Choice(str(each.pk), each.name) for each in connections]),
        Filter("category", "Category", choices=[Choice(each.value, each.value) for each in Category]),
        Filter("assigned", "Assigned to", "one", choices=[Choice("me", "me"), Choice("nobody", "nobody yet")]),
        Filter("owner", "Owner", choices=[Choice(owner, seen.title) for owner, seen in look.OWNERS.items()]),
        Filter("state", "State", "one", choices=[Choice("open", "open"), Choice("resolved", "resolved")]),
    ]


def chosen(query: QueryDict, connections: list[Connection]) -> dict[str, Filter]:
    """Return the filters with what the address asks; what it does not understand narrows nothing."""
    return read(offered(connections), query)


def narrowed(filters: dict[str, Filter], visible: "QuerySet[Problem]", user: User) -> "QuerySet[Problem]":
    """Return the problems that match. Open ones unless resolved ones are asked for."""
    rows = visible.filter(open_count=0) if resolved(filters) else visible.filter(open_count__gt=0)
    for name, column in (("connection", "connection_id"), ("category", "category"), ("owner", "owner")):
        if filters[name].chosen:
            rows = rows.filter(**{f"{column}__in": filters[name].chosen})
    if filters["assigned"].value == "me":
        rows = rows.filter(assigned_to=user)
    elif filters["assigned"].value == "nobody":
        rows = rows.filter(assigned_to__isnull=True)
    return rows


def resolved(filters: dict[str, Filter]) -> bool:
    """Say whether the list is of problems that are over."""
    return filters["state"].value == "resolved"


def page(rows: "QuerySet[Problem]", place: Place) -> Cut:
    """Return one page, the most recent first."""
    read_on = place.narrow(rows.select_related("connection", "assigned_to"), NEWEST)
    return cut(list(read_on[: SIZE + 1]), place, NEWEST, SIZE)


def lines(problems: list[Problem], now: datetime) -> list[Line]:
    """Return the problems of a page with their trends."""
    trends = trends_of([problem.pk for problem in problems], now) if problems else {}
    return [Line(problem, trends[problem.pk]) for problem in problems]


def tabs(filters: dict[str, Filter], visible: "QuerySet[Problem]", space: Any) -> list[dict[str, Any]]:
    """Return the tabs by owner with how many are open, whatever else is filtered."""
    rows = visible.filter(open_count__gt=0).order_by().values_list("owner").annotate(number=Count("pk"))
    numbers: dict[str, int] = dict(rows)
    url = reverse("problems", args=space.args)
    over, owners = resolved(filters), filters["owner"].chosen
    found = [{"name": "All open", "url": url, "current": not over and not owners, "count": sum(numbers.values())}]
    for owner, seen in look.OWNERS.items():
        name = "Handled by itself" if owner == NOBODY else seen.title
        here = not over and owners == (owner,)
        found.append({"name": name, "url": f"{url}?owner={owner}", "current": here, "count": numbers.get(owner, 0)})
    found.append({"name": "Resolved", "url": f"{url}?state=resolved", "current": over, "count": None})
    return found
