"""From canonical content to Xero's JSON. Pure: the same intents give the same bytes.

Amounts are written as exact decimals from minor units; nothing passes through binary floating point.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from integrations.canonical import asking
from integrations.canonical.money import DECIMALS
from integrations.failures.categories import Category, Fault
from integrations.providers.base import ActionSpec, Intent
from integrations.providers.xero.asking import (
    Contact,
    ContactUpdate,
    CreditNote,
    CreditNoteRefund,
    InvoiceUpdate,
    RefundTakenBack,
)
from integrations.providers.xero.client import BATCH, ENDPOINTS, XeroSettings
from integrations.providers.xero.days import day_in

_LONGEST_TEXT: Final = 255
_LONGEST_OPERATION: Final = 50

_SPECS: Final = (
    ActionSpec("contact.create", "contact", "Create contact", BATCH, creates=True, content=Contact),
    ActionSpec("contact.update", "contact", "Update contact", BATCH, content=ContactUpdate),
    ActionSpec("invoice.create", "invoice", "Create invoice", BATCH, creates=True, content=asking.Invoice),
    ActionSpec("invoice.update", "invoice", "Update invoice", BATCH, content=InvoiceUpdate),
    ActionSpec("invoice.void", "invoice", "Void invoice", BATCH, content=asking.Void),
    ActionSpec("payment.create", "payment", "Enter payment", BATCH, creates=True, content=asking.Payment),
    ActionSpec("payment.delete", "payment", "Delete payment", content=asking.Nothing),
    ActionSpec("credit_note.create", "credit_note", "Create credit note", BATCH, creates=True, content=CreditNote),
    # A payment out of a credit note: the credit note shows it.
    ActionSpec(
        "credit_note.refund", "credit_note", "Refund credit note", BATCH, creates=True, content=CreditNoteRefund
    ),
    # And that payment deleted: the credit note does not show it any more.
    ActionSpec("credit_note.take_back", "credit_note", "Take back refund of credit note", content=RefundTakenBack),
    ActionSpec("credit_note.void", "credit_note", "Void credit note", BATCH, content=asking.Void),
)
ACTIONS: Final[dict[str, ActionSpec]] = {spec.name: spec for spec in _SPECS}
REFUND: Final = "credit_note.refund"
DELETE: Final = "payment.delete"
TAKE_BACK: Final = "credit_note.take_back"
#: What is done to one payment at its own address.
SINGLE: Final = frozenset({DELETE, TAKE_BACK})

Element = dict[str, Any]


def endpoint_of(action: str) -> str:
    """Return the resource into whose list an action is written."""
    return "payment" if action in (REFUND, TAKE_BACK) else ACTIONS[action].resource


def payment_of(intent: Intent) -> str:
    """Return the id of the payment that is deleted. Raises `Fault` (validation)."""
    return _text(intent.content, "payment") if intent.action == TAKE_BACK else _target(intent)


def method_of(action: str) -> str:
    """PUT makes and never changes; POST changes what is named."""
    return "PUT" if ACTIONS[action].creates else "POST"


def body_of(settings: XeroSettings, intents: Sequence[Intent]) -> bytes:
    """Return the body that asks for intents of one action. Raises `Fault` (validation)."""
    action = intents[0].action
    elements = [_BUILDERS[action](settings, intent) for intent in intents]
    whole = elements[0] if action in SINGLE else {ENDPOINTS[endpoint_of(action)].path: elements}
    return encoded(whole).encode()


def encoded(value: Any) -> str:
    """Return JSON in which a decimal stands as it is."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(name)}:{encoded(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(encoded, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def major(minor: int, currency: str) -> Decimal:
    """Return an amount in major units with as many decimals as its currency has."""
    return Decimal(minor).scaleb(-DECIMALS[currency])


# -- what content holds


def _refused(field: str, said: str) -> Fault:
    return Fault(Category.VALIDATION, f"content:{field}", f"The {field.replace('_', ' ')} {said}.", field=field)


def _text(content: Mapping[str, Any], field: str, longest: int = _LONGEST_TEXT) -> str:
    value = content.get(field)
    if not isinstance(value, str) or not value.strip():
        raise _refused(field, "is missing, and Xero needs it")
    if len(value) > longest:
        raise _refused(field, f"has more than the {longest} characters that Xero takes")
    return value


def _currency(content: Mapping[str, Any]) -> str:
    code = _text(content, "currency")
    if code not in DECIMALS:
        raise _refused("currency", "is no ISO 4217 currency")
    return code


def _amount(content: Mapping[str, Any], field: str) -> Decimal:
    minor = content.get(field)
    if type(minor) is not int:
        raise _refused(field, "is no whole number of minor units")
    return major(minor, _currency(content))


def day_of(content: Mapping[str, Any], field: str, zone: str) -> str:
    """Return the day in a time zone of an RFC 3339 time. Raises `Fault`."""
    try:
        return day_in(_text(content, field), zone)
    except (ValueError, OverflowError):
        raise _refused(field, "is no RFC 3339 time") from None


def _operation(intent: Intent) -> str:
    if not 0 < len(intent.operation_id) <= _LONGEST_OPERATION:
        raise _refused("operation_id", f"does not have 1 to {_LONGEST_OPERATION} characters")
    return intent.operation_id


def _target(intent: Intent) -> str:
    if not intent.external_id:
        raise _refused("external_id", "is missing: nothing says what to change")
    return intent.external_id


# -- elements


def _contact(content: Mapping[str, Any]) -> Element:
    element: Element = {"Name": _text(content, "name")}
    if content.get("email"):
        element["EmailAddress"] = _text(content, "email")
    elif "email" in (content.get("changed") or ()):
        # What is left out stays as it is there; an empty text takes it away.
        element["EmailAddress"] = ""
    if content.get("currency"):
        element["DefaultCurrency"] = _currency(content)
    return element


def _contact_create(_: XeroSettings, intent: Intent) -> Element:
    return {"ContactNumber": _operation(intent), **_contact(intent.content)}


def _contact_update(_: XeroSettings, intent: Intent) -> Element:
    return {"ContactID": _target(intent), **_changed(intent.content, _contact(intent.content))}


def _line(settings: XeroSettings, description: str, net: Decimal, tax: Decimal) -> Element:
    return {
        "Description": description,
        "Quantity": Decimal(1),
        "UnitAmount": net,
        "LineAmount": net,
        "AccountCode": settings.sales_account,
        "TaxType": settings.tax_type if tax else "NONE",
        "TaxAmount": tax,
    }


def _invoice(settings: XeroSettings, content: Mapping[str, Any]) -> Element:
    subtotal, tax, total = (_amount(content, field) for field in ("subtotal", "tax", "total"))
    if subtotal + tax != total:
        raise _refused("total", "is not the subtotal and the tax together, and Xero adds them up itself")
    issued = day_of(content, "issued_at", settings.time_zone)
    number = _text(content, "number")
    return {
        "Contact": {"ContactID": _text(content, "customer")},
        "InvoiceNumber": number,
        "Date": issued,
        "DueDate": day_of(content, "due_at", settings.time_zone) if content.get("due_at") else issued,
        "CurrencyCode": _currency(content),
        "LineAmountTypes": "Exclusive",
        "LineItems": [_line(settings, f"Invoice {number}", subtotal, tax)],
        "Status": "DRAFT" if content.get("state") == "draft" else "AUTHORISED",
    }


def _invoice_create(settings: XeroSettings, intent: Intent) -> Element:
    return {"Type": "ACCREC", "Reference": _operation(intent), **_invoice(settings, intent.content)}


def _invoice_update(settings: XeroSettings, intent: Intent) -> Element:
    return {"InvoiceID": _target(intent), **_changed(intent.content, _invoice(settings, intent.content))}


#: Canonical fields -> what is written of them. What is not written stays there as it is: an account that somebody chose
#: for a line goes with the lines, so those are written only for another amount.
_WRITTEN: Final = {
    "name": ("Name",),
    "email": ("EmailAddress",),
    "number": ("InvoiceNumber",),
    "customer": ("Contact",),
    "subtotal": ("LineAmountTypes", "LineItems"),
    "tax": ("LineAmountTypes", "LineItems"),
    "total": ("LineAmountTypes", "LineItems"),
    "currency": ("DefaultCurrency", "CurrencyCode", "LineItems"),
    "issued_at": ("Date",),
    "due_at": ("DueDate",),
    "state": ("Status",),
}


def _changed(content: Mapping[str, Any], element: Element) -> Element:
    """Return what of an element is written: what its content says has changed, or all of it."""
    names = content.get("changed")
    if names is None:
        return element
    written = {field for name in names for field in _WRITTEN.get(name, ())}
    return {field: value for field, value in element.items() if field in written}


def _void(id_field: str) -> Callable[[XeroSettings, Intent], Element]:
    def build(_: XeroSettings, intent: Intent) -> Element:
        # Xero voids what was approved; a draft is deleted.
        status = "DELETED" if intent.content.get("state") == "draft" else "VOIDED"
        return {id_field: _target(intent), "Status": status}

    return build


def _payment(settings: XeroSettings, intent: Intent) -> Element:
    content = intent.content
    return {
        "Account": {"Code": settings.payment_account},
        "Date": day_of(content, "paid_at", settings.time_zone),
        "Amount": _amount(content, "amount"),
        "Reference": _operation(intent),
    }


def _payment_create(settings: XeroSettings, intent: Intent) -> Element:
    return {"Invoice": {"InvoiceID": _text(intent.content, "invoice")}, **_payment(settings, intent)}


def _credit_note_refund(settings: XeroSettings, intent: Intent) -> Element:
    return {"CreditNote": {"CreditNoteID": _text(intent.content, "credit_note")}, **_payment(settings, intent)}


def _payment_delete(_: XeroSettings, intent: Intent) -> Element:
    payment_of(intent)
    return {"Status": "DELETED"}


def _credit_note_create(settings: XeroSettings, intent: Intent) -> Element:
    content = intent.content
    tax = _amount({"tax": 0, **content}, "tax")
    line = _line(settings, _words_of_credit(content), _amount(content, "amount") - tax, tax)
    return {
        "Type": "ACCRECCREDIT",
        "Reference": _operation(intent),
        "Contact": {"ContactID": _text(content, "customer")},
        "CreditNoteNumber": _text(content, "number"),
        "Date": day_of(content, "issued_at", settings.time_zone),
        "CurrencyCode": _currency(content),
        "LineAmountTypes": "Exclusive",
        "LineItems": [line],
        "Status": "AUTHORISED",
    }


def _words_of_credit(content: Mapping[str, Any]) -> str:
    of, reason = content.get("invoice_number"), content.get("reason")
    if not of:
        return reason or f"Refund {content['number']}"
    return f"Refund of {of}: {reason}" if reason else f"Refund of {of}"


_BUILDERS: Final[dict[str, Callable[[XeroSettings, Intent], Element]]] = {
    "contact.create": _contact_create,
    "contact.update": _contact_update,
    "invoice.create": _invoice_create,
    "invoice.update": _invoice_update,
    "invoice.void": _void("InvoiceID"),
    "payment.create": _payment_create,
    DELETE: _payment_delete,
    TAKE_BACK: _payment_delete,
    "credit_note.create": _credit_note_create,
    REFUND: _credit_note_refund,
    "credit_note.void": _void("CreditNoteID"),
}
