"""The webhook endpoint as a provider meets it: what is kept, and what is refused with which answer."""

import time
import uuid
from dataclasses import dataclass, field

import httpx
import pytest
from django.utils import timezone

from integrations.models import Connection, Event, JournalEntry, WorkState
from tests.browser.conftest import Space
from tests.conftest import customer_object, signed, webhook_body
from tests.processes import Product, wait_until

TOO_LARGE = 1024 * 1024 + 1


@dataclass
class Endpoint:
    """Delivers to one connection."""

    url: str
    connection: Connection
    body: bytes = field(default_factory=lambda: webhook_body("customer.created", customer_object("cus_hook")))

    def deliver(self, body: bytes | None = None, headers: dict[str, str] | None = None) -> int:
        """Send a body with these headers, a good signature without any; return the status."""
        sent = self.body if body is None else body
        return httpx.post(self.url, content=sent, headers=headers or signed(sent), timeout=30).status_code

    def kept(self) -> int:
        return Event.objects.filter(connection=self.connection).count()

    def refused(self) -> int:
        self.connection.refresh_from_db()
        return self.connection.refused_signatures


@pytest.fixture
def endpoint(space: Space, product: Product) -> Endpoint:
    return Endpoint(f"{product.url}/hooks/{space.connection.public_id}/", space.connection)


def test_a_delivery_is_kept_once_however_often_it_comes(endpoint: Endpoint) -> None:
    assert [endpoint.deliver() for _ in range(3)] == [200, 200, 200]

    event = Event.objects.get(connection=endpoint.connection)
    assert event.redelivered == 2


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]", b'{"id": 7}', b"null"])
def test_what_nobody_can_read_is_kept_and_parked(endpoint: Endpoint, body: bytes) -> None:
    assert endpoint.deliver(body) == 200

    events = Event.objects.filter(connection=endpoint.connection, state=WorkState.PARKED)
    wait_until("it is parked", events.exists)
    assert events.get().category == "contract mismatch"


def test_a_bad_signature_is_refused_counted_and_in_the_journal(endpoint: Endpoint) -> None:
    old = signed(endpoint.body, at=int(time.time()) - 301)
    wrong = signed(endpoint.body, secret="whsec_of_somebody_else")
    other = signed(b"another body")

    assert [endpoint.deliver(headers=headers) for headers in (old, wrong, other, {"x": "none"})] == [401] * 4
    assert (endpoint.kept(), endpoint.refused()) == (0, 4)
    lines = JournalEntry.objects.filter(connection_id=endpoint.connection.pk, action="webhook.refused")
    assert lines.exists()


def test_a_body_over_the_limit_is_refused(endpoint: Endpoint) -> None:
    assert endpoint.deliver(b"x" * TOO_LARGE) == 413
    assert endpoint.kept() == 0


def test_an_unknown_connection_is_not_there(product: Product, endpoint: Endpoint) -> None:
    for path in (str(uuid.uuid4()), "not-a-uuid", "", "../records", "%00"):
        answer = httpx.post(f"{product.url}/hooks/{path}/", content=endpoint.body, headers=signed(endpoint.body))
        assert answer.status_code == 404, path


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_only_posts_are_taken(endpoint: Endpoint, method: str) -> None:
    assert httpx.request(method, endpoint.url, timeout=30).status_code == 405


def test_a_disabled_connection_says_that_it_is_gone(endpoint: Endpoint) -> None:
    Connection.objects.filter(pk=endpoint.connection.pk).update(disabled_at=timezone.now())

    wait_until("it is refused", lambda: endpoint.deliver() == 410, 5)
    assert endpoint.kept() <= 1


def test_no_session_is_needed_and_none_helps(endpoint: Endpoint) -> None:
    assert endpoint.deliver(headers={"cookie": "sessionid=stolen"}) == 401
