"""A payment: one intent to collect money, through all its attempts."""

from integrations.canonical.fields import Canonical, Currency, Link, Minor, Moment, Text
from integrations.canonical.kind import Kind


class Payment(Canonical):
    """Fields of a payment. `amount_refunded` and `collected_at` are None where nobody can tell them."""

    customer: Link | None = None
    invoice: Link | None = None
    currency: Currency
    amount: Minor
    amount_received: Minor
    amount_refunded: Minor | None = None
    failure_reason: Text | None = None
    collected_at: Moment | None = None
    created_at: Moment


_UNSETTLED = frozenset({"pending", "requires_action", "processing", "failed"})
_SETTLED = frozenset({"succeeded", "canceled"})

PAYMENT = Kind(
    name="payment",
    title="Payment",
    plural="Payments",
    model=Payment,
    states=("pending", "requires_action", "processing", "succeeded", "canceled", "failed"),
    initial=frozenset({"pending"}),
    # A failed attempt is not the end: the customer may try again with another means.
    steps={state: (_UNSETTLED | _SETTLED) - {state} for state in _UNSETTLED},
    links={"customer": "customer", "invoice": "invoice"},
    booked=frozenset({"succeeded"}),
    booked_amount="amount_received",
    amount="amount",
    added=frozenset({"collected_at"}),
)
