"""The adapter's writes against the sandbox: what it asks for is done once, and found again."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import stripe

from integrations.failures.categories import Category, Fault
from integrations.providers.base import Access, Effect, Intent, Request, Response
from integrations.providers.stripe.adapter import StripeAdapter
from integrations.providers.stripe.client import StripeSettings
from integrations.providers.stripe.sandbox.harness import Sandbox

from .sales import draft, paid, payment_of, sign_up

ADAPTER = StripeAdapter()


class Shop:
    """One account, asked through the adapter."""

    def __init__(self, sandbox: Sandbox, http: httpx.Client) -> None:
        self.http = http
        self.access = Access(StripeSettings(api_base=sandbox.url), {"api_key": sandbox.key("northwind")})

    def send(self, request: Request) -> Response:
        answer = self.http.request(
            request.method, request.url, params=list(request.query) or None,
            headers=dict(request.headers), content=request.body or None,
        )  # fmt: skip
        return Response(answer.status_code, dict(answer.headers), answer.content, datetime.now(UTC))

    def ask(self, intent: Intent, key: str = "") -> Effect:
        request = ADAPTER.compose(self.access, [intent], key or uuid.uuid4().hex)
        (effect,) = ADAPTER.effects([intent], self.send(request))
        return effect

    def find(self, intent: Intent) -> Effect | None:
        return ADAPTER.find_effect(self.access, self.send, intent)[1]


@pytest.fixture
def client(sandbox: Sandbox) -> stripe.StripeClient:
    return sandbox.client("northwind")


@pytest.fixture
def shop(sandbox: Sandbox) -> Iterator[Shop]:
    with httpx.Client() as http:
        yield Shop(sandbox, http)


def refund_of(payment: str, amount: int = 9_000, **content: Any) -> Intent:
    known = {"payment": payment, "amount": amount, "currency": "EUR"}
    return Intent(f"op-{uuid.uuid4().hex[:12]}", "refund.create", "", known | content)


def test_a_refund_is_made_once_under_its_key_and_found_by_its_operation_id(
    shop: Shop, client: stripe.StripeClient
) -> None:
    intent = refund_of(payment_of(paid(client, sign_up(client).id)), reason="Broken on arrival")
    assert shop.find(intent) is None

    made, again = (shop.ask(intent, "key-1") for _ in range(2))

    assert made.external_id == again.external_id
    found = shop.find(intent)
    assert found is not None
    assert found.external_id == made.external_id
    assert ADAPTER.operation_of("refund", found.obj) == intent.operation_id
    assert shop.find(replace(intent, operation_id="op-of-another")) is None
    assert found.obj["amount"] == 9_000
    assert found.obj["metadata"]["reason"] == "Broken on arrival"


def test_a_reason_that_the_provider_knows_is_told_as_one(shop: Shop, client: stripe.StripeClient) -> None:
    intent = refund_of(payment_of(paid(client, sign_up(client).id)), reason="duplicate")

    assert shop.ask(intent).obj["reason"] == "duplicate"


def test_more_than_was_paid_is_refused(shop: Shop, client: stripe.StripeClient) -> None:
    intent = refund_of(payment_of(paid(client, sign_up(client).id)), amount=10_000_000)

    with pytest.raises(Fault) as refused:
        shop.ask(intent)

    assert refused.value.category in (Category.VALIDATION, Category.BUSINESS)
    assert shop.find(intent) is None


def test_voiding_shows_in_the_state(shop: Shop, client: stripe.StripeClient) -> None:
    invoice = draft(client, sign_up(client).id)
    client.v1.invoices.finalize_invoice(invoice.id)
    intent = Intent("op-void", "invoice.void", invoice.id, {})
    assert shop.find(intent) is None

    effect = shop.ask(intent)

    assert effect.external_id == invoice.id
    assert ADAPTER.shows(intent, effect.obj, {})
    assert shop.find(intent) is not None
