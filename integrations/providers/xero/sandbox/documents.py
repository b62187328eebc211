"""Invoices and credit notes: what both are made of, their statuses, and what is left to pay.

Source: https://developer.xero.com/documentation/api/accounting/invoices and …/creditnotes
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from integrations.providers.xero.sandbox.contacts import brief, contact_of
from integrations.providers.xero.sandbox.elements import currency, day, need_open, text, word
from integrations.providers.xero.sandbox.formats import JSON, day_text, moment_text
from integrations.providers.xero.sandbox.lines import LINE_AMOUNT_TYPES, ZERO, add_up, read_lines
from integrations.providers.xero.sandbox.refusals import Invalid
from integrations.providers.xero.sandbox.store import Books, Shelf, Unit, new_id

OVER = ("VOIDED", "DELETED")
NEXT = {
    "DRAFT": ("DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"),
    "SUBMITTED": ("SUBMITTED", "DRAFT", "AUTHORISED", "DELETED"),
    "AUTHORISED": ("AUTHORISED", "VOIDED"),
    "PAID": ("PAID", "AUTHORISED", "VOIDED"),
    "VOIDED": (),
    "DELETED": (),
}
#: what must stay as it is while money hangs on the document
FIXED = ("_contact", "Date", "CurrencyCode", "LineAmountTypes", "SubTotal", "TotalTax", "Total")
NOT_EDITABLE = "This document cannot be edited as it has a payment or credit note allocated to it."


@dataclass(frozen=True)
class Kind:
    """Invoices or credit notes."""

    type: str
    name: str
    prefix: str
    needs_due_date: bool

    def shelf(self, books: Books) -> Shelf:
        """Where its documents are."""
        return books.invoices if self is INVOICE else books.credit_notes


INVOICE = Kind("ACCREC", "Invoice", "INV", needs_due_date=True)
CREDIT_NOTE = Kind("ACCRECCREDIT", "Credit Note", "CN", needs_due_date=False)


def kind_of(document: JSON) -> Kind:
    """What a document is."""
    return INVOICE if document["Type"] == INVOICE.type else CREDIT_NOTE


def create(unit: Unit, kind: Kind, element: JSON) -> JSON:
    """A new document. Raises `Invalid`."""
    shelf = kind.shelf(unit.books)
    if text(element, "Type") != kind.type:
        raise Invalid(f"Type must be {kind.type}: nothing else is kept here")
    status = word(element, "Status", ("DRAFT", "SUBMITTED", "AUTHORISED"), "DRAFT")
    fields = _fields(unit, kind, element, {}, status)
    if status == "AUTHORISED":
        need_open(unit.books.locked_until, fields["Date"])
    document = {
        shelf.id_field: new_id(),
        "Type": kind.type,
        "Status": status,
        "CurrencyRate": Decimal(1),
        "SentToContact": False,
        "_payments": (),
        "_allocations": (),
        **fields,
    }
    document.update(_balance(unit.books, kind, document))
    unit.add(shelf, document)
    unit.note(shelf, document, "created")
    return document


def update(unit: Unit, kind: Kind, before: JSON, element: JSON) -> JSON:
    """Another version of a document: what is not named stays. Raises `Invalid`."""
    shelf = kind.shelf(unit.books)
    status = word(element, "Status", tuple(NEXT), before["Status"])
    if status not in NEXT[before["Status"]]:
        raise Invalid(f"{kind.name} not of valid status for modification")
    operation = text(element, shelf.operation) or ""
    bound = bool(before["_payments"] or before["_allocations"]) or before["Status"] == "PAID"
    if before["Status"] in ("AUTHORISED", "PAID"):
        need_open(unit.books.locked_until, before["Date"])
    if status in OVER:
        if before["_payments"] or before["_allocations"]:
            raise Invalid(NOT_EDITABLE)
        fields: JSON = {"Status": status}
    else:
        fields = _fields(unit, kind, element, before, status)
        if bound and any(fields[field] != before[field] for field in FIXED):
            raise Invalid(NOT_EDITABLE)
        fields["Status"] = before["Status"] if bound else status
        if fields["Status"] in ("AUTHORISED", "PAID"):
            need_open(unit.books.locked_until, fields["Date"])
    after = settle(unit, kind, before, **fields)
    unit.note(shelf, after, "changed", operation)
    return after


def settle(unit: Unit, kind: Kind, before: JSON, **fields: Any) -> JSON:
    """The document with these fields, and with what follows for its balance and status."""
    shelf = kind.shelf(unit.books)
    fields.update(_balance(unit.books, kind, {**before, **fields}))
    return unit.change(shelf, before[shelf.id_field], **fields)


def outstanding(document: JSON) -> Decimal:
    """What is left to pay, or to pay back."""
    found: Decimal = document["AmountDue" if document["Type"] == INVOICE.type else "RemainingCredit"]
    return found


def _balance(books: Books, kind: Kind, document: JSON) -> JSON:
    payments = [books.payments.objects[found] for found in document["_payments"]]
    paid = sum((payment["Amount"] for payment in payments), ZERO)
    applied = sum((allocation["Amount"] for allocation in document["_allocations"]), ZERO)
    left = ZERO if document["Status"] in OVER else document["Total"] - paid - applied
    fields: JSON = {"AmountDue": left, "AmountPaid": paid, "AmountCredited": applied}
    if kind is CREDIT_NOTE:
        fields = {"RemainingCredit": left, "AppliedAmount": applied}
    if document["Status"] in ("AUTHORISED", "PAID"):
        days = [part["Date"] for part in (*payments, *document["_allocations"])]
        fields["Status"] = "AUTHORISED" if left else "PAID"
        fields["FullyPaidOnDate"] = None if left else max(days, default=document["Date"])
    return fields


def _fields(unit: Unit, kind: Kind, element: JSON, before: JSON, status: str) -> JSON:
    approved = status in ("AUTHORISED", "PAID")
    shelf = kind.shelf(unit.books)
    types = word(element, "LineAmountTypes", LINE_AMOUNT_TYPES, before.get("LineAmountTypes", "Exclusive"))
    lines = read_lines(element.get("LineItems", before.get("LineItems", [])), types, approved=approved)
    sums = add_up(lines, types)
    if sums.total < 0:
        raise Invalid("The document total must not be negative")
    contact = before["_contact"] if before and "Contact" not in element else contact_of(unit, element)["ContactID"]
    fields = {
        shelf.number: _number(unit, kind, shelf, element, before),
        "_contact": contact,
        "Reference": text(element, "Reference") or before.get("Reference", ""),
        "CurrencyCode": currency(element, before.get("CurrencyCode", unit.books.currency)),
        "LineAmountTypes": types,
        "LineItems": lines,
        "SubTotal": sums.subtotal,
        "TotalTax": sums.tax,
        "Total": sums.total,
        "SentToContact": bool(element.get("SentToContact", before.get("SentToContact", False))),
        **_days(unit, element, before),
    }
    if url := text(element, "Url", 2000):
        fields["Url"] = url
    if approved and kind.needs_due_date and fields.get("DueDate") is None:
        raise Invalid("DueDate must be specified for an approved invoice")
    return fields


def _days(unit: Unit, element: JSON, before: JSON) -> dict[str, date | None]:
    issued = day(element, "Date") or before.get("Date") or unit.now.date()
    due = day(element, "DueDate") or before.get("DueDate")
    return {"Date": issued, **({"DueDate": due} if due else {})}


def _number(unit: Unit, kind: Kind, shelf: Shelf, element: JSON, before: JSON) -> str:
    number = text(element, shelf.number) or before.get(shelf.number)
    if not number:
        return unit.books.next_number(kind.prefix, lambda word: shelf.has(shelf.number, word))
    for taken in shelf.find(shelf.number, number):
        if taken[shelf.id_field] != before.get(shelf.id_field) and taken["Status"] not in OVER:
            raise Invalid(f"{kind.name} # must be unique.")
    return str(number)


def show(books: Books, document: JSON, *, full: bool = True) -> JSON:
    """A document as Xero shows it; lists without `page` leave the line items out."""
    shown = {name: value for name, value in document.items() if name[0] != "_" and value is not None}
    shown.update(
        Contact=brief(books, document["_contact"]),
        DateString=day_text(document["Date"]),
        UpdatedDateUTCString=moment_text(document["UpdatedDateUTC"]),
        Payments=[_payment(books.payments.objects[found]) for found in document["_payments"]] if full else [],
        HasErrors=False,
        HasAttachments=False,
    )
    if document["Type"] == INVOICE.type:
        shown.update(
            CreditNotes=[_credit(books, one) for one in document["_allocations"]] if full else [],
            Prepayments=[],
            Overpayments=[],
            IsDiscounted=any("DiscountRate" in line for line in document["LineItems"]),
        )
    else:
        shown["Allocations"] = [show_allocation(books, one) for one in document["_allocations"]] if full else []
    if document.get("DueDate"):
        shown["DueDateString"] = day_text(document["DueDate"])
    if not full:
        shown["LineItems"] = []
    return shown


def _payment(payment: JSON) -> JSON:
    return {
        "PaymentID": payment["PaymentID"],
        "Date": payment["Date"],
        "Amount": payment["Amount"],
        "Reference": payment["Reference"],
        "CurrencyRate": payment["CurrencyRate"],
        "HasAccount": False,
        "HasValidationErrors": False,
    }


def _credit(books: Books, allocation: JSON) -> JSON:
    note = books.credit_notes.objects[allocation["_credit_note"]]
    return {
        "CreditNoteID": note["CreditNoteID"],
        "CreditNoteNumber": note["CreditNoteNumber"],
        "Date": note["Date"],
        "Total": note["Total"],
        "AppliedAmount": allocation["Amount"],
        "HasErrors": False,
    }


def show_allocation(books: Books, allocation: JSON) -> JSON:
    """What of a credit note was used for an invoice."""
    invoice = books.invoices.objects[allocation["_invoice"]]
    return {
        "AllocationID": allocation["AllocationID"],
        "Amount": allocation["Amount"],
        "Date": allocation["Date"],
        "IsDeleted": False,
        "Invoice": {"InvoiceID": invoice["InvoiceID"], "InvoiceNumber": invoice["InvoiceNumber"]},
    }
