"""What a customer of the sandbox does, in as few words as a test can bear."""

from typing import Any, cast

import stripe

GOOD, BAD, SLOW_REFUND = "4242424242424242", "4000000000000341", "4000000000007726"


def sign_up(client: stripe.StripeClient, card: str = GOOD) -> stripe.Customer:
    details = {"number": card, "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    method = client.v1.payment_methods.create(cast(Any, {"type": "card", "card": details})).id
    params = {
        "name": "Cedar Mills GmbH",
        "email": "ap@cedar-mills.example",
        "payment_method": method,
        "invoice_settings": {"default_payment_method": method},
    }
    return client.v1.customers.create(cast(Any, params))


def draft(client: stripe.StripeClient, customer: str, amount: int = 24_000) -> stripe.Invoice:
    line = {"customer": customer, "amount": amount, "currency": "eur"}
    client.v1.invoice_items.create(cast(Any, line))
    return client.v1.invoices.create({"customer": customer, "metadata": {"order": "SO-1"}})


def paid(client: stripe.StripeClient, customer: str) -> stripe.Invoice:
    return client.v1.invoices.pay(draft(client, customer).id, {"expand": ["payments"]})


def payment_of(invoice: stripe.Invoice) -> str:
    assert invoice.payments
    return str(invoice.payments.data[0].payment.payment_intent)


def types(client: stripe.StripeClient) -> list[str]:
    """The event log's types, oldest first."""
    return [str(event.type) for event in client.v1.events.list({"limit": 100}).data][::-1]
