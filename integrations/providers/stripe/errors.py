"""Stripe's answers and what is wrong with them, in the engine's categories.

Sources: https://docs.stripe.com/api/errors, https://docs.stripe.com/error-low-level,
https://docs.stripe.com/rate-limits (object locks answer 429 with the code `lock_timeout`).

Stripe's own messages are never repeated: they quote what was sent, such as an email address.
"""

import json
from collections.abc import Mapping
from typing import Final

from integrations.failures.categories import Category, Fault
from integrations.providers.answers import ODD, retry_after
from integrations.providers.base import Response

_BY_STATUS: Final[dict[int, tuple[Category, str]]] = {
    401: (Category.AUTHENTICATION, "Stripe does not accept the API key"),
    402: (Category.BUSINESS, "Stripe accepted the request and the payment was declined"),
    403: (Category.AUTHORIZATION, "the API key may not do this at Stripe"),
    404: (Category.VALIDATION, "Stripe does not have what the request names"),
    408: (Category.TIMEOUT, "Stripe gave up waiting for the request"),
    409: (Category.TIMEOUT, "Stripe is still busy with a request that conflicts with this one"),
    424: (Category.OUTAGE, "something that Stripe depends on failed"),
    429: (Category.RATE_LIMIT, "Stripe asks for fewer requests"),
    504: (Category.TIMEOUT, "Stripe did not answer in time behind its own gateway"),
}
_BY_CODE: Final[dict[str, tuple[Category, str]]] = {
    # Two requests wanted the same object. Stripe's advice is to try again, more slowly.
    "lock_timeout": (Category.RATE_LIMIT, "Stripe could not lock the object in time"),
    "rate_limit": (Category.RATE_LIMIT, "Stripe asks for fewer requests"),
    "api_key_expired": (Category.AUTHENTICATION, "the API key has expired"),
    "platform_api_key_expired": (Category.AUTHENTICATION, "the platform's API key has expired"),
    "secret_key_required": (Category.AUTHENTICATION, "the key is a publishable one; a secret key is needed"),
    "account_invalid": (Category.AUTHORIZATION, "the API key has no access to the account"),
    "idempotency_key_in_use": (Category.TIMEOUT, "Stripe is still busy with the first request of this operation id"),
    "parameter_unknown": (Category.CONTRACT, "Stripe does not know a parameter that we send"),
    "url_invalid": (Category.CONTRACT, "Stripe does not know the address that we ask"),
}
_BY_TYPE: Final[dict[str, tuple[Category, str]]] = {
    "card_error": (Category.BUSINESS, "the payment was declined"),
    # The same operation id for other content: the first result is no answer to this request.
    "idempotency_error": (Category.VALIDATION, "the operation id was used before, for different content"),
}


def classify(response: Response) -> Fault | None:
    """Return what is wrong with an answer, None for a success."""
    if 200 <= response.status < 300:
        return None
    if response.status >= 500 and response.headers.get("idempotent-replayed") == "true":
        return _remembered(response.status)
    error = _error_of(response.body)
    category, said = _named(response.status, error)
    code = error.get("decline_code") or error.get("code") or error.get("type") or f"http_{response.status}"
    param = error.get("param", "")
    where = f", at the parameter {param}" if param else ""
    return Fault(
        category=category,
        code=code,
        message=f"{said[0].upper()}{said[1:]}{where} (HTTP {response.status}, {code}).",
        field=param,
        retry_after=retry_after(response),
    )


def _remembered(status: int) -> Fault:
    """Stripe keeps the first answer of a key for a day, a failure too: it says nothing of how Stripe is now.

    https://docs.stripe.com/api/idempotent_requests
    """
    return Fault(
        Category.DUPLICATE,
        "answer_remembered",
        f"Stripe repeats that it failed at the first request of this operation id (HTTP {status}).",
        next_step="Nothing to do: its effect is looked for before anything is sent again.",
    )


def _named(status: int, error: Mapping[str, str]) -> tuple[Category, str]:
    for table, word in ((_BY_CODE, error.get("code")), (_BY_TYPE, error.get("type"))):
        if word in table and status < 500:
            return table[word]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 500 <= status < 600:
        return Category.OUTAGE, "Stripe failed on its side"
    if 400 <= status < 500:
        return Category.VALIDATION, "Stripe refused the request as invalid"
    if 300 <= status < 400:
        return Category.CONTRACT, "the address answers with a redirect, which Stripe never does"
    return Category.UNKNOWN, "the answer has a status that HTTP does not know"


def _error_of(body: bytes) -> dict[str, str]:
    """Return the short, harmless words of Stripe's error object; {} where the body is none."""
    try:
        error = json.loads(body)["error"]
        return {
            name: ODD.sub("_", error[name][:80])
            for name in ("type", "code", "decline_code", "param")
            if isinstance(error.get(name), str) and error[name]
        }
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def is_missing(response: Response) -> bool:
    """Say whether Stripe itself answers that the object does not exist.

    A 404 of some gateway on the way does not say so, nor does one for an address that Stripe does not
    know: it has no `resource_missing`.
    """
    error = _error_of(response.body)
    told = error.get("code") == "resource_missing" or (
        "code" not in error and b"Unrecognized request URL" not in response.body
    )
    return response.status == 404 and error.get("type") == "invalid_request_error" and told
