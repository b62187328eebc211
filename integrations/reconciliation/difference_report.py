"""The report of differences: one line a difference, with both sides and the money between them."""

from collections.abc import Collection, Iterable
from typing import Any, Final

from integrations.boundary.redaction import mask
from integrations.canonical import KINDS
from integrations.canonical.money import major_text
from integrations.models import Drift
from integrations.reconciliation.report import Table

COLUMNS: Final = (
    "difference", "status", "connection", "kind", "record", "external_id", "customer", "field", "ours", "theirs",
    "theirs_less_ours", "currency", "record_amount", "first_seen_at", "last_seen_at", "check", "evidence_event",
    "settled_at", "settled_by", "reason",
)  # fmt: skip


def table_of(drifts: Iterable[Drift], *, personal: Collection[int]) -> Table:
    """Return the differences as a table; `personal` holds the connections of which personal values are not masked."""
    rows = (_cells(drift, drift.connection_id in personal) for drift in drifts)
    return Table("differences", "drift", COLUMNS, rows)


def _cells(drift: Drift, personal: bool) -> tuple[Any, ...]:
    record, currency = drift.record, (drift.record.currency if drift.record else drift.currency) or ""
    ours, theirs = (_value(drift, side, currency, personal) for side in (drift.ours, drift.theirs))
    amount = record.amount if record else None
    return (
        drift.pk,
        drift.get_status_display(),
        drift.connection.name,
        drift.kind,
        record.label if record else "",
        drift.external_id,
        record.customer.label if record and record.customer else "",
        drift.field,
        ours,
        theirs,
        _moved(drift, currency),
        currency,
        "" if amount is None else major_text(amount, currency),
        drift.first_seen_at.isoformat(),
        drift.last_seen_at.isoformat(),
        f"R-{drift.run_id}",
        drift.evidence_id or "",
        drift.settled_at.isoformat() if drift.settled_at else "",
        drift.settled_by,
        drift.reason,
    )


def _value(drift: Drift, value: Any, currency: str, personal: bool) -> str:
    kind = KINDS.get(drift.kind)
    if value is None:
        return ""
    if kind and drift.field in kind.sensitive and not personal:
        return mask(str(value))
    return major_text(value, currency) if type(value) is int else str(value)


def _moved(drift: Drift, currency: str) -> str:
    if type(drift.ours) is not int or type(drift.theirs) is not int:
        return ""
    return major_text(drift.theirs - drift.ours, currency)
