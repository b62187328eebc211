"""An invoice: what a customer is asked to pay."""

from collections.abc import Mapping
from typing import Any

from integrations.canonical.fields import Canonical, Currency, Link, Minor, Moment, Text
from integrations.canonical.kind import DELETED, Kind


class Invoice(Canonical):
    """Fields of an invoice. `issued_at` is when it stopped being a draft."""

    number: Text | None = None
    customer: Link | None = None
    currency: Currency
    subtotal: Minor
    tax: Minor
    total: Minor
    amount_due: Minor
    amount_paid: Minor
    issued_at: Moment | None = None
    due_at: Moment | None = None
    paid_at: Moment | None = None
    created_at: Moment


INVOICE = Kind(
    name="invoice",
    title="Invoice",
    plural="Invoices",
    model=Invoice,
    states=("draft", "open", "paid", "uncollectible", "void", DELETED),
    initial=frozenset({"draft"}),
    steps={
        "draft": frozenset({"open", DELETED}),
        "open": frozenset({"paid", "void", "uncollectible"}),
        # What was given up may still be paid or voided; what is paid or void stays so.
        "uncollectible": frozenset({"paid", "void"}),
    },
    links={"customer": "customer"},
    booked=frozenset({"open", "paid", "uncollectible"}),
    amount="total",
    label="number",
)


def outstanding(state: str, data: Mapping[str, Any]) -> int:
    """Return in minor units what is left to be paid on an issued invoice.

    Some providers count what is due before its payments, others after them; so it is never more than either.
    """
    if state == "paid":
        return 0
    due, paid, total = (int(data[name] or 0) for name in ("amount_due", "amount_paid", "total"))
    return max(0, min(due, total - paid))
