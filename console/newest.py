"""Pages of lists whose order is the id, the newest first: an address holds the id where a page begins."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import QuerySet
from django.http import QueryDict

T = TypeVar("T")
_ID = re.compile(r"\d{1,18}", re.ASCII)


@dataclass(frozen=True)
class Newest(Generic[T]):
    """One page, the newest first; the ids at which its neighbours begin, 0 where there is none."""

    rows: list[T]
    newer: int = 0
    older: int = 0


def id_of(text: str) -> int:
    """Return the id that a text is, 0 where it is none."""
    return int(text) if _ID.fullmatch(text) else 0


def page(
    rows: "QuerySet[Any, T]",
    query: QueryDict,
    size: int,
    pk: Callable[[T], int] = lambda row: row.pk,  # type: ignore[attr-defined]
) -> Newest[T]:
    """Return the page that `after` or `before` names; what cannot be read is the beginning."""
    after, before = id_of(query.get("after", "")), id_of(query.get("before", ""))
    found = list(_from(rows, after, before)[: size + 1])
    more, found = len(found) > size, found[:size]
    if before:
        found.reverse()
    if not found:
        return Newest([])
    newer = pk(found[0]) if (more if before else after) else 0
    return Newest(found, newer, pk(found[-1]) if before or more else 0)


def first_of_each(rows: "QuerySet[Any]", field: str, values: Sequence[str], query: QueryDict, size: int) -> "list[int]":
    """Return the ids among which the page of several values is: an index holds the rows of each in order."""
    after, before = id_of(query.get("after", "")), id_of(query.get("before", ""))
    parts = [_from(rows.filter(**{field: value}), after, before) for value in values]
    keys = [part.values_list("pk", flat=True)[: size + 1] for part in parts]
    return list(keys[0].union(*keys[1:], all=True))


def _from(rows: "QuerySet[Any, T]", after: int, before: int) -> "QuerySet[Any, T]":
    """Return the rows from a place on, in the order in which they have to be read."""
    if before:
        return rows.filter(pk__gt=before).order_by("id")
    return (rows.filter(pk__lt=after) if after else rows).order_by("-id")
