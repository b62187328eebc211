"""A story with a customer and an invoice, through the real engine."""

from collections.abc import Callable
from typing import Any

import pytest

from integrations.models import Connection, Event, Record
from integrations.workflow.process import process_batch
from tests.conftest import customer_object

ALERT = "<script>alert(1)</script>"


def invoice_object(external_id: str = "in_0001", **fields: Any) -> dict[str, Any]:
    """Return an invoice in Stripe's shape."""
    return {
        "id": external_id, "object": "invoice", "status": "draft", "number": None, "customer": "cus_0001",
        "currency": "eur", "subtotal": 385000, "total_taxes": [{"amount": 96250}], "total": 481250,
        "amount_due": 481250, "amount_paid": 0, "created": 1_700_000_100, "due_date": None,
        "status_transitions": {"finalized_at": None, "paid_at": None}, "customer_email": "ap@halvorsen.example",
    } | fields  # fmt: skip


@pytest.fixture
def tell(make_event: Callable[..., Event]) -> Callable[..., Event]:
    """Return a function by which the provider tells something, and the engine decides it at once."""

    def told(event_type: str = "customer.created", obj: dict[str, Any] | None = None, **fields: Any) -> Event:
        event = make_event(event_type, obj, **fields)
        process_batch()
        event.refresh_from_db()
        return event

    return told


@pytest.fixture
def customer(tell: Callable[..., Event]) -> Record:
    tell("customer.created", customer_object(), created=1_700_000_000)
    return Record.objects.get(kind="customer")


@pytest.fixture
def invoice(tell: Callable[..., Event], customer: Record) -> Record:
    """An open invoice whose newest evidence cannot be mapped."""
    opened = invoice_object(status="open", number="INV-2041", status_transitions={"finalized_at": 1_700_000_200})
    opened["status_transitions"]["paid_at"] = None
    tell("invoice.created", invoice_object(), created=1_700_000_100)
    tell("invoice.finalized", opened, created=1_700_000_200)
    tell("invoice.updated", opened | {"status": "in_review"}, created=1_700_000_300)
    return Record.objects.get(kind="invoice")


@pytest.fixture
def records_url(connection: Connection) -> str:
    """Where the records of the tests are."""
    return f"/{connection.tenant.slug}/{connection.environment}/records/"
