"""The list of records: its views, filters, order and pages. No page counts, skips or scans what it does not show."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import QueryDict

from console import look
from console.filters import Choice, Filter, read
from console.keyset import Cut, Order, Place, cut
from console.records import search
from integrations.canonical import KINDS
from integrations.canonical.money import DECIMALS, LARGEST
from integrations.failures.categories import POLICIES, Category
from integrations.models import Connection, Record, Reference

SIZE = 50
#: In as many parts of the list are common words looked for by walking.
MOST_WALKED = 4
#: The largest number that a tab shows; counting further tells nobody more.
MOST_COUNTED = 999

NEWEST = Order("updated_at")
STUCK = Order("stuck_since", descending=False)

CHANGED = (
    ("hour", "in the last hour", timedelta(hours=1), True),
    ("day", "in the last 24 hours", timedelta(days=1), True),
    ("week", "in the last 7 days", timedelta(days=7), True),
    ("month", "in the last 30 days", timedelta(days=30), True),
    ("older", "more than 30 days ago", timedelta(days=30), False),
)


class View(NamedTuple):
    """A view that everybody has: a name for a set of filters."""

    name: str
    query: dict[str, str]


VIEWS = (
    View("All", {}),
    View("Stuck", {"stuck": "1"}),
    View("Differs", {"differs": "1"}),
    View("Failed payments", {"kind": "payment", "state": "failed"}),
    View("Open invoices", {"kind": "invoice", "state": "open"}),
    View("Refunds", {"kind": "refund"}),
)


@dataclass(frozen=True)
class Asking:
    """What an address asks of the list."""

    filters: dict[str, Filter]
    asked: search.Asked
    order: Order
    place: Place
    #: Set where a value could not be understood: one sentence for the person.
    misread: str = ""

    @classmethod
    def read(cls, query: QueryDict, connections: list[Connection]) -> "Asking":
        """Return what the query asks; what it does not understand narrows nothing."""
        filters = read(offered(connections, query.getlist("kind")), query)
        _, misread = _amount(filters["amount"].value)
        if misread:
            filters["amount"] = replace(filters["amount"], chosen=())
        order = STUCK if filters["stuck"].chosen and query.get("sort") != "newest" else NEWEST
        return cls(filters, search.Asked.read(query.get("q", "")), order, Place.read(query), misread)

    @property
    def by_stuck(self) -> bool:
        return self.order is STUCK

    @property
    def stuck_only(self) -> bool:
        return bool(self.values("stuck"))

    @property
    def narrowed(self) -> bool:
        """Whether anything narrows the list."""
        return bool(self.asked) or any(each.chosen for each in self.filters.values())

    def values(self, name: str) -> tuple[str, ...]:
        return self.filters[name].chosen


def offered(connections: list[Connection], kinds: list[str]) -> list[Filter]:
    """Return the filters of the list; states are those of the chosen kinds."""
    chosen = [kind for kind in KINDS.values() if kind.name in kinds] or list(KINDS.values())
    states = dict.fromkeys(state for kind in chosen for state in kind.states)
    topics = {state: kind.name for kind in reversed(chosen) for state in kind.states}
    return [
        Filter("kind", "Kind", choices=[Choice(kind.name, kind.title.lower()) for kind in KINDS.values()]),
        Filter("state", "State", choices=[Choice(s, s.replace("_", " "), topics[s]) for s in states]),
        Filter("connection", "Connection", choices=[Choice(str(c.pk), c.name) for c in connections]),
        Filter("changed", "Changed", "one", [Choice(value, label) for value, label, _, _ in CHANGED]),
        Filter("amount", "Amount at least", "text", hint="Such as 4812.50, in the record’s currency."),
        Filter("stuck", "Stuck", "flag"),
        Filter("differs", "Differs", "flag"),
        Filter("customer", "Customer", "text"),
    ]


def page(asking: Asking, visible: "QuerySet[Record]", connection_ids: frozenset[int], now: datetime) -> Cut:
    """Return one page of the records among `visible` that match."""
    rows = _narrowed(asking, visible, now)
    kinds = [rows.filter(**part) for part in _kinds(asking)]
    found = _searched(asking, kinds, visible, connection_ids) if asking.asked else _read(kinds, asking)
    return cut(found, asking.place, asking.order, SIZE)


def _searched(
    asking: Asking, kinds: list["QuerySet[Record]"], visible: "QuerySet[Record]", connection_ids: frozenset[int]
) -> list[Record]:
    """Find what somebody asked for: by ids, else by words; common words first, where the list itself is the index."""
    pks = search.by_ids(asking.asked, connection_ids)
    if pks:
        return _read([kind.filter(pk__in=pks) for kind in kinds], asking)
    words = asking.asked.words
    if not words:
        return []
    if len(kinds) <= MOST_WALKED:
        ahead = [
            search.among_the_next(asking.place.narrow(kind, asking.order), words, asking.order.field, SIZE + 1)
            for kind in kinds
        ]
        if None not in ahead:
            downward = asking.order.descending == asking.place.forward
            nearest = sorted((key for keys in ahead for key in keys or ()), reverse=downward)
            return _load([pk for _, pk in nearest[: SIZE + 1]])
    matches, few = search.by_words(words, visible)
    return _read([kind.filter(match) for kind in kinds for match in matches], asking, sort=not few)


def _read(parts: list["QuerySet[Record]"], asking: Asking, *, sort: bool = False) -> list[Record]:
    """Read the first rows of several parts of the list, merged.

    A union of ordered slices reads a few rows of each by its index, where one condition over all of them would
    make the database read and sort everything that matches. `sort` has it do just that.
    """
    most = SIZE + 1
    slices = [asking.place.narrow(part, asking.order, sort=sort) for part in parts]
    if len(slices) == 1:
        return list(_light(slices[0])[:most])
    columns = asking.order.columns(reverse=not asking.place.forward)
    keys = [each.values_list("id", asking.order.field)[:most] for each in slices]
    return _load([pk for pk, _ in keys[0].union(*keys[1:]).order_by(*columns)[:most]]) if keys else []


def _load(pks: list[int]) -> list[Record]:
    by_pk = _light(Record.objects.all()).in_bulk(pks)
    return [by_pk[pk] for pk in pks if pk in by_pk]


def _light(rows: "QuerySet[Record]") -> "QuerySet[Record]":
    """Leave out what no list shows."""
    return rows.select_related("customer", "connection").defer("data", "search_text", "search")


def _narrowed(asking: Asking, rows: "QuerySet[Record]", now: datetime) -> "QuerySet[Record]":
    """Apply the filters that an index does not have to know."""
    narrow: dict[str, Callable[[tuple[str, ...]], Q]] = {
        "connection": lambda chosen: Q(connection_id__in=[int(value) for value in chosen]),
        "changed": lambda chosen: _changed(chosen[0], now),
        "amount": lambda chosen: _at_least(_amount(chosen[0])[0]),
        "stuck": lambda _: Q(stuck_since__isnull=False),
        "differs": lambda _: Q(open_drift__gt=0),
        "customer": lambda chosen: Q(customer_id=int(chosen[0])) if _is_number(chosen[0]) else Q(pk__in=[]),
    }
    for name, condition in narrow.items():
        chosen = asking.values(name)
        if chosen:
            rows = rows.filter(condition(chosen))
    return rows


def _kinds(asking: Asking) -> Iterator[dict[str, str]]:
    """Return the (kind, state) pairs that the filters allow, each of which an index has in order."""
    kinds, states = asking.values("kind"), asking.values("state")
    if not kinds and not states:
        yield {}
    elif not states:
        yield from ({"kind": kind} for kind in kinds)
    else:
        for kind in kinds or KINDS:
            yield from ({"kind": kind, "state": state} for state in states if state in KINDS[kind].states)


def _changed(value: str, now: datetime) -> Q:
    span, since = next((span, since) for name, _, span, since in CHANGED if name == value)
    return Q(updated_at__gte=now - span) if since else Q(updated_at__lt=now - span)


def _amount(text: str) -> tuple[Decimal | None, str]:
    """Return an amount in major units, and what is wrong with the text."""
    if not text:
        return None, ""
    try:
        amount = Decimal(text.replace(",", "").replace(" ", ""))
        if amount.is_finite() and abs(amount) * 10**4 <= LARGEST:
            return amount, ""
    except InvalidOperation:
        pass
    return None, f"“{text[:40]}” is no amount, so amounts are not narrowed. Write it as 4812.50."


def _at_least(amount: Decimal | None) -> Q:
    """Return the records of at least so much, each in its currency, whose minor units ISO 4217 counts."""
    if amount is None:
        return Q()
    unusual = {digits: [c for c, n in DECIMALS.items() if n == digits] for digits in (0, 3, 4)}
    usual = Q(amount__gte=_minor(amount, 2)) & ~Q(currency__in=[c for codes in unusual.values() for c in codes])
    for digits, codes in unusual.items():
        usual |= Q(amount__gte=_minor(amount, digits), currency__in=codes)
    return usual


def _minor(amount: Decimal, digits: int) -> int:
    """Return the smallest whole number of minor units that is at least `amount`."""
    scaled = amount.scaleb(digits)
    return int(scaled) + (1 if scaled > int(scaled) else 0)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def tabs(asking: Asking, rows: "QuerySet[Record]", url: str) -> list[dict[str, Any]]:
    """Return the views as tabs; those that ask for somebody show how many wait, up to a limit."""
    here = {name: each.chosen for name, each in asking.filters.items() if each.chosen}
    counted = {
        "Stuck": rows.filter(stuck_since__isnull=False),
        "Differs": rows.filter(open_drift__gt=0),
    }
    return [
        {
            "name": view.name,
            "url": f"{url}?{urlencode(view.query)}" if view.query else url,
            "current": here == {name: (value,) for name, value in view.query.items()} and not asking.asked,
            "count": _count(counted[view.name]) if view.name in counted else None,
        }
        for view in VIEWS
    ]


def _count(rows: "QuerySet[Record]") -> int | None:
    """Count a few; None where there are none, or more than anybody reads."""
    found = len(rows.order_by().values_list("pk")[: MOST_COUNTED + 1])
    return found if 0 < found <= MOST_COUNTED else None


def shown_filters(asking: Asking, visible: "QuerySet[Record]") -> list[Filter]:
    """Return the filters as chips; that of a customer shows only while it holds, by the customer's name."""
    shown = dict(asking.filters)
    customer = shown.pop("customer")
    if customer.chosen:
        known = visible.filter(pk=int(customer.value)) if _is_number(customer.value) else visible.none()
        label = known.values_list("label", flat=True).first()
        shown["customer"] = replace(customer, choices=[Choice(customer.value, label or "nobody")])
    return list(shown.values())


class Row(NamedTuple):
    """One line of the list."""

    record: Record
    external_id: str
    match: str
    owner: str

    @property
    def tone(self) -> str:
        """Red where a person must act, amber where the engine still tries."""
        return look.of_category(self.record.stuck_category).tone or "warn"


def rows_of(records: list[Record]) -> list[Row]:
    """Return the lines of some records, with their ids at the provider, in one query."""
    references = Reference.objects.filter(record_id__in=[record.pk for record in records]).order_by("-id")
    ids = dict(references.values_list("record_id", "external_id"))
    return [Row(r, ids.get(r.pk, ""), match_of(r), owner_of(r)) for r in records]


def match_of(record: Record) -> str:
    """Say how belief stands to the provider's newest word."""
    if record.open_drift:
        return "differs"
    return "behind" if record.stuck_since else "same"


def owner_of(record: Record) -> str:
    """Return the role that a stuck record asks, "" for one that is not stuck."""
    if record.stuck_since is None or record.stuck_category not in set(Category):
        return ""
    return POLICIES[Category(record.stuck_category)].owner
