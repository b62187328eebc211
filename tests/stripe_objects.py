"""Invoices, payments and refunds in Stripe's shape, as small as the mapping allows."""

from typing import Any

CREATED = 1_700_000_000


def invoice_object(external_id: str = "in_0001", **fields: Any) -> dict[str, Any]:
    """Return an open invoice over 250.00 EUR."""
    return {
        "id": external_id, "object": "invoice", "created": CREATED, "status": "open", "number": "NW-0001",
        "customer": "cus_0001", "currency": "eur", "subtotal": 20000, "total_taxes": [{"amount": 5000}],
        "total": 25000, "amount_due": 25000, "amount_paid": 0, "due_date": None,
        "status_transitions": {"finalized_at": CREATED + 60, "paid_at": None},
    } | fields  # fmt: skip


def payment_object(external_id: str = "pi_0001", **fields: Any) -> dict[str, Any]:
    """Return a payment of 250.00 EUR that succeeded; its charge is named and not shown."""
    return {
        "id": external_id, "object": "payment_intent", "created": CREATED, "status": "succeeded", "customer": None,
        "currency": "eur", "amount": 25000, "amount_received": 25000, "latest_charge": "ch_0001",
        "last_payment_error": None, "payment_details": None,
    } | fields  # fmt: skip


def refund_object(external_id: str = "re_0001", **fields: Any) -> dict[str, Any]:
    """Return a refund of 3.00 EUR that succeeded."""
    return {
        "id": external_id, "object": "refund", "created": CREATED, "status": "succeeded", "payment_intent": "pi_0001",
        "charge": "ch_0001", "currency": "eur", "amount": 300, "reason": None,
    } | fields  # fmt: skip
