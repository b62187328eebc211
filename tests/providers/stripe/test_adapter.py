"""Stripe, by the rules of every adapter."""

import hmac
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from integrations.providers.base import Access, Intent, Request, Response
from integrations.providers.stripe.adapter import StripeAdapter
from integrations.providers.stripe.client import StripeSettings
from tests.providers.conformance import PERSONAL, Conformance, answer

PAYLOADS = Path(__file__).parent / "payloads"


def payload(name: str) -> Any:
    """A payload of this folder, read."""
    return json.loads((PAYLOADS / f"{name}.json").read_bytes())


def event_bodies() -> dict[str, bytes]:
    """All events of this folder by their type."""
    return {path.stem: path.read_bytes() for path in sorted(PAYLOADS.glob("*.json")) if path.stem.count("answer") == 0}


def stripe_error(status: int, **error: str) -> Response:
    """An error answer in Stripe's shape."""
    return answer({"error": error}, status)


class TestStripe(Conformance):
    adapter = StripeAdapter()
    access = Access(StripeSettings(page_size=2), {"api_key": "sk_test_invented0"})
    secrets = ["whsec_invented_first", "whsec_invented_second"]
    listed = "customer"

    def sign(self, body: bytes, secrets: Sequence[str], moment: datetime) -> dict[str, str]:
        at = int(moment.timestamp())
        marks = [hmac.new(secret.encode(), b"%d." % at + body, sha256).hexdigest() for secret in secrets]
        return {"stripe-signature": ",".join([f"t={at}", *(f"v1={mark}" for mark in marks), "v0=old"])}

    def deliveries(self) -> dict[str, bytes]:
        return event_bodies()

    def unknown_delivery(self) -> bytes:
        return json.dumps({**payload("customer.created"), "type": "customer.enlightened"}).encode()

    def ignored_delivery(self) -> bytes:
        return json.dumps({**payload("customer.created"), "type": "product.created"}).encode()

    def list_server(self, ids: list[str]) -> Callable[[Request], Response]:
        def reply(request: Request) -> Response:
            query = dict(request.query)
            start = ids.index(query["starting_after"]) + 1 if "starting_after" in query else 0
            end = start + int(query["limit"])
            entries = [{"id": found, "object": "customer"} for found in ids[start:end]]
            return answer({"object": "list", "data": entries, "has_more": end < len(ids), "url": "/v1/customers"})

        return reply

    def empty_page_with_more(self) -> Response:
        return answer({"object": "list", "data": [], "has_more": True, "url": "/v1/customers"})

    def error(self, status: int) -> Response:
        message = f"Invalid email address: {PERSONAL}, sent with sk_test_invented0"
        return stripe_error(status, type="api_error" if status >= 500 else "invalid_request_error", message=message)

    def missing(self) -> Response:
        return stripe_error(
            404, type="invalid_request_error", code="resource_missing", param="id", message="No such customer: 'x_1'"
        )

    def intents(self) -> dict[str, list[Intent]]:
        return {
            "refund.create": [
                Intent("op-refund-1", "refund.create", "", {"payment": "pi_1", "amount": 1250, "currency": "EUR"})
            ],
            "invoice.void": [Intent("op-void-1", "invoice.void", "in_1", {})],
        }

    def answered(self, intents: Sequence[Intent], refused: Sequence[int] = ()) -> Response:
        if refused:
            return stripe_error(400, type="invalid_request_error", code="charge_already_refunded")
        (intent,) = intents
        return answer(made(intent))

    def world(self, intents: Sequence[Intent], *, done: bool) -> Callable[[Request], Response]:
        def reply(request: Request) -> Response:
            if "/invoices/" in request.url:
                return answer({**made(intents[0]), "status": "void" if done else "open"})
            others = [{"id": f"re_{n}", "object": "refund", "metadata": {}} for n in range(2)]
            ours = [made(intent) for intent in intents] if done else []
            first = ("starting_after", "re_1") not in request.query
            return answer({"object": "list", "data": others if first else ours, "has_more": first})

        return reply


def made(intent: Intent) -> dict[str, Any]:
    """The object that comes of an intent."""
    if intent.action == "invoice.void":
        return {"id": intent.external_id, "object": "invoice", "status": "void", "metadata": {}}
    return {"id": "re_ours", "object": "refund", "metadata": {"operation_id": intent.operation_id}}
