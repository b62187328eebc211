"""Pages of lists whose order is the id, the newest first: an address holds the id where a page begins."""

import re
from collections.abc import Callable
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
    rows = rows.order_by("id" if before else "-id")
    if before:
        rows = rows.filter(pk__gt=before)
    elif after:
        rows = rows.filter(pk__lt=after)
    found = list(rows[: size + 1])
    more, found = len(found) > size, found[:size]
    if before:
        found.reverse()
    if not found:
        return Newest([])
    newer = pk(found[0]) if (more if before else after) else 0
    return Newest(found, newer, pk(found[-1]) if before or more else 0)
