"""Answers, transports and spoiled bytes for the tests of adapters. HTTP is faked here, never the adapter."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from integrations.failures.categories import Category, Fault
from integrations.providers.base import Request, Response

Found = TypeVar("Found")
NOW = datetime(2026, 11, 19, 14, 32, tzinfo=UTC)
PERSONAL = "ingrid@halvorsen-marine.example"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)

#: The rules run for several adapters: an example that one stumbled over need not trouble another.
EVERY_ADAPTER = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors])

MALFORMED = {
    "nothing": b"",
    "half an object": b'{"id": "x", "data": {',
    "a list": b"[]",
    "null": b"null",
    "a text": b'"hello"',
    "a number": b"12",
    "an empty object": b"{}",
    "a page for people": b"<html><body>Bad gateway</body></html>",
    "not UTF-8": b'{"id": "\xff\xfe"}',
    "UTF-16": '{"id": "x"}'.encode("utf-16"),
    "a number that is none": b'{"id": NaN}',
    "a number without end": b'{"id": ' + b"9" * 5000 + b"}",
    "a hole without bottom": b'{"a":' * 100_000,
}

STATUSES = {
    401: Category.AUTHENTICATION,
    403: Category.AUTHORIZATION,
    422: Category.VALIDATION,
    429: Category.RATE_LIMIT,
    500: Category.OUTAGE,
    502: Category.OUTAGE,
    503: Category.OUTAGE,
}


def answer(body: bytes | Any = b"", status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer at `NOW`; a body that is not bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {"date": format_datetime(NOW, usegmt=True), **(headers or {})}, raw, NOW)


@dataclass
class FakeTransport:
    """Answers each request by `reply`, and remembers it."""

    reply: Callable[[Request], Response]
    sent: list[Request] = field(default_factory=list)

    def __call__(self, request: Request) -> Response:
        self.sent.append(request)
        return self.reply(request)


def always(response: Response) -> FakeTransport:
    """A transport with one answer for everything."""
    return FakeTransport(lambda _: response)


def silent() -> FakeTransport:
    """A transport that gets no answer in time."""

    def reply(_: Request) -> Response:
        raise Fault(Category.TIMEOUT, "timeout", "No answer within 20 s.")

    return FakeTransport(reply)


def attempt(call: Callable[[], Found]) -> Found | Fault:
    """What `call` returns, or the fault that it raises."""
    try:
        return call()
    except Fault as fault:
        return fault


def at(pointer: str, document: Any) -> Any:
    """What lies at a JSON pointer (RFC 6901)."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document
