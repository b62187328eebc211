"""Xero's answers and what is wrong with them, in the engine's categories.

Sources: https://developer.xero.com/documentation/api/accounting/responsecodes and .../oauth2/limits

Xero's own messages are never repeated: they quote what was sent, such as a name. Those that tell which field
offended are known by their words; the whole message stays in the attempt's answer.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from integrations.failures.categories import Category, Fault
from integrations.providers.answers import ODD, retry_after
from integrations.providers.base import Remaining, Response

_BY_STATUS: Final[dict[int, tuple[Category, str]]] = {
    401: (Category.AUTHENTICATION, "Xero does not accept the access token"),
    403: (Category.AUTHORIZATION, "the app may not do this at this organisation"),
    404: (Category.VALIDATION, "Xero does not have what the request names"),
    406: (Category.CONTRACT, "Xero cannot answer in the format that we ask for"),
    408: (Category.TIMEOUT, "Xero gave up waiting for the request"),
    409: (Category.TIMEOUT, "Xero is still busy with a request that conflicts with this one"),
    412: (Category.VALIDATION, "a condition of the request does not hold any more"),
    415: (Category.CONTRACT, "Xero does not take the format that we send"),
    422: (Category.VALIDATION, "Xero refused the request as it stands"),
    429: (Category.RATE_LIMIT, "Xero asks for fewer requests"),
    501: (Category.CONTRACT, "Xero does not know the method that we use"),
    504: (Category.TIMEOUT, "Xero did not answer in time behind its own gateway"),
}
#: What Xero's exceptions mean. https://developer.xero.com/documentation/api/accounting/responsecodes
_BY_TYPE: Final[dict[str, tuple[Category, str]]] = {
    "ValidationException": (Category.VALIDATION, "Xero refused the data"),
    "PostDataInvalidException": (Category.CONTRACT, "Xero cannot read what we send"),
    "QueryParseException": (Category.CONTRACT, "Xero cannot read the filter that we ask with"),
    "ObjectDoesNotExistException": (Category.VALIDATION, "Xero does not have what the request names"),
    "OrganisationOfflineException": (Category.OUTAGE, "the organisation is offline at Xero"),
    "UnsupportedMediaTypeException": (Category.CONTRACT, "Xero does not take the format that we send"),
}
#: Words in a validation message -> code, the field of ours that it is about, category, and what it says.
_RULES: Final[tuple[tuple[re.Pattern[str], str, str, Category, str], ...]] = tuple(
    (re.compile(words, re.IGNORECASE), code, field, category, said)
    for words, code, field, category, said in (
        (r"lock date|period.*locked", "locked", "issued_at", Category.BUSINESS, "the books are closed for that date"),
        (r"only be made against.*documents", "document", "state", Category.BUSINESS,
            "what it is for is not open there: it was voided, deleted or is a draft"),
        (r"exceeds the amount", "too_much", "amount", Category.VALIDATION, "the amount is more than what is open"),
        (r"name.*(already|unique|assigned)", "taken", "name", Category.VALIDATION, "another contact has this name"),
        (
            r"(invoice|credit note|document).*(#|number).*(unique|already|exist)",
            "taken", "number", Category.VALIDATION, "the number is in use",
        ),
        (r"not of valid status|cannot be (edited|modified|voided|deleted|updated)|has payments? allocated",
            "state", "state", Category.BUSINESS, "its state at Xero does not allow it"),
        (r"^invoice.*not be found", "invoice", "invoice", Category.VALIDATION, "it does not have this invoice"),
        (r"^credit note.*not be found", "credit_note", "credit_note", Category.VALIDATION,
            "it does not have this credit note"),
        (r"e-?mail", "email", "email", Category.VALIDATION, "it is no e-mail address that Xero takes"),
        (r"account", "account", "account", Category.VALIDATION, "the account in the settings cannot be used for this"),
        (r"tax", "tax", "tax", Category.VALIDATION, "the tax does not fit"),
        (r"currency", "currency", "currency", Category.VALIDATION, "the organisation does not have this currency"),
        (r"contact", "customer", "customer", Category.VALIDATION, "the contact cannot be used"),
        (r"due date", "due_at", "due_at", Category.VALIDATION, "the due date does not fit"),
        (r"\bdate", "issued_at", "issued_at", Category.VALIDATION, "the date does not fit"),
        (r"amount|total", "amount", "amount", Category.VALIDATION, "the amount does not fit"),
    )
)  # fmt: skip
#: Seconds to wait where Xero names the limit and not the time.
_WAITS: Final = {"concurrent": 1.0, "minute": 60.0, "appminute": 60.0, "day": 3600.0}
#: Nobody has to be asked for a token that ended before it was believed to: the next one is made by a refresh.
EXPIRED: Final = "token_expired"
_GONE: Final = b"The resource you're looking for cannot be found"


def classify(response: Response) -> Fault | None:
    """Return what is wrong with an answer, None for a success."""
    if 200 <= response.status < 300:
        return None
    error = _error_of(response.body)
    refused = refusal(messages_of(error)) if response.status == 400 else None
    if refused:
        return refused
    problem = ODD.sub("_", response.headers.get("x-rate-limit-problem", "")[:40]).lower()
    category, said = _named(response.status, _text(error, "Type"))
    code = problem if response.status == 429 and problem else _code(response.status, error)
    if code == EXPIRED:
        category, said = Category.TIMEOUT, "the access token ended on its way; it goes again with a fresh one"
    return Fault(
        category=category,
        code=code,
        message=f"{said[0].upper()}{said[1:]} (HTTP {response.status}, {code}).",
        retry_after=_wait(response, problem),
    )


def _named(status: int, kind: str) -> tuple[Category, str]:
    if kind in _BY_TYPE and status not in (401, 403, 429):
        return _BY_TYPE[kind]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 500 <= status < 600:
        return Category.OUTAGE, "Xero failed on its side"
    if 400 <= status < 500:
        return Category.VALIDATION, "Xero refused the request as invalid"
    if 300 <= status < 400:
        return Category.CONTRACT, "the address answers with a redirect, which Xero never does"
    return Category.UNKNOWN, "the answer has a status that HTTP does not know"


def _code(status: int, error: Mapping[str, Any]) -> str:
    if status == 401 and "TokenExpired" in _text(error, "Detail"):
        return EXPIRED
    return ODD.sub("_", _text(error, "Type")[:80]) or f"http_{status}"


def _wait(response: Response, problem: str) -> float | None:
    asked = retry_after(response)
    return _WAITS.get(problem) if asked is None and response.status == 429 else asked


def _error_of(body: bytes) -> dict[str, Any]:
    try:
        error = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return error if isinstance(error, dict) else {}


def _text(error: Mapping[str, Any], name: str) -> str:
    value = error.get(name)
    return value if isinstance(value, str) else ""


def messages_of(error: Mapping[str, Any]) -> list[str]:
    """Return the messages of the validation errors of an element, or of all elements of an error."""
    elements = error.get("Elements")
    found = [error, *(elements if isinstance(elements, list) else [])]
    texts: list[str] = []
    for element in found:
        faults = element.get("ValidationErrors") if isinstance(element, dict) else None
        for fault in faults if isinstance(faults, list) else []:
            if isinstance(fault, dict) and isinstance(fault.get("Message"), str):
                texts.append(fault["Message"])
    return texts


def refusal(messages: list[str]) -> Fault | None:
    """Return what is wrong with an object that Xero refused with some messages; None where there are none."""
    for message in messages:
        for words, code, field, category, said in _RULES:
            if words.search(message[:500]):
                return Fault(category, f"refused:{code}", f"Xero refused it: {said}.", field=field)
    return Fault(Category.VALIDATION, "refused", "Xero refused it as invalid.") if messages else None


def is_missing(response: Response) -> bool:
    """Say whether Xero itself answers that the object does not exist; a gateway's 404 does not say so."""
    if response.status != 404:
        return False
    return _GONE in response.body or _text(_error_of(response.body), "Type").startswith("Object")


def remaining(response: Response) -> Remaining | None:
    """Return what is left of the limits, None for an answer that says nothing of them."""
    left = [_count(response.headers.get(name, "")) for name in ("x-minlimit-remaining", "x-daylimit-remaining")]
    return Remaining(*left) if any(count is not None for count in left) else None


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
