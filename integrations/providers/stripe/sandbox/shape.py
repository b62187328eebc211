"""localstripe's objects in the shape of Stripe's present API version.

localstripe answers as Stripe did in 2017. Each function takes its object (`raw`) and what the proxy
knows beyond it (`notes`: fields that localstripe refuses or forgets), and returns Stripe's object.
Source: https://docs.stripe.com/api, and the sample of each resource in stripe/openapi.
"""

from collections.abc import Callable, Mapping
from typing import Any

from integrations.providers.stripe.sandbox.faults import JSON

Raw = Mapping[str, Any]

NO_ADDRESS = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def reference(value: Any) -> str | None:
    """The id of an object that may be embedded."""
    found: str | None = value["id"] if isinstance(value, Mapping) else value
    return found


def customer(raw: Raw, notes: Raw) -> JSON:
    """A customer; its currency is set by its first invoice."""
    settings = raw["invoice_settings"] or {}
    return {
        "id": raw["id"],
        "object": "customer",
        "address": {**NO_ADDRESS, **raw["address"]} if raw["address"] else None,
        "balance": -raw["account_balance"],
        "created": raw["created"],
        "currency": notes.get("currency"),
        "default_source": reference(raw["default_source"]),
        "delinquent": bool(notes.get("delinquent")),
        "description": raw["description"],
        "discount": None,
        "email": raw["email"],
        "invoice_prefix": prefix(raw["id"]),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": settings.get("default_payment_method"),
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": raw["metadata"],
        "name": raw["name"],
        "next_invoice_sequence": notes.get("invoices", 0) + 1,
        "phone": raw["phone"],
        "preferred_locales": raw["preferred_locales"] or [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def prefix(customer_id: str) -> str:
    """The first part of a customer's invoice numbers."""
    return customer_id.removeprefix("cus_")[:8].upper()


def invoice_status(raw: Raw, notes: Raw) -> str:
    """localstripe knows no finalized, voided unpaid or uncollectible invoice; the proxy does."""
    if raw["status"] in ("paid", "void"):
        return str(raw["status"])
    known = notes.get("status") or raw["status"]
    return str(known)


def invoice(raw: Raw, notes: Raw) -> JSON:
    """An invoice. `payments` is there only when asked for (`expand`), as at Stripe."""
    status = invoice_status(raw, notes)
    paid = raw["total"] if status == "paid" else 0
    taxes = [_tax(entry) for entry in raw["total_tax_amounts"] if entry["amount"]]
    tax = sum(entry["amount"] for entry in taxes)
    return {
        "id": raw["id"],
        "object": "invoice",
        "account_country": notes.get("account_country"),
        "account_name": notes.get("account_name"),
        "amount_due": raw["amount_due"],
        "amount_overpaid": 0,
        "amount_paid": paid,
        "amount_remaining": raw["amount_due"] - paid,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": notes.get("attempt_count", 0),
        "attempted": bool(notes.get("attempt_count", 0)),
        "auto_advance": bool(notes.get("auto_advance")),
        "billing_reason": "manual",
        "collection_method": notes.get("collection_method", "charge_automatically"),
        "created": raw["created"],
        "currency": raw["currency"],
        "customer": raw["customer"],
        "customer_address": notes.get("customer_address"),
        "customer_email": raw["customer_email"],
        "customer_name": notes.get("customer_name"),
        "customer_phone": None,
        "customer_shipping": None,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": notes.get("description", raw["description"]),
        "discounts": [],
        "due_date": notes.get("due_date"),
        "effective_at": notes.get("finalized_at"),
        "ending_balance": None if status == "draft" else 0,
        "footer": notes.get("footer"),
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": _lines(raw),
        "livemode": False,
        "metadata": notes.get("metadata", {}),
        "next_payment_attempt": None,
        "number": notes.get("number"),
        "on_behalf_of": None,
        "parent": None,
        "period_end": raw["created"],
        "period_start": raw["created"],
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "starting_balance": 0,
        "statement_descriptor": None,
        "status": status,
        "status_transitions": {
            "finalized_at": notes.get("finalized_at"),
            "marked_uncollectible_at": notes.get("marked_uncollectible_at"),
            "paid_at": notes.get("paid_at") or raw["status_transitions"]["paid_at"],
            "voided_at": notes.get("voided_at") or raw["status_transitions"]["voided_at"],
        },
        "subtotal": raw["subtotal"],
        "subtotal_excluding_tax": raw["subtotal"],
        "test_clock": None,
        "total": raw["total"],
        "total_discount_amounts": [],
        "total_excluding_tax": raw["total"] - tax,
        "total_pretax_credit_amounts": [],
        "total_taxes": taxes,
        "webhooks_delivered_at": raw["created"],
    }


def _tax(entry: Raw) -> JSON:
    return {
        "amount": entry["amount"],
        "tax_behavior": "inclusive" if entry.get("inclusive") else "exclusive",
        "tax_rate_details": {"tax_rate": entry.get("tax_rate")},
        "taxability_reason": "standard_rated",
        "taxable_amount": None,
        "type": "tax_rate_details",
    }


def _lines(raw: Raw) -> JSON:
    lines = [
        {
            "id": line["id"],
            "object": "line_item",
            "amount": line["amount"],
            "currency": line["currency"],
            "description": line["description"],
            "invoice": raw["id"],
            "livemode": False,
            "metadata": line["metadata"],
            "period": line["period"],
            "quantity": line["quantity"],
            "subtotal": line["amount"],
        }
        for line in raw["lines"]["data"]
        if line["type"] == "invoiceitem"
    ]
    url = f"/v1/invoices/{raw['id']}/lines"
    return {"object": "list", "data": lines, "has_more": False, "url": url}


def payment_intent(raw: Raw, notes: Raw) -> JSON:
    """A payment intent. Since 2025 it names no invoice: `invoice_payments` links the two."""
    status = raw["status"]
    charge = raw["latest_charge"]
    received = raw["amount"] if status == "succeeded" else 0
    return {
        "id": raw["id"],
        "object": "payment_intent",
        "amount": raw["amount"],
        "amount_capturable": raw["amount"] if status == "requires_capture" else 0,
        "amount_details": {"tip": {}},
        "amount_received": received,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": notes.get("canceled_at"),
        "cancellation_reason": notes.get("cancellation_reason"),
        "capture_method": raw["capture_method"],
        "client_secret": raw["client_secret"],
        "confirmation_method": "automatic",
        "created": raw["created"],
        "currency": raw["currency"],
        "customer": raw["customer"],
        "description": notes.get("description"),
        "last_payment_error": _payment_error(raw["last_payment_error"]),
        "latest_charge": reference(charge),
        "livemode": False,
        "metadata": raw["metadata"],
        "next_action": raw["next_action"],
        "on_behalf_of": None,
        "payment_details": _payment_details(raw["invoice"]),
        "payment_method": raw["payment_method"] if status != "requires_payment_method" else None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": notes.get("receipt_email"),
        "review": None,
        "setup_future_usage": notes.get("setup_future_usage"),
        "shipping": None,
        "statement_descriptor": None,
        "status": status,
        "transfer_data": None,
        "transfer_group": None,
    }


def _payment_details(invoice: str | None) -> JSON | None:
    """Seen in real payloads, not promised: an invoice's payment carries its id as a reference."""
    return {"customer_reference": None, "order_reference": invoice} if invoice else None


def _payment_error(error: Raw | None) -> JSON | None:
    if not error:
        return None
    return {
        "type": "card_error" if error.get("charge") else "invalid_request_error",
        "charge": error.get("charge"),
        "code": error.get("code"),
        "decline_code": "generic_decline" if error.get("charge") else None,
        "message": error.get("message"),
    }


def charge(raw: Raw, notes: Raw) -> JSON:
    """A charge, with what was refunded of it so far."""
    succeeded = raw["status"] == "succeeded"
    return {
        "id": raw["id"],
        "object": "charge",
        "amount": raw["amount"],
        "amount_captured": raw["amount"] if succeeded and raw["captured"] else 0,
        "amount_refunded": raw["amount_refunded"],
        "balance_transaction": raw["balance_transaction"],
        "billing_details": {"address": NO_ADDRESS, "email": None, "name": None, "phone": None},
        "captured": raw["captured"] and succeeded,
        "created": raw["created"],
        "currency": raw["currency"],
        "customer": raw["customer"],
        "description": raw["description"],
        "disputed": False,
        "failure_code": raw["failure_code"],
        "failure_message": raw["failure_message"],
        "livemode": False,
        "metadata": raw["metadata"],
        "paid": succeeded,
        "payment_intent": raw["payment_intent"],
        "payment_method": raw["payment_method"],
        "receipt_email": raw["receipt_email"],
        "refunded": raw["amount_refunded"] >= raw["amount"],
        "status": raw["status"],
    }


def refund(raw: Raw, notes: Raw) -> JSON:
    """A refund; it settles later where the proxy says so."""
    status = notes.get("status", raw["status"])
    found = {
        "id": raw["id"],
        "object": "refund",
        "amount": raw["amount"],
        "balance_transaction": raw["balance_transaction"],
        "charge": raw["charge"],
        "created": raw["created"],
        "currency": raw["currency"],
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": raw["metadata"],
        "payment_intent": notes.get("payment_intent") or raw["payment_intent"],
        "reason": notes.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }
    if status == "failed":
        found["failure_reason"] = notes.get("failure_reason", "unknown")
    return found


def invoice_payment(raw: Raw, notes: Raw) -> JSON:
    """The link of an invoice to the payment intent that pays it, from the invoice's `raw`."""
    status = invoice_status(raw, notes)
    paid = status == "paid"
    void = status == "void"
    return {
        "id": f"inpay_{raw['id'].removeprefix('in_')}",
        "object": "invoice_payment",
        "amount_paid": raw["total"] if paid else None,
        "amount_requested": raw["total"],
        "created": notes.get("finalized_at") or raw["created"],
        "currency": raw["currency"],
        "invoice": raw["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"type": "payment_intent", "payment_intent": raw["payment_intent"]},
        "status": "paid" if paid else "canceled" if void else "open",
        "status_transitions": {
            "canceled_at": notes.get("voided_at") if void else None,
            "paid_at": notes.get("paid_at") or raw["status_transitions"]["paid_at"],
        },
    }


SHAPES: dict[str, Callable[[Raw, Raw], JSON]] = {
    "customer": customer,
    "invoice": invoice,
    "payment_intent": payment_intent,
    "charge": charge,
    "refund": refund,
}


def event(found: Raw, api_version: str, request: str | None, targets: int) -> JSON:
    """An event around the object in `found` (`id`, `type`, `created`, `obj`)."""
    return {
        "id": found["id"],
        "object": "event",
        "api_version": api_version,
        "created": found["created"],
        "data": {"object": found["obj"]},
        "livemode": False,
        "pending_webhooks": targets,
        "request": {"id": request, "idempotency_key": None},
        "type": found["type"],
    }
