"""The report of an export: one line a record of a route, with both ids, and whether it is there."""

from collections.abc import Iterator
from typing import Any, Final

from django.db.models import OuterRef, Subquery

from integrations.canonical import KINDS
from integrations.canonical.money import major_text
from integrations.models import Copy, Reference, Route
from integrations.reconciliation.report import Table

COLUMNS: Final = (
    "kind", "record", "source", "source_id", "target", "target_id", "state_here", "state_there", "amount", "currency",
    "export", "reason", "version", "record_version", "exported_at", "confirmed_at", "compared_at", "left_out_by",
)  # fmt: skip


def table_of(route: Route) -> Table:
    """Return the records of a route that were looked at for export, the oldest first."""
    return Table("exported records", "route", COLUMNS, _rows(route))


def _rows(route: Route) -> Iterator[tuple[Any, ...]]:
    own = Reference.objects.filter(record=OuterRef("record_id"), connection_id=route.source_id).order_by("-pk")
    copies = Copy.objects.filter(route=route).select_related("record").order_by("pk")
    found = copies.annotate(source_id=Subquery(own.values("external_id")[:1]))
    for copy in found.iterator(chunk_size=2000):
        yield _cells(route, copy)


def _booked(record: Any) -> str:
    """Return what the books are to hold of a record, in major units; "" where it is about no money."""
    kind = KINDS[record.kind]
    told = record.data.get(kind.booked_amount)
    amount = record.amount if told is None else told
    return major_text(amount, record.currency) if type(amount) is int else ""


def _cells(route: Route, copy: Any) -> tuple[Any, ...]:
    record = copy.record
    return (
        record.kind,
        record.label,
        route.source.name,
        copy.source_id or "",
        route.target.name,
        copy.external_id,
        record.state,
        copy.shown_state,
        _booked(record),
        record.currency,
        copy.get_state_display(),
        copy.reason,
        copy.version or "",
        record.version,
        *(at.isoformat() if at else "" for at in (copy.exported_at, copy.confirmed_at, copy.compared_at)),
        copy.left_out_by,
    )
