"""Control totals of a route: what the books are to know, and how much of it is there, by kind and currency."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db import connection as database
from django.db.models import Q

from integrations.canonical import KINDS
from integrations.models import CopyState, Route
from integrations.models.copy import CopyQuerySet


@dataclass
class Sum:
    """So many records, and their amounts together in minor units."""

    number: int = 0
    amount: int = 0

    def add(self, number: int, amount: int) -> None:
        """Count some more."""
        self.number, self.amount = self.number + number, self.amount + amount


@dataclass
class Line:
    """The totals of one kind in one currency: `ours` is what the other four come to.

    `missing` is what the books are to know and nobody brings there: left out, or never asked to be exported.
    """

    kind: str
    currency: str
    ours: Sum = field(default_factory=Sum)
    there: Sum = field(default_factory=Sum)
    ahead: Sum = field(default_factory=Sum)
    stopped: Sum = field(default_factory=Sum)
    missing: Sum = field(default_factory=Sum)

    @property
    def plural(self) -> str:
        """What people call several of the kind."""
        return KINDS[self.kind].plural

    @property
    def complete(self) -> bool:
        """Whether everything is there."""
        return self.there.number == self.ours.number

    def add(self, state: str | None, number: int, amount: int) -> None:
        """Count records whose copies are in one state; None: they have none."""
        self.ours.add(number, amount)
        part = {
            CopyState.EXPORTED.value: self.there,
            CopyState.DUE.value: self.ahead,
            CopyState.WAITING.value: self.ahead,
            CopyState.STOPPED.value: self.stopped,
        }.get(state or "", self.missing)
        part.add(number, amount)


_SUMS = """
SELECT r.kind, r.currency, c.state, count(*), coalesce(sum(coalesce((r.data ->> b.field)::bigint, r.amount)), 0)
FROM integrations_record r
JOIN unnest(%s::text[], %s::text[], %s::text[]) AS b(kind, state, field) ON b.kind = r.kind AND b.state = r.state
LEFT JOIN integrations_copy c ON c.record_id = r.id AND c.connection_id = %s
WHERE r.connection_id = %s
GROUP BY 1, 2, 3 ORDER BY 1, 2
"""


def totals_of(route: Route) -> list[Line]:
    """Return the totals of a route, by kind in the order of its kinds and by currency; one query."""
    kinds = [KINDS[name] for name in route.kinds if KINDS[name].booked]
    booked = [(kind.name, state, kind.booked_amount) for kind in kinds for state in sorted(kind.booked)]
    names, states, fields = ([each[place] for each in booked] for place in range(3))
    lines: dict[tuple[str, str], Line] = {}
    with database.cursor() as cursor:
        cursor.execute(_SUMS, [names, states, fields, route.target_id, route.source_id])
        for kind, currency, state, number, amount in cursor.fetchall():
            lines.setdefault((kind, currency), Line(kind, currency)).add(state, number, int(amount))
    order = {kind.name: place for place, kind in enumerate(kinds)}
    return sorted(lines.values(), key=lambda line: (order[line.kind], line.currency))


def missing(copies: CopyQuerySet, kinds: Iterable[str]) -> CopyQuerySet:
    """Return of some copies those that the books are to know of, and that are left out."""
    booked = Q(pk__in=[])
    for name in kinds:
        booked |= Q(record__kind=name, record__state__in=KINDS[name].booked)
    return copies.filter(booked, state=CopyState.NOT_NEEDED)
