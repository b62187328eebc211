"""A refund: money of a payment on its way back."""

from integrations.canonical.fields import Canonical, Currency, Link, Minor, Moment, Text
from integrations.canonical.kind import Kind


class Refund(Canonical):
    """Fields of a refund."""

    payment: Link | None = None
    currency: Currency
    amount: Minor
    reason: Text | None = None
    created_at: Moment


REFUND = Kind(
    name="refund",
    title="Refund",
    plural="Refunds",
    model=Refund,
    states=("pending", "succeeded", "failed", "canceled"),
    initial=frozenset({"pending"}),
    steps={
        "pending": frozenset({"succeeded", "failed", "canceled"}),
        # The customer's bank may send the money back days after the refund succeeded.
        "succeeded": frozenset({"failed"}),
    },
    links={"payment": "payment"},
    booked=frozenset({"succeeded"}),
    amount="amount",
)
