"""Pages by key: where a list stands is a place in its order, never a number of rows to skip."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import DateTimeField, ExpressionWrapper, F, Q, QuerySet
from django.http import QueryDict

_PLACE = re.compile(r"(\d{1,17})\.(\d{1,18})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Order:
    """An order of a list: by a time and then by id, both in one direction."""

    field: str
    descending: bool = True

    def columns(self, *, reverse: bool = False) -> tuple[str, str]:
        """Return the order for the database."""
        sign = "-" if self.descending != reverse else ""
        return f"{sign}{self.field}", f"{sign}id"

    def beyond(self, at: datetime, pk: int, *, forward: bool) -> Q:
        """Return what stands after a row in this order, or before it. Written so that an index serves it."""
        below = self.descending == forward
        word = "lt" if below else "gt"
        return Q(**{f"{self.field}__{word}e": at}) & (Q(**{f"{self.field}__{word}": at}) | Q(**{f"id__{word}": pk}))


@dataclass(frozen=True)
class Place:
    """Where a page begins: after a row, or before it; `at` None is the beginning of the list."""

    at: datetime | None = None
    pk: int = 0
    forward: bool = True

    @classmethod
    def read(cls, query: QueryDict) -> "Place":
        """Return the place that an address names; one that cannot be read is the beginning."""
        for name, forward in (("after", True), ("before", False)):
            match = _PLACE.fullmatch(query.get(name, ""))
            if match:
                try:
                    return cls(_EPOCH + int(match[1]) * _MICROSECOND, min(int(match[2]), 2**63 - 1), forward)
                except OverflowError:
                    continue
        return cls()

    def narrow(self, rows: "QuerySet[Any]", order: Order, *, sort: bool = False) -> "QuerySet[Any]":
        """Return the rows beyond this place, in the order in which they have to be read.

        `sort` keeps the database from walking an index of this order: it finds the rows first, then sorts them.
        """
        if self.at is not None:
            rows = rows.filter(order.beyond(self.at, self.pk, forward=self.forward))
        columns = order.columns(reverse=not self.forward)
        if not sort:
            return rows.order_by(*columns)
        moment = ExpressionWrapper(F(order.field) + timedelta(0), output_field=DateTimeField())
        return rows.order_by(moment.desc() if columns[0].startswith("-") else moment.asc(), columns[1])


def place_of(at: datetime, pk: int) -> str:
    """Return a row's place as addresses hold it."""
    return f"{(at - _EPOCH) // _MICROSECOND}.{pk}"


@dataclass(frozen=True)
class Cut:
    """One page of rows in list order, with the places of its neighbours ("" where there is none)."""

    rows: list[Any]
    newer: str
    older: str


def cut(rows: list[Any], place: Place, order: Order, size: int) -> Cut:
    """Return the page out of the up to `size` + 1 rows that were read from `place`."""
    more = len(rows) > size
    rows = rows[:size]
    if not place.forward:
        rows.reverse()
    if not rows:
        return Cut([], "", "")
    ends = [place_of(getattr(row, order.field), row.pk) for row in (rows[0], rows[-1])]
    has_newer = more if not place.forward else place.at is not None
    has_older = more if place.forward else True
    return Cut(rows, ends[0] if has_newer else "", ends[1] if has_older else "")
