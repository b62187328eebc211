"""Whatever is paid, taken back and credited, the amounts of a document agree with each other."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.providers.xero.sandbox.clock import Clock
from integrations.providers.xero.sandbox.documents import CREDIT_NOTE, INVOICE
from integrations.providers.xero.sandbox.documents import create as create_document
from integrations.providers.xero.sandbox.payments import allocate
from integrations.providers.xero.sandbox.payments import create as create_payment
from integrations.providers.xero.sandbox.payments import update as update_payment
from integrations.providers.xero.sandbox.refusals import Invalid
from integrations.providers.xero.sandbox.store import Books, Unit
from tests.providers.xero.sandbox.conftest import invoice_of, payment_of

CENTS = st.integers(1, 20_000).map(lambda minor: Decimal(minor) / 100)
STEPS = st.lists(st.tuples(st.sampled_from(["pay", "refund", "take back", "credit"]), CENTS), max_size=12)


def books_with(total: Decimal) -> tuple[Books, str, str]:
    """Books with an invoice and a credit note over the same amount."""
    line = {"Description": "Rope", "UnitAmount": total, "AccountCode": "200"}
    books = Books("Northwind Books", "tenant", "EUR", Clock())
    unit = Unit(books)
    invoice = create_document(
        unit, INVOICE, {**invoice_of(""), "LineItems": [line], "Contact": {"Name": "Halvorsen Marine"}}
    )
    element = {**invoice_of(invoice["_contact"]), "LineItems": [line], "Type": "ACCRECCREDIT"}
    note = create_document(unit, CREDIT_NOTE, element)
    return books, invoice["InvoiceID"], note["CreditNoteID"]


def take(books: Books, step: str, amount: Decimal, invoice_id: str, note_id: str) -> None:
    """One step; what the rules refuse is undone."""
    unit = Unit(books)
    try:
        if step == "pay":
            create_payment(unit, payment_of({"Invoice": {"InvoiceID": invoice_id}}, 0, Amount=amount))
        elif step == "refund":
            create_payment(unit, payment_of({"CreditNote": {"CreditNoteID": note_id}}, 0, Amount=amount))
        elif step == "credit":
            element: dict[str, Any] = {"Amount": amount, "Invoice": {"InvoiceID": invoice_id}}
            allocate(unit, books.credit_notes.objects[note_id], element)
        else:
            for payment in list(books.payments)[:1]:
                update_payment(unit, payment, {"Status": "DELETED"})
    except Invalid:
        unit.undo()


@given(total=CENTS, steps=STEPS)
@settings(max_examples=200)
def test_what_is_due_is_the_total_less_what_was_paid_and_credited(
    total: Decimal, steps: list[tuple[str, Decimal]]
) -> None:
    books, invoice_id, note_id = books_with(total)

    for step, amount in steps:
        take(books, step, amount, invoice_id, note_id)

        invoice, note = books.invoices.objects[invoice_id], books.credit_notes.objects[note_id]
        standing = [payment for payment in books.payments if payment["Status"] == "AUTHORISED"]
        paid = sum(payment["Amount"] for payment in standing if payment["_document"] == invoice_id)
        refunded = sum(payment["Amount"] for payment in standing if payment["_document"] == note_id)
        assert invoice["AmountPaid"] == paid
        assert invoice["AmountDue"] == total - paid - invoice["AmountCredited"] >= 0
        assert note["RemainingCredit"] == total - refunded - invoice["AmountCredited"] >= 0
        assert (invoice["Status"] == "PAID") == (invoice["AmountDue"] == 0)
        assert (note["Status"] == "PAID") == (note["RemainingCredit"] == 0)


def test_a_unit_that_is_undone_leaves_no_trace() -> None:
    books, invoice_id, _ = books_with(Decimal(100))
    before = {name: dict(shelf.objects) for name, shelf in books.shelves.items()}
    unit = Unit(books)
    create_payment(unit, payment_of({"Invoice": {"InvoiceID": invoice_id}}, 60, Reference="op-1"))

    with pytest.raises(Invalid):
        create_payment(unit, payment_of({"Invoice": {"InvoiceID": invoice_id}}, 60))
    unit.undo()

    assert {name: shelf.objects for name, shelf in books.shelves.items()} == before
    assert books.payments.find("Reference", "op-1") == []
    assert (unit.effects, unit.events) == ([], {})
