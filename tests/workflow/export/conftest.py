"""What these tests share."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import (
    Connection,
    Copy,
    Record,
    Route,
    Tenant,
)
from integrations.models import Link as Tie
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.workflow import copies
from tests.books import books, books_process, connect_books, make_route, work_off

__all__ = ["books", "books_process"]
AT = "2026-11-18T09:15:00Z"
MakeRecord = Callable[..., Record]


@pytest.fixture
def target(tenant: Tenant, books: Sandbox) -> Connection:
    return connect_books(tenant, books)


@pytest.fixture
def route(connection: Connection, target: Connection) -> Route:
    return make_route(connection, target)


@pytest.fixture
def story(make_record: MakeRecord) -> dict[str, Record]:
    """A paid invoice with its customer, payment and refund, as belief holds them."""
    customer = make_record("customer", data={"name": "Halvorsen Marine AS", "email": "ap@halvorsen.example",
                                             "currency": "EUR", "created_at": AT})  # fmt: skip
    money = {"currency": "EUR", "created_at": AT}
    invoice = make_record("invoice", state="paid", customer=customer, data=money | {
        "number": "INV-1", "subtotal": 10_000, "tax": 1_900, "total": 11_900, "amount_due": 0, "amount_paid": 11_900,
        "issued_at": AT, "due_at": None, "paid_at": AT, "customer": "x"})  # fmt: skip
    payment = make_record("payment", data=money | {"amount": 11_900, "amount_received": 11_900,
                                                   "amount_refunded": 2_500, "collected_at": AT})  # fmt: skip
    refund = make_record("refund", data=money | {"amount": 2_500, "reason": "duplicate"})
    for record, field, of in (
        (invoice, "customer", customer), (payment, "customer", customer), (payment, "invoice", invoice),
        (refund, "payment", payment),
    ):  # fmt: skip
        Tie.objects.create(record=record, field=field, target=of)
    return {"customer": customer, "invoice": invoice, "payment": payment, "refund": refund}


def change(record: Record, **fields: Any) -> None:
    """Change belief as a transition does, and let its exports be planned."""
    data = {**record.data, **{name: value for name, value in fields.items() if name != "state"}}
    record.state, record.data, record.version = fields.get("state", record.state), data, record.version + 1
    # What is counted on it meanwhile is not the change's.
    record.refresh_from_db(fields=["open_drift"])
    record.updated_at = timezone.now()
    record.save()
    copies.make_due([record.pk], [record.connection_id])


def leave_open(invoice: Record, **fields: Any) -> None:
    """Let an invoice be unpaid, before it is exported."""
    unpaid = {"paid_at": None, "amount_due": invoice.data["total"], "amount_paid": 0}
    invoice.state, invoice.data = "open", invoice.data | unpaid | fields
    invoice.save()


def export_everything(story: dict[str, Record]) -> None:
    copies.make_due([record.pk for record in story.values()], {record.connection_id for record in story.values()})
    work_off()


def long_ago() -> None:
    """Let every look at the target be too old to write by."""
    Copy.objects.update(compared_at=timezone.now() - timedelta(hours=1))
