"""A customer: whom invoices are addressed to and who pays."""

from integrations.canonical.fields import Canonical, Currency, Moment, Text
from integrations.canonical.kind import DELETED, Kind


class Customer(Canonical):
    """Fields of a customer. `currency` is the one in which it is usually billed.

    `created_at` is None where the provider does not tell it.
    """

    name: Text | None = None
    email: Text | None = None
    currency: Currency | None = None
    created_at: Moment | None = None


CUSTOMER = Kind(
    name="customer",
    title="Customer",
    plural="Customers",
    model=Customer,
    states=("active", DELETED),
    initial=frozenset({"active"}),
    steps={"active": frozenset({DELETED})},
    sensitive=frozenset({"email"}),
    label="name",
)
