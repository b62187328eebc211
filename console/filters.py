"""What a list can be narrowed by: read from the query, shown as chips with menus, linkable as an address."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from django.http import QueryDict


@dataclass(frozen=True)
class Choice:
    """One value of a filter. `topic` is the table of `console.look` that draws it, "" for plain text."""

    value: str
    label: str
    topic: str = ""
    count: int | None = None


@dataclass(frozen=True)
class Filter:
    """One filter of a list.

    `kind`: "many" and "one" take their values from `choices`, "text" and "date" take what is typed,
    "flag" is on or off. `chosen` holds the values in force, () for none.
    """

    name: str
    label: str
    kind: Literal["many", "one", "text", "date", "flag"] = "many"
    choices: Sequence[Choice] = ()
    hint: str = ""
    chosen: tuple[str, ...] = ()

    @property
    def value(self) -> str:
        """The one value in force, "" for none."""
        return self.chosen[0] if self.chosen else ""

    @property
    def shown(self) -> str:
        """The values in force, in words."""
        labels = {choice.value: choice.label for choice in self.choices}
        return "yes" if self.kind == "flag" else ", ".join(labels.get(value, value) for value in self.chosen)

    @property
    def options(self) -> list[tuple[Choice, bool]]:
        """Each choice, and whether it is in force."""
        return [(choice, choice.value in self.chosen) for choice in self.choices]


def read(filters: Iterable[Filter], query: QueryDict) -> dict[str, Filter]:
    """Return the filters by name, with the values that the query holds.

    A value that is no choice is left out, so that a wrong address shows more and not an error.
    """
    return {each.name: replace(each, chosen=_chosen(each, query)) for each in filters}


def _chosen(each: Filter, query: QueryDict) -> tuple[str, ...]:
    values = [value.strip().replace("\x00", "") for value in query.getlist(each.name)]
    if each.kind == "flag":
        return ("1",) if "1" in values else ()
    if each.kind in ("many", "one"):
        known = {choice.value for choice in each.choices}
        values = [value for value in dict.fromkeys(values) if value in known]
    values = [value for value in values if value]
    return tuple(values if each.kind == "many" else values[:1])
