"""Whether what is paid on an invoice at a target can be compared: once its payments are through there."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from integrations.canonical.invoice import outstanding
from integrations.models import Copy, CopyState, Link, Record

_TO_COME = (CopyState.DUE, CopyState.WAITING)


@dataclass
class Payments:
    """The payments of one invoice as exports: whether one is to come yet, when the newest was accepted, their sum."""

    to_come: bool = False
    accepted_at: datetime | None = None
    brought: int = 0

    def add(self, copy: Copy) -> None:
        """Take in one payment."""
        self.to_come = self.to_come or copy.state in _TO_COME
        if copy.exported_at and (self.accepted_at is None or copy.exported_at > self.accepted_at):
            self.accepted_at = copy.exported_at
        if copy.external_id:
            self.brought += copy.record.data.get("amount_received") or 0


def payments_of(copies: Collection[Copy]) -> dict[int, Payments]:
    """Return what is known of the payments of some exported invoices, by record; two queries."""
    invoices = {copy.record_id: Payments() for copy in copies if copy.record.kind == "invoice"}
    if not invoices:
        return {}
    links = Link.objects.filter(field="invoice", record__kind="payment", target_id__in=invoices)
    invoice_of = dict(links.values_list("record_id", "target_id"))
    connections = {copy.connection_id for copy in copies}
    for copy in Copy.objects.filter(record_id__in=invoice_of, connection_id__in=connections).select_related("record"):
        invoices[invoice_of[copy.record_id]].add(copy)
    return invoices


def is_settled(copy: Copy, record: Record, payments: Payments | None, asked_at: datetime) -> bool:
    """Say whether a look that was asked for then shows all that is to be paid there on an invoice.

    It does not before its payments are through, nor where they brought more than the invoice says by now: then what is
    believed of the invoice is not complete yet.
    """
    if payments is None or "payment" not in copy.route.kinds or payments.to_come:
        return False
    if payments.accepted_at and asked_at < payments.accepted_at:
        return False
    paid: int = record.data["total"] - outstanding(record.state, record.data)
    return payments.brought <= paid
