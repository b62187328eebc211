"""Payments of invoices, payments on credit notes (refunds), and credit notes used for invoices.

Source: https://developer.xero.com/documentation/api/accounting/payments and …/creditnotes#allocations
"""

from typing import Any

from integrations.providers.xero.sandbox.accounts import ACCOUNTS, find_account, takes_payments
from integrations.providers.xero.sandbox.contacts import brief
from integrations.providers.xero.sandbox.documents import CREDIT_NOTE, INVOICE, kind_of, outstanding, settle
from integrations.providers.xero.sandbox.documents import show as show_document
from integrations.providers.xero.sandbox.elements import amount, day, need_open, part, text
from integrations.providers.xero.sandbox.formats import JSON, moment_text
from integrations.providers.xero.sandbox.refusals import Invalid
from integrations.providers.xero.sandbox.store import Books, Unit, new_id


def create(unit: Unit, element: JSON) -> JSON:
    """A new payment; the document it pays becomes PAID with the last cent. Raises `Invalid`."""
    document = _document(unit.books, element)
    paid = _amount_for(document, element)
    told = part(element, "Account")
    account = find_account(told.get("Code") or element.get("Code"), told.get("AccountID"))
    if account is None or not takes_payments(account):
        raise Invalid("Account could not be found, or payments to it are not enabled")
    refund = document["Type"] == CREDIT_NOTE.type
    paid_on = day(element, "Date") or unit.now.date()
    need_open(unit.books.locked_until, paid_on)
    payment = {
        "PaymentID": new_id(),
        "Date": paid_on,
        "Amount": paid,
        "BankAmount": paid,
        "Reference": text(element, "Reference") or "",
        "CurrencyRate": document["CurrencyRate"],
        "PaymentType": "ARCREDITPAYMENT" if refund else "ACCRECPAYMENT",
        "Status": "AUTHORISED",
        "IsReconciled": bool(element.get("IsReconciled", False)),
        "_account": account["Code"],
        "_document": document["CreditNoteID" if refund else "InvoiceID"],
    }
    unit.add(unit.books.payments, payment)
    unit.note(unit.books.payments, payment, "created")
    settle(unit, kind_of(document), document, _payments=(*document["_payments"], payment["PaymentID"]))
    return payment


def update(unit: Unit, payment: JSON, element: JSON) -> JSON:
    """Delete a payment, which is all that can be done to one. Raises `Invalid`."""
    if text(element, "Status") != "DELETED":
        raise Invalid("Payments cannot be changed: Status must be DELETED")
    if payment["Status"] == "DELETED":
        raise Invalid("This payment has already been deleted")
    need_open(unit.books.locked_until, payment["Date"])
    after = unit.change(unit.books.payments, payment["PaymentID"], Status="DELETED")
    unit.note(unit.books.payments, after, "changed", text(element, "Reference") or "")
    document = document_of(unit.books, payment)
    left = tuple(found for found in document["_payments"] if found != payment["PaymentID"])
    settle(unit, kind_of(document), document, _payments=left)
    return after


def document_of(books: Books, payment: JSON) -> JSON:
    """The invoice or credit note that a payment belongs to."""
    shelf = books.credit_notes if payment["PaymentType"] == "ARCREDITPAYMENT" else books.invoices
    return shelf.objects[payment["_document"]]


def _document(books: Books, element: JSON) -> JSON:
    invoice, note = part(element, "Invoice"), part(element, "CreditNote")
    words: tuple[tuple[Any, Any], ...] = (
        (books.invoices, invoice.get("InvoiceID")),
        (books.invoices, invoice.get("InvoiceNumber") or element.get("InvoiceNumber")),
        (books.credit_notes, note.get("CreditNoteID")),
        (books.credit_notes, note.get("CreditNoteNumber") or element.get("CreditNoteNumber")),
    )
    for shelf, told in words:
        if isinstance(told, str) and told:
            found: JSON | None = shelf.get(told)
            if found is None:
                raise Invalid(f"{shelf.one} could not be found")
            return found
    raise Invalid("A payment must be for an invoice or a credit note")


def _amount_for(document: JSON, element: JSON) -> Any:
    paid = amount(element, "Amount")
    if document["Status"] not in ("AUTHORISED", "PAID"):
        raise Invalid("Payments can only be made against Authorised documents")
    if paid <= 0:
        raise Invalid("Payment amount must be greater than zero")
    if paid > outstanding(document):
        raise Invalid("Payment amount exceeds the amount outstanding on this document")
    return paid


def allocate(unit: Unit, note: JSON, element: JSON) -> JSON:
    """Use a part of a credit note for an invoice. Raises `Invalid`."""
    told = part(element, "Invoice")
    invoice = unit.books.invoices.get(text(told, "InvoiceID") or text(told, "InvoiceNumber") or "")
    if invoice is None:
        raise Invalid("Invoice could not be found")
    used = _amount_for(note, element)
    if used > _amount_for(invoice, element) or invoice["_contact"] != note["_contact"]:
        raise Invalid("The credit note and the invoice must be of the same contact")
    allocation = {
        "AllocationID": new_id(),
        "Amount": used,
        "Date": day(element, "Date") or unit.now.date(),
        "_invoice": invoice["InvoiceID"],
        "_credit_note": note["CreditNoteID"],
    }
    settle(unit, INVOICE, invoice, _allocations=(*invoice["_allocations"], allocation))
    after = settle(unit, CREDIT_NOTE, note, _allocations=(*note["_allocations"], allocation))
    unit.note(unit.books.credit_notes, after, "changed")
    return allocation


def show(books: Books, payment: JSON, *, full: bool = True) -> JSON:
    """A payment as Xero shows it: its document under `Invoice`, a credit note as type ACCRECCREDIT."""
    account = ACCOUNTS[payment["_account"]]
    shown = {name: value for name, value in payment.items() if name[0] != "_"}
    shown.update(
        UpdatedDateUTCString=moment_text(payment["UpdatedDateUTC"]),
        HasAccount=True,
        HasValidationErrors=False,
        Account={"AccountID": account["AccountID"], "Code": account["Code"], "Name": account["Name"]},
        Invoice=_shown_document(books, document_of(books, payment), full=full),
    )
    return shown


def _shown_document(books: Books, document: JSON, *, full: bool) -> JSON:
    number = {
        "InvoiceID": document.get("InvoiceID") or document["CreditNoteID"],
        "InvoiceNumber": document.get("InvoiceNumber") or document["CreditNoteNumber"],
    }
    if full:
        shown = show_document(books, document)
        for field in ("CreditNoteID", "CreditNoteNumber", "Allocations", "RemainingCredit", "AppliedAmount"):
            shown.pop(field, None)
        return {**shown, **number}
    return {
        "Type": document["Type"],
        **number,
        "Payments": [],
        "CreditNotes": [],
        "Prepayments": [],
        "Overpayments": [],
        "HasErrors": False,
        "IsDiscounted": False,
        "Contact": brief(books, document["_contact"]),
        "LineItems": [],
        "CurrencyCode": document["CurrencyCode"],
    }
