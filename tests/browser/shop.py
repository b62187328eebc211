"""What the business of a tenant does at its provider, in as few words as a test can bear."""

from dataclasses import dataclass
from typing import Any, cast

import stripe

GOOD_CARD = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}


@dataclass
class Shop:
    """A business, through the provider's own client."""

    client: stripe.StripeClient

    def sign_up(self, name: str = "Cedar Mills GmbH") -> str:
        """Make a customer who can pay; return its id."""
        method = self.client.v1.payment_methods.create(cast(Any, {"type": "card", "card": GOOD_CARD})).id
        params = {
            "name": name,
            "email": "ap@cedar-mills.example",
            "payment_method": method,
            "invoice_settings": {"default_payment_method": method},
        }
        return str(self.client.v1.customers.create(cast(Any, params)).id)

    def customer(self, name: str) -> str:
        """Make a customer with nothing but a name; return its id."""
        return str(self.client.v1.customers.create({"name": name}).id)

    def draft(self, customer: str, amount: int = 24_000) -> str:
        """Draw up an invoice; return its id."""
        line = {"customer": customer, "amount": amount, "currency": "eur"}
        self.client.v1.invoice_items.create(cast(Any, line))
        return str(self.client.v1.invoices.create({"customer": customer}).id)

    def finalize(self, invoice: str) -> None:
        """Open an invoice."""
        self.client.v1.invoices.finalize_invoice(invoice)

    def pay(self, invoice: str) -> None:
        """Pay an invoice."""
        self.client.v1.invoices.pay(invoice)
