"""The list of differences: filters, pages of records, and the rows of each."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import QueryDict

from console import newest
from console.access import seen_records
from console.context import may_here, where
from console.drift.showing import Group
from console.filters import Choice, Filter, read
from console.values import name_of, sorts
from integrations.canonical import KINDS
from integrations.models import Connection, Drift, DriftStatus
from integrations.models.drift import EXISTENCE

#: Records on a page; each has a few rows.
SIZE: Final = 20
#: The largest number that one answer settles: more than a page, and few enough to read.
MOST: Final = 500


def connections_of(request: Any) -> list[Connection]:
    """Return the connections of the space at which the person may see drift."""
    ids = where(request.user, request.space, "see_drift")
    return [each for each in request.space.connections if each.pk in ids]


def visible(request: Any) -> "QuerySet[Drift]":
    """Return the differences of the space that the person may see."""
    space = request.space
    rows = Drift.objects.visible_to(request.user).filter(
        tenant=space.tenant, environment=space.environment, connection__in=connections_of(request)
    )
    return rows.prefetch_related(seen_records(request.user, "customer"))


def offered(connections: Collection[Connection]) -> list[Filter]:
    """Return what the list can be narrowed by."""
    fields = dict.fromkeys(["state", EXISTENCE, *(name for kind in KINDS for name in sorts(kind))])
    return [
        Filter("status", "Status", "one", choices=[Choice(v, str(label), "drift") for v, label in DriftStatus.choices]),
        Filter("kind", "Kind", choices=[Choice(kind.name, kind.title) for kind in KINDS.values()]),
        Filter("field", "Field", choices=[Choice(name, name_of(name)) for name in fields]),
        Filter("connection", "Connection", choices=[Choice(str(each.pk), each.name) for each in connections]),
        Filter("run", "Check", "text", hint="Its number, without R-"),
    ]


def chosen(query: QueryDict, connections: Collection[Connection]) -> dict[str, Filter]:
    """Return the filters with what the address asks; what it does not understand narrows nothing."""
    return read(offered(connections), query)


def status_of(filters: dict[str, Filter]) -> str:
    """Return the status that the list is about: open unless another is asked for, "" for all that a check found."""
    return filters["status"].value or ("" if filters["run"].chosen else DriftStatus.OPEN.value)


def condition(filters: dict[str, Filter]) -> Q:
    """Return what the filters ask of a difference."""
    status = status_of(filters)
    asked = Q(status=status) if status else Q()
    for name, column in (("kind", "kind"), ("field", "field"), ("connection", "connection_id")):
        if filters[name].chosen:
            asked &= Q(**{f"{column}__in": filters[name].chosen})
    run = filters["run"].value.upper().removeprefix("R-")
    if run:
        asked &= Q(run_id=newest.id_of(run))
    return asked


@dataclass(frozen=True)
class Page:
    """Records that differ, the newest difference first; places of the neighbours, 0 where there is none."""

    groups: list[Group]
    newer: int
    older: int

    def copies_at(self, ids: Collection[int]) -> bool:
        """Say whether some that one sees were exported to one of these connections, where they differ."""
        return any(group.is_copy and group.record and group.connection.pk in ids for group in self.groups)


def page(rows: "QuerySet[Drift]", asked: Q, query: QueryDict, *, personal: Collection[int]) -> Page:
    """Return one page of records with their differences; two queries and one of the records' names.

    `personal` holds the connections of which the reader may see personal values.
    """
    newer_row = Drift.objects.filter(
        asked,
        connection_id=OuterRef("connection_id"),
        resource=OuterRef("resource"),
        external_id=OuterRef("external_id"),
        pk__gt=OuterRef("pk"),
    )
    heads = rows.filter(asked).filter(~Exists(newer_row))
    found = newest.page(
        heads.values_list("pk", "connection_id", "resource", "external_id"), query, SIZE, pk=lambda head: head[0]
    )
    shown = _of_objects(rows.filter(asked), [head[1:] for head in found.rows])
    return Page(groups(shown, personal=personal), found.newer, found.older)


def _of_objects(rows: "QuerySet[Drift]", keys: list[tuple[int, str, str]]) -> list[Drift]:
    """Return all rows of some objects, in the order of the keys."""
    order = {key: place for place, key in enumerate(keys)}
    found = rows.filter(connection_id__in={key[0] for key in keys}, external_id__in={key[2] for key in keys})
    wanted = [each for each in with_names(found) if _key(each) in order]
    return sorted(wanted, key=lambda each: (order[_key(each)], _reading_order(each)))


def with_names(rows: "QuerySet[Drift]") -> "QuerySet[Drift]":
    """Return the rows with what a page says of each."""
    return rows.select_related("connection", "evidence").annotate(currency=F("record__currency"))  # type: ignore[no-redef]


def groups(rows: Iterable[Drift], *, personal: Collection[int]) -> list[Group]:
    """Return the rows by record, in the order in which they come; `personal` as in `page`."""
    found: dict[tuple[int, str, str], Group] = {}
    for each in rows:
        found.setdefault(_key(each), Group(each, each.connection_id in personal)).add(each)
    return list(found.values())


def ticked(rows: "QuerySet[Drift]", query: QueryDict) -> list[Drift]:
    """Return the rows that a form names, in reading order; those that are hidden are not among them."""
    ids = {newest.id_of(value) for value in query.getlist("row")}
    found = with_names(rows.filter(pk__in=sorted(ids)[: MOST + 1]))
    return sorted(found, key=lambda each: (_key(each), _reading_order(each)))


def may_settle(request: Any) -> bool:
    """Say whether the person may settle differences somewhere in the space."""
    return may_here(request.user, request.space, "settle_drift")


def _key(each: Drift) -> tuple[int, str, str]:
    return each.connection_id, each.resource, each.external_id


def _reading_order(each: Drift) -> tuple[int, str]:
    """Existence and state come first, then fields as the kind has them."""
    names = [EXISTENCE, *sorts(each.kind)]
    return names.index(each.field) if each.field in names else len(names), each.field
