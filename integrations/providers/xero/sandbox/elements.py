"""Reading an element of a request: text, days, amounts, each with Xero's message when it does not fit."""

from datetime import date
from decimal import Decimal
from typing import Any

from integrations.providers.xero.sandbox.formats import JSON, read_amount, read_day
from integrations.providers.xero.sandbox.refusals import Invalid


def text(element: JSON, field: str, longest: int = 255) -> str | None:
    """A text, None where it is missing. Raises `Invalid`."""
    value = element.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Invalid(f"{field} must be a text")
    if len(value) > longest:
        raise Invalid(f"The field {field} must be a string with a maximum length of {longest}.")
    return value


def day(element: JSON, field: str) -> date | None:
    """A day, None where it is missing. Raises `Invalid`."""
    if element.get(field) in (None, ""):
        return None
    try:
        return read_day(element[field])
    except (ValueError, OverflowError, OSError) as error:
        raise Invalid(f"{field} is not a valid date") from error


def amount(element: JSON, field: str) -> Decimal:
    """An amount of at most two decimals. Raises `Invalid`."""
    try:
        found = read_amount(element.get(field))
    except ValueError as error:
        raise Invalid(f"{field} must be a valid number") from error
    if found != round(found, 2):
        raise Invalid(f"{field} must have no more than two decimals")
    return round(found, 2)


def need_open(until: date | None, when: date) -> None:
    """See that a day lies after the period that is closed. Raises `Invalid`, with Xero's message."""
    if until is not None and when <= until:
        shown = f"{until:%d-%b-%Y}"
        raise Invalid(f"The document date cannot be before the period lock date, currently set at {shown}")


def part(element: JSON, field: str) -> JSON:
    """A nested element, empty where it is missing. Raises `Invalid`."""
    value: Any = element.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid(f"{field} must be an object")
    return value


def word(element: JSON, field: str, known: tuple[str, ...], default: str) -> str:
    """One of the known words. Raises `Invalid`."""
    found = text(element, field) or default
    if found not in known:
        raise Invalid(f"The {field} '{found}' is not valid")
    return found


def currency(element: JSON, default: str) -> str:
    """A currency's code of three letters. Raises `Invalid`."""
    found = text(element, "CurrencyCode", 3) or default
    if len(found) != 3 or not found.isalpha() or not found.isupper():
        raise Invalid(f"Organisation is not subscribed to currency {found}")
    return found
