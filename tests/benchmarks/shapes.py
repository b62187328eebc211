"""Stripe-shaped bodies by the thousand: the payloads of the adapter's tests with other ids, amounts and times."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAYLOADS = Path(__file__).resolve().parents[1] / "providers" / "stripe" / "payloads"
CUSTOMERS = 500
#: Six of ten webhooks are about an invoice.
INVOICES_OF_TEN = 6


def load(name: str) -> Any:
    """Return one of the adapter's payloads."""
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def compact(value: Any) -> bytes:
    """Return JSON without blanks."""
    return json.dumps(value, separators=(",", ":")).encode()


def invoice_template() -> Any:
    """Return an event about a paid invoice of one line: about 4 kB of compact JSON."""
    event = load("invoice.paid")
    event["data"]["object"]["lines"]["data"] = event["data"]["object"]["lines"]["data"][:1]
    return event


def webhooks(count: int) -> Iterator[bytes]:
    """Yield the bodies of distinct events, invoices and payments mixed: 2 to 4 kB each."""
    now = int(time.time())
    invoice, payment = invoice_template(), load("payment_intent.succeeded")
    for number in range(count):
        event = invoice if number % 10 < INVOICES_OF_TEN else payment
        event["id"], event["created"] = f"evt_{number:024}", now
        obj = event["data"]["object"]
        obj["id"] = f"{'in' if event is invoice else 'pi'}_{number:024}"
        obj["customer"] = customer_id(number)
        yield compact(event)


def signature(body: bytes, secret: str, at: int) -> str:
    """Return Stripe's signature header over a body."""
    mac = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


def customer_id(number: int) -> str:
    return f"cus_{number % CUSTOMERS:014}"


def customers(count: int = CUSTOMERS) -> Iterator[dict[str, Any]]:
    """Yield customers as a list of the API shows them."""
    template = load("customer.created")["data"]["object"]
    for number in range(count):
        yield template | {
            "id": customer_id(number),
            "name": f"Customer {number} AS",
            "email": f"ap{number}@customer.example",
            "created": 1_700_000_000 + number,
        }


def invoices(count: int) -> Iterator[dict[str, Any]]:
    """Yield invoices as a list of the API shows them, newest first: most paid, some open."""
    template = invoice_template()["data"]["object"]
    for number in reversed(range(count)):
        paid, total = number % 5 > 0, 1000 + number * 7 % 90_000
        created = 1_750_000_000 + number * 60
        yield template | {
            "id": f"in_{number:024}",
            "number": f"NW-{number:06}",
            "customer": customer_id(number * 7919),
            "created": created,
            "status": "paid" if paid else "open",
            "subtotal": total,
            "total": total,
            "total_taxes": [],
            "amount_due": total,
            "amount_paid": total if paid else 0,
            "amount_remaining": 0 if paid else total,
            "status_transitions": {
                "finalized_at": created + 60,
                "marked_uncollectible_at": None,
                "paid_at": created + 3600 if paid else None,
                "voided_at": None,
            },
        }
