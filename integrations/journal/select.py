"""Choosing entries of the journal: the audit page, its export and counts all read by one `Selection`."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from integrations.models import JournalEntry


@dataclass(frozen=True)
class Selection:
    """Which entries of a tenant's environment; everything but the first three narrows.

    `connections` None means all of the tenant; else only what hangs on those. Entries about the tenant
    as a whole (its people) stand in every environment. `since` counts in, `until` does not.
    """

    tenant_id: int
    environment: str
    connections: frozenset[int] | None
    people_only: bool = False
    person_id: int | None = None
    actions: tuple[str, ...] = ()
    lanes: tuple[str, ...] = ()
    connection_ids: tuple[int, ...] = ()
    record_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def condition(self) -> Q:
        """What narrows, without the environment."""
        found = Q(tenant_id=self.tenant_id)
        if self.connections is not None:
            found &= Q(connection_id__in=self.connections)
        if self.people_only:
            found &= Q(actor_id__isnull=False)
        for name, value in (
            ("actor_id", self.person_id),
            ("action__in", self.actions),
            ("lane__in", self.lanes),
            ("connection_id__in", self.connection_ids),
            ("record_id", self.record_id),
            ("at__gte", self.since),
            ("at__lt", self.until),
        ):
            if value:
                found &= Q(**{name: value})
        return found


def entries(selection: Selection) -> QuerySet[JournalEntry]:
    """Return the chosen entries, in no order."""
    return JournalEntry.objects.filter(selection.condition, environment__in=(selection.environment, ""))


def page(selection: Selection, *, size: int, before: int | None = None, after: int | None = None) -> list[JournalEntry]:
    """Return up to `size` entries, newest first, older than entry `before` or just newer than entry `after`.

    Each environment is read along its own index; together they would have to be sorted.
    """
    order = "id" if after is not None else "-id"
    found: list[JournalEntry] = []
    for environment in (selection.environment, ""):
        chosen = JournalEntry.objects.filter(selection.condition, environment=environment)
        if before is not None:
            chosen = chosen.filter(id__lt=before)
        if after is not None:
            chosen = chosen.filter(id__gt=after)
        found += chosen.order_by(order)[:size]
    found.sort(key=lambda entry: entry.id, reverse=order == "-id")
    kept = found[:size]
    return kept if order == "-id" else kept[::-1]


def count_up_to(selection: Selection, most: int) -> int:
    """Return how many entries are chosen; `most + 1` means more than `most`."""
    return entries(selection).values("id")[: most + 1].count()
