"""Line items: amounts, tax and totals of a document, in exact decimals, rounded half up to the cent."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from integrations.providers.xero.sandbox.accounts import ACCOUNTS
from integrations.providers.xero.sandbox.formats import JSON, read_amount
from integrations.providers.xero.sandbox.refusals import Invalid
from integrations.providers.xero.sandbox.store import new_id

CENT = Decimal("0.01")
ZERO = Decimal(0)
#: in percent
TAX_RATES = {
    "NONE": ZERO,
    "EXEMPTOUTPUT": ZERO,
    "ZERORATEDOUTPUT": ZERO,
    "OUTPUT": Decimal(10),
    "OUTPUT2": Decimal(20),
    "RROUTPUT": Decimal(5),
    "TAX001": Decimal(19),
}
LINE_AMOUNT_TYPES = ("Exclusive", "Inclusive", "NoTax")


@dataclass(frozen=True, slots=True)
class Sums:
    """The totals of a document."""

    subtotal: Decimal
    tax: Decimal
    total: Decimal


def cents(value: Decimal) -> Decimal:
    """Rounded to two decimals, half up."""
    return value.quantize(CENT, ROUND_HALF_UP)


def read_lines(items: Any, amount_types: str, *, approved: bool) -> list[JSON]:
    """The lines of a document. Raises `Invalid` with every message."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Invalid("LineItems must be a list")
    messages: list[str] = []
    lines = []
    for item in items:
        try:
            lines.append(_line(item, amount_types, approved=approved))
        except Invalid as error:
            messages += error.messages
    if approved and not items:
        messages.append("One or more line items must be specified")
    if messages:
        raise Invalid(*messages)
    return lines


def _line(item: JSON, amount_types: str, *, approved: bool) -> JSON:
    account = item.get("AccountCode")
    if approved and not item.get("Description"):
        raise Invalid("Description must be specified")
    if approved and account is None:
        raise Invalid("Account must be specified")
    if account is not None and ACCOUNTS.get(str(account), {}).get("Class") not in ("REVENUE", "EXPENSE"):
        raise Invalid(f"Account code '{account}' is not a valid code for this document.")
    quantity = _number(item, "Quantity", Decimal(1))
    unit, amount = _amounts(item, quantity)
    tax_type = _tax_type(item, account, amount_types)
    return {
        "Description": str(item.get("Description") or ""),
        "UnitAmount": unit,
        "TaxType": tax_type,
        "TaxAmount": _tax(item, amount, tax_type, amount_types),
        "LineAmount": amount,
        **({"AccountCode": str(account)} if account is not None else {}),
        **({"DiscountRate": _number(item, "DiscountRate", ZERO)} if item.get("DiscountRate") else {}),
        "Tracking": [],
        "Quantity": quantity,
        "LineItemID": item.get("LineItemID") or new_id(),
    }


def _number(item: JSON, field: str, default: Decimal) -> Decimal:
    if (value := item.get(field)) is None:
        return default
    try:
        return read_amount(value)
    except ValueError as error:
        raise Invalid(f"{field} must be a valid number") from error


def _amounts(item: JSON, quantity: Decimal) -> tuple[Decimal, Decimal]:
    """The unit amount and the line's amount; each follows from the other where it is missing."""
    given = None if item.get("LineAmount") is None else _number(item, "LineAmount", ZERO)
    if item.get("UnitAmount") is None:
        amount = given or ZERO
        return (amount / quantity if quantity else ZERO), cents(amount)
    unit = _number(item, "UnitAmount", ZERO)
    discount = _number(item, "DiscountRate", ZERO)
    expected = cents(quantity * unit * (100 - discount) / 100)
    if given is not None and given != expected:
        raise Invalid(f"The line total {given} does not match the expected line total {expected}")
    return unit, expected


def _tax_type(item: JSON, account: Any, amount_types: str) -> str:
    if amount_types == "NoTax":
        return "NONE"
    tax_type = str(item.get("TaxType") or ACCOUNTS.get(str(account), {}).get("TaxType", "NONE"))
    if tax_type not in TAX_RATES:
        raise Invalid(f"The TaxType code '{tax_type}' does not exist or cannot be used for this type of transaction.")
    return tax_type


def _tax(item: JSON, amount: Decimal, tax_type: str, amount_types: str) -> Decimal:
    """The tax as told, else by the rate."""
    if amount_types == "NoTax":
        return ZERO
    if item.get("TaxAmount") is not None:
        return cents(_number(item, "TaxAmount", ZERO))
    rate = TAX_RATES[tax_type]
    if amount_types == "Inclusive":
        return cents(amount * rate / (100 + rate))
    return cents(amount * rate / 100)


def add_up(lines: list[JSON], amount_types: str) -> Sums:
    """The totals of the lines."""
    amount = sum((line["LineAmount"] for line in lines), ZERO)
    tax = sum((line["TaxAmount"] for line in lines), ZERO)
    if amount_types == "Inclusive":
        return Sums(amount - tax, tax, amount)
    return Sums(amount, tax, amount + tax)
