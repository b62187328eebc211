"""Reading: one object by id or number, and lists with filters, order and pages."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from integrations.providers.xero.sandbox import contacts, documents, payments
from integrations.providers.xero.sandbox.accounts import ACCOUNTS, find_account
from integrations.providers.xero.sandbox.conditions import Where, in_order
from integrations.providers.xero.sandbox.formats import JSON, read_moment
from integrations.providers.xero.sandbox.refusals import bad_query, not_found
from integrations.providers.xero.sandbox.store import Books, Shelf

PAGE_SIZE = 100
LARGEST_PAGE = 1000

_DOCUMENT = {
    "Type", "Status", "Reference", "Date", "DueDate", "CurrencyCode", "SubTotal", "TotalTax", "Total",
    "FullyPaidOnDate", "UpdatedDateUTC", "Contact.ContactID", "Contact.Name", "Contact.ContactNumber",
}  # fmt: skip
FIELDS: dict[str, frozenset[str]] = {
    "Contacts": frozenset({*contacts.TEXTS, "ContactID", "ContactStatus", "UpdatedDateUTC"}),
    "Invoices": frozenset(_DOCUMENT | {"InvoiceID", "InvoiceNumber", "AmountDue", "AmountPaid", "AmountCredited"}),
    "CreditNotes": frozenset(_DOCUMENT | {"CreditNoteID", "CreditNoteNumber", "RemainingCredit"}),
    "Payments": frozenset(
        {
            "PaymentID", "Status", "Reference", "Date", "Amount", "PaymentType", "IsReconciled", "UpdatedDateUTC",
            "Invoice.InvoiceID", "Invoice.InvoiceNumber", "CreditNote.CreditNoteID", "CreditNote.CreditNoteNumber",
            "Account.Code",
        }
    ),
}  # fmt: skip
#: paths that an index answers under another name
INDEXED = {
    "Contact.ContactID": "_contact",
    "Invoice.InvoiceID": "_document",
    "CreditNote.CreditNoteID": "_document",
}
#: What a list is filtered by beside its condition: name -> field. Other lists pay no heed to these names.
FILTERS = {
    "Contacts": {"IDs": "ContactID"},
    "Invoices": {
        "IDs": "InvoiceID", "InvoiceNumbers": "InvoiceNumber", "ContactIDs": "_contact", "Statuses": "Status",
    },
}  # fmt: skip
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SEARCHED = ("Name", "EmailAddress", "ContactNumber", "InvoiceNumber", "CreditNoteNumber", "Reference")


def show(books: Books, shelf: Shelf, obj: JSON, *, full: bool = True) -> JSON:
    """Any object as Xero shows it."""
    if shelf is books.contacts:
        return contacts.show(books, obj)
    if shelf is books.payments:
        return payments.show(books, obj, full=full)
    return documents.show(books, obj, full=full)


def read_one(books: Books, shelf: Shelf, word: str) -> JSON:
    """One object by id or number, whole. Raises `Refused` 404."""
    found = shelf.get(word)
    if found is None:
        raise not_found()
    return {shelf.resource: [show(books, shelf, found)]}


def read_list(books: Books, shelf: Shelf, query: Mapping[str, str], modified: str) -> JSON:
    """A page of a list. Raises `Refused` 400 for a query that cannot be understood."""
    look = _looker(books)
    found = _candidates(books, shelf, query, look)
    for test in _tests(shelf, query, modified):
        found = [obj for obj in found if test(obj)]
    if order := query.get("order"):
        found = in_order(found, order, FIELDS[shelf.resource], look)
    page, size = _natural(query, "page", 1), min(_natural(query, "pageSize", PAGE_SIZE), LARGEST_PAGE)
    shown = found[(page - 1) * size : page * size]
    full = "page" in query and query.get("summaryOnly", "").lower() != "true"
    pagination = {"page": page, "pageSize": size, "pageCount": math.ceil(len(found) / size), "itemCount": len(found)}
    return {"pagination": pagination, shelf.resource: [show(books, shelf, obj, full=full) for obj in shown]}


def _natural(query: Mapping[str, str], name: str, default: int) -> int:
    word = query.get(name, str(default))
    if not word.isascii() or not word.isdigit() or not int(word[:9]):
        raise bad_query(f"{name} must be a number from 1")
    return int(word[:9])


def _looker(books: Books) -> Callable[[JSON, str], Any]:
    def look(obj: JSON, name: str) -> Any:
        head, _, field = name.partition(".")
        if not field:
            return obj.get(name)
        if head == "Contact":
            return books.contacts.objects.get(obj["_contact"], {}).get(field)
        if head == "Account":
            return obj["_account"]
        document = payments.document_of(books, obj)
        if head == "CreditNote" or "InvoiceID" in document:
            return document.get(field)
        return document[field.replace("Invoice", "CreditNote")]

    return look


def _candidates(books: Books, shelf: Shelf, query: Mapping[str, str], look: Callable[[JSON, str], Any]) -> list[JSON]:
    """What the condition leaves, by an index where there is one."""
    if not (source := query.get("where")):
        return list(shelf)
    where = Where(source, FIELDS[shelf.resource], look)
    for name, value in where.equal.items():
        field = INDEXED.get(name, name)
        if shelf.knows(field):
            return [obj for obj in shelf.find(field, value) if where.test(obj)]
    return [obj for obj in shelf if where.test(obj)]


def _tests(shelf: Shelf, query: Mapping[str, str], modified: str) -> list[Callable[[JSON], bool]]:
    tests: list[Callable[[JSON], bool]] = []
    if modified:
        since = _since(modified)
        tests.append(lambda obj: obj["UpdatedDateUTC"] >= since)
    if shelf.resource == "Contacts" and query.get("includeArchived", "").lower() != "true":
        tests.append(lambda obj: obj["ContactStatus"] == "ACTIVE")
    for name, field in FILTERS.get(shelf.resource, {}).items():
        if name in query:
            tests.append(_among(name, field, query[name]))
    if term := query.get("searchTerm", "").casefold():
        tests.append(lambda obj: any(term in str(obj.get(field, "")).casefold() for field in SEARCHED))
    return tests


def _since(modified: str) -> datetime:
    try:
        return read_moment(modified)
    except (ValueError, TypeError) as error:
        raise bad_query("If-Modified-Since is not a date") from error


def _among(name: str, field: str, listed: str) -> Callable[[JSON], bool]:
    words = {word.strip().strip('"') for word in listed.split(",")}
    if name.endswith("IDs"):
        words = {word.lower() for word in words}
        if not all(UUID.fullmatch(word) for word in words):
            raise bad_query(f"{name} must be a list of ids")
    return lambda obj: obj.get(field) in words


def organisation(books: Books) -> JSON:
    """The answer of `Organisation`."""
    found = {
        "OrganisationID": books.tenant_id,
        "Name": books.name,
        "LegalName": books.name,
        "PaysTax": True,
        "Version": "GLOBAL",
        "OrganisationType": "COMPANY",
        "OrganisationEntityType": "COMPANY",
        "BaseCurrency": books.currency,
        "CountryCode": "DE",
        "IsDemoCompany": True,
        "OrganisationStatus": "ACTIVE",
        "FinancialYearEndDay": 31,
        "FinancialYearEndMonth": 12,
        "CreatedDateUTC": books.connected_at,
        "Timezone": "WEUROPESTANDARDTIME",
        "ShortCode": "!" + books.tenant_id[:5],
        "Class": "DEMO",
        "Edition": "BUSINESS",
        "Addresses": [],
        "Phones": [],
        "ExternalLinks": [],
    }
    if books.locked_until is not None:
        found["PeriodLockDate"] = books.locked_until
    return {"Organisations": [found]}


def accounts(word: str) -> JSON:
    """The chart of accounts, or one of it. Raises `Refused` 404."""
    if not word:
        return {"Accounts": list(ACCOUNTS.values())}
    found = find_account(word, word)
    if found is None:
        raise not_found()
    return {"Accounts": [found]}
