"""What Stripe's events say, version by version."""

import json
import re
from datetime import UTC, datetime
from inspect import getsource
from typing import Any

import pytest
import stripe
from stripe.params import _webhook_endpoint_create_params

from integrations.boundary.mapping import Mapped, apply
from integrations.failures.categories import Category, Fault
from integrations.providers.stripe.client import API_VERSION
from integrations.providers.stripe.events import CARRIES, IGNORED, POINTS_TO
from tests.providers.conformance import NOW, always, answer, attempt
from tests.providers.stripe.conftest import ACCESS, ADAPTER, DOCUMENT
from tests.providers.stripe.test_adapter import PAYLOADS, event_bodies, payload


def mapped(name: str) -> Mapped:
    (item,) = ADAPTER.parse((PAYLOADS / f"{name}.json").read_bytes(), NOW)
    return apply(DOCUMENT, item.resource, item.obj, deleted=item.deleted)


def test_it_pins_the_version_that_the_package_speaks() -> None:
    assert stripe.api_version == API_VERSION


def test_each_event_type_of_the_version_is_either_used_or_ignored() -> None:
    used = CARRIES.keys() | POINTS_TO.keys()
    known = set(re.findall(r'"([a-z_0-9]+(?:\.[a-z_0-9]+)+)"', getsource(_webhook_endpoint_create_params)))

    assert not used & IGNORED
    assert len(known) > 200
    assert known <= used | IGNORED


@pytest.mark.parametrize(
    ("name", "kind", "state"),
    [
        ("customer.created", "customer", "active"),
        ("customer.updated", "customer", "active"),
        ("customer.deleted", "customer", "deleted"),
        ("invoice.created", "invoice", "draft"),
        ("invoice.deleted", "invoice", "deleted"),
        ("invoice.finalized", "invoice", "open"),
        ("invoice.updated", "invoice", "open"),
        ("invoice.payment_failed", "invoice", "open"),
        ("invoice.paid", "invoice", "paid"),
        ("invoice.payment_succeeded", "invoice", "paid"),
        ("invoice.voided", "invoice", "void"),
        ("invoice.marked_uncollectible", "invoice", "uncollectible"),
        ("payment_intent.created", "payment", "pending"),
        ("payment_intent.requires_action", "payment", "requires_action"),
        ("payment_intent.payment_failed", "payment", "failed"),
        ("payment_intent.processing", "payment", "processing"),
        ("payment_intent.succeeded", "payment", "succeeded"),
        ("payment_intent.canceled", "payment", "canceled"),
        ("refund.created", "refund", "pending"),
        ("refund.updated", "refund", "succeeded"),
        ("charge.refund.updated", "refund", "succeeded"),
        ("refund.failed", "refund", "failed"),
    ],
)
def test_an_event_becomes_a_state(name: str, kind: str, state: str) -> None:
    result = mapped(name)

    assert (result.kind, result.state) == (kind, state)


def test_every_payload_is_in_the_table_above_or_points_elsewhere() -> None:
    assert len(event_bodies()) == 22 + len(POINTS_TO)


def test_an_invoice_is_mapped_field_by_field() -> None:
    assert mapped("invoice.paid").data == {
        "number": "INV-2041",
        "customer": "cus_TRq4mDk2yXw9Lb",
        "currency": "EUR",
        "subtotal": 385000,
        "tax": 96250,
        "total": 481250,
        "amount_due": 481250,
        "amount_paid": 481250,
        "issued_at": "2026-11-18T16:50:00Z",
        "due_at": "2026-12-02T16:40:00Z",
        "paid_at": "2026-11-18T16:55:00Z",
        "created_at": "2026-11-18T16:40:00Z",
    }


def test_the_older_shape_of_an_invoice_maps_the_same() -> None:
    old, new = mapped("invoice.payment_succeeded"), mapped("invoice.paid")

    assert old.data == new.data
    assert next(line.source for line in old.trace if line.field == "tax") == "tax"
    assert next(line.source for line in new.trace if line.field == "tax") == "total_taxes"


def test_a_payment_refers_to_its_invoice_and_customer() -> None:
    assert mapped("payment_intent.succeeded").links == (
        ("customer", "customer", "cus_TRq4mDk2yXw9Lb"),
        ("invoice", "invoice", "in_1SVx7PKz3bT9mQeA5hJdRw2c"),
    )


@pytest.mark.parametrize("reference", [None, "", "PO 4711", 12])
def test_an_order_reference_of_other_make_is_no_invoice(reference: Any) -> None:
    intent = payload("payment_intent.succeeded")["data"]["object"]
    intent["payment_details"]["order_reference"] = reference

    result = apply(DOCUMENT, "payment_intent", intent)

    assert "invoice" in result.kept


def test_a_payment_says_why_it_failed() -> None:
    assert mapped("payment_intent.payment_failed").data["failure_reason"] == "insufficient_funds"


def test_what_was_refunded_is_unknown_where_the_charge_is_an_id() -> None:
    result = mapped("payment_intent.succeeded")

    assert result.kept == ("amount_refunded", "collected_at")
    assert result.over({"amount_refunded": 300})["amount_refunded"] == 300


def test_nothing_was_refunded_as_long_as_nobody_says_so() -> None:
    """Whichever evidence of a payment comes first: the one that shows no charge, or the one that names it."""
    assert mapped("payment_intent.succeeded").over(None)["amount_refunded"] == 0
    assert mapped("payment_intent.created").over(None)["amount_refunded"] == 0


def test_what_was_refunded_is_known_where_the_charge_is_expanded() -> None:
    intent = payload("answer.payment_intent")
    transport = always(answer(intent))

    _, found = ADAPTER.fetch(ACCESS, transport, "payment_intent", intent["id"])

    assert ("expand[]", "latest_charge") in transport.sent[0].query
    assert found.item is not None
    assert apply(DOCUMENT, "payment_intent", found.item.obj).data["amount_refunded"] == 85000


def test_a_payment_was_collected_when_its_charge_was_made_and_not_by_one_that_failed() -> None:
    intent = payload("answer.payment_intent")
    charge = intent["latest_charge"]
    failed = intent | {"latest_charge": charge | {"status": "failed"}}

    assert charge["created"] != intent["created"]
    at = datetime.fromtimestamp(charge["created"], UTC)
    assert apply(DOCUMENT, "payment_intent", intent).data["collected_at"] == f"{at:%Y-%m-%dT%H:%M:%SZ}"
    assert "collected_at" in apply(DOCUMENT, "payment_intent", failed).kept


def test_a_refunded_charge_says_that_its_payment_changed() -> None:
    (item,) = ADAPTER.parse(event_bodies()["charge.refunded"], NOW)

    assert not item.obj
    assert (item.resource, item.external_id) == ("payment_intent", "pi_3SVx8aKz3bT9mQeA0ZnUyL4f")


def test_a_refunded_charge_without_payment_is_ignored() -> None:
    event = payload("charge.refunded")
    event["data"]["object"]["payment_intent"] = None

    (item,) = ADAPTER.parse(json.dumps(event).encode(), NOW)

    assert item.ignored


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("id", None, "missing:id"),
        ("id", 12, "wrong_type:id"),
        ("id", "x" * 300, "wrong_type:id"),
        ("id", "evt\x00", "wrong_type:id"),
        ("id", "evt\ud800", "wrong_type:id"),
        ("type", None, "missing:type"),
        ("created", None, "missing:created"),
        ("created", "1795020000", "wrong_type:created"),
        ("created", True, "wrong_type:created"),
        ("created", 1795020000.5, "wrong_type:created"),
        ("created", 10**18, "wrong_type:created"),
        ("data", None, "missing:data.object"),
        ("data", {}, "missing:data.object"),
        ("data", {"object": []}, "missing:data.object"),
        ("data", {"object": {"object": "charge", "id": "ch_1"}}, "wrong_object"),
        ("data", {"object": {"object": "customer"}}, "missing:id"),
        ("object", "v2.core.event", "wrong_object"),
    ],
)
def test_an_event_of_another_shape_is_a_contract_mismatch(key: str, value: Any, code: str) -> None:
    event = {**payload("customer.created"), key: value}

    found = attempt(lambda: ADAPTER.parse(json.dumps(event).encode(), NOW))
    fault = found if isinstance(found, Fault) else found[0].fault

    assert fault is not None
    assert (fault.category, fault.code) == (Category.CONTRACT, code)


def test_an_event_without_a_usable_object_keeps_its_identity() -> None:
    event = {**payload("customer.created"), "data": None}

    (item,) = ADAPTER.parse(json.dumps(event).encode(), NOW)

    assert item.fault is not None
    assert item.event_id == event["id"]
    assert item.occurred_at == datetime.fromtimestamp(event["created"], UTC)
