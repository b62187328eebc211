"""What is Stripe's own: its events, lists, errors and settings."""

import json
import re
from datetime import UTC, datetime, timedelta
from inspect import getsource
from typing import Any
from urllib.parse import unquote

import pytest
import stripe
from pydantic import ValidationError
from stripe.params import _webhook_endpoint_create_params

from integrations.boundary.mapping import Mapped, apply, load_document
from integrations.failures.categories import Category, Fault
from integrations.providers.base import Access, Adapter
from integrations.providers.stripe.adapter import MAPPING, StripeAdapter
from integrations.providers.stripe.client import API_VERSION, StripeSettings
from integrations.providers.stripe.events import CARRIES, IGNORED, POINTS_TO
from tests.providers.conformance import NOW, FakeTransport, always, answer, attempt
from tests.providers.stripe.test_adapter import PAYLOADS, event_bodies, payload, stripe_error

ADAPTER: Adapter = StripeAdapter()
ACCESS = Access(StripeSettings(), {"api_key": "sk_test_invented0"})
DOCUMENT = load_document(MAPPING)


def mapped(name: str) -> Mapped:
    (item,) = ADAPTER.parse((PAYLOADS / f"{name}.json").read_bytes(), NOW)
    return apply(DOCUMENT, item.resource, item.obj, deleted=item.deleted)


def listing(*entries: Any, more: bool = False) -> FakeTransport:
    return always(answer({"object": "list", "data": list(entries), "has_more": more, "url": "/v1/x"}))


# Versions and events


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

    assert result.kept == ("amount_refunded",)
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


# Lists


def test_a_resync_asks_from_the_very_time_that_the_engine_names() -> None:
    transport = listing()

    ADAPTER.list_page(ACCESS, transport, "invoice", None, NOW)

    assert transport.sent[0].query == (("limit", "100"), ("created[gte]", str(int(NOW.timestamp()))))


def test_the_next_page_keeps_the_start_of_its_run() -> None:
    first = listing({"id": "in_2", "object": "invoice"}, more=True)
    _, page = ADAPTER.list_page(ACCESS, first, "invoice", None, NOW)
    second = listing()

    ADAPTER.list_page(ACCESS, second, "invoice", page.next_cursor, NOW + timedelta(hours=2))

    assert dict(second.sent[0].query)["starting_after"] == "in_2"
    assert dict(second.sent[0].query)["created[gte]"] == dict(first.sent[0].query)["created[gte]"]


def test_payments_are_listed_with_their_charges() -> None:
    transport = listing()

    ADAPTER.list_page(ACCESS, transport, "payment_intent", None, None)

    assert ("expand[]", "data.latest_charge") in transport.sent[0].query


def test_every_request_names_the_version() -> None:
    transport = listing()

    ADAPTER.list_page(ACCESS, transport, "refund", None, None)

    assert transport.sent[0].headers["stripe-version"] == API_VERSION
    assert transport.sent[0].url == "https://api.stripe.com/v1/refunds"


def test_the_event_log_leaves_out_what_is_not_needed_and_goes_on() -> None:
    events = [{**payload("customer.created"), "id": f"evt_{n}", "type": "product.created"} for n in range(3)]

    _, page = ADAPTER.list_page(ACCESS, listing(*events, more=True), "event", None, None)

    assert page.items == ()
    assert page.next_cursor == {"starting_after": "evt_2", "created_from": None}


def test_one_bad_event_does_not_stop_its_page() -> None:
    good = payload("customer.created")
    transport = listing(good, {**good, "id": "evt_bad", "type": "customer.enlightened"})

    response, page = ADAPTER.list_page(ACCESS, transport, "event", None, None)

    first, second = page.items
    assert first.path == "/data/0/data/object"
    assert not first.exact
    assert second.fault is not None
    assert second.fault.code == "unknown_event:customer.enlightened"
    assert (second.event_id, second.path) == ("evt_bad", "/data/1")
    assert json.loads(response.body)["data"][1]["id"] == "evt_bad"


def test_a_page_with_more_and_nothing_to_go_on_from_is_a_contract_mismatch() -> None:
    for transport, code in (
        (listing(more=True), "empty_page"),
        (listing({"object": "customer"}, more=True), "missing:id"),
        (listing("cus_1", more=True), "wrong_object"),
    ):
        with pytest.raises(Fault) as caught:
            ADAPTER.list_page(ACCESS, transport, "customer", None, None)
        assert (caught.value.category, caught.value.code) == (Category.CONTRACT, code)


@pytest.mark.parametrize("has_more", [None, "false", 0])
def test_a_list_must_say_whether_there_is_more(has_more: Any) -> None:
    with pytest.raises(Fault) as caught:
        ADAPTER.list_page(ACCESS, always(answer({"data": [], "has_more": has_more})), "customer", None, None)

    assert caught.value.code == "missing:has_more"


# One object


def test_a_deleted_customer_is_answered_as_a_stub() -> None:
    stub = payload("answer.deleted_customer")

    _, found = ADAPTER.fetch(ACCESS, always(answer(stub)), "customer", stub["id"])

    assert found.item is not None
    assert found.item.deleted
    result = apply(DOCUMENT, "customer", found.item.obj, deleted=True)
    assert (result.state, result.data) == ("deleted", {})
    assert result.over({"name": "Halvorsen Marine AS"})["name"] == "Halvorsen Marine AS"


def test_an_id_with_odd_characters_stays_one_step_of_the_path() -> None:
    transport = always(answer({"object": "customer", "id": "../v1/x?y#z"}))

    ADAPTER.fetch(ACCESS, transport, "customer", "../v1/x?y#z")

    url = transport.sent[0].url
    assert url.count("/") == 5
    assert unquote(url.rpartition("/")[2]) == "../v1/x?y#z"


def test_another_object_than_asked_for_is_refused() -> None:
    with pytest.raises(Fault) as caught:
        ADAPTER.fetch(ACCESS, always(answer({"object": "customer", "id": "cus_2"})), "customer", "cus_1")

    assert caught.value.category == Category.CONTRACT


def test_an_address_that_stripe_does_not_know_says_nothing_about_the_object() -> None:
    unknown = stripe_error(404, type="invalid_request_error", message="Unrecognized request URL (GET: /v1/x).")

    with pytest.raises(Fault):
        ADAPTER.fetch(ACCESS, always(unknown), "customer", "cus_1")


def test_a_listed_object_stands_as_it_was_by_the_providers_clock() -> None:
    late = answer({"object": "list", "data": [{"id": "re_1", "object": "refund"}], "has_more": False})
    transport = always(type(late)(late.status, {"date": "Thu, 19 Nov 2026 14:29:11 GMT"}, late.body, NOW))

    _, page = ADAPTER.list_page(ACCESS, transport, "refund", None, None)

    assert page.as_of == page.items[0].occurred_at == datetime(2026, 11, 19, 14, 29, 11, tzinfo=UTC)


# Errors


@pytest.mark.parametrize(
    ("status", "error", "category", "code"),
    [
        (400, {"type": "invalid_request_error", "code": "parameter_missing", "param": "customer"}, "VALIDATION", None),
        (400, {"type": "invalid_request_error", "code": "parameter_unknown", "param": "x"}, "CONTRACT", None),
        (400, {"type": "idempotency_error"}, "VALIDATION", "idempotency_error"),
        (401, {"type": "invalid_request_error", "code": "api_key_expired"}, "AUTHENTICATION", None),
        (
            402,
            {"type": "card_error", "code": "card_declined", "decline_code": "do_not_honor"},
            "BUSINESS",
            "do_not_honor",
        ),
        (404, {"type": "invalid_request_error", "code": "resource_missing"}, "VALIDATION", None),
        (409, {"type": "idempotency_error", "code": "idempotency_key_in_use"}, "TIMEOUT", None),
        (429, {"type": "invalid_request_error", "code": "lock_timeout"}, "RATE_LIMIT", None),
        (400, {"type": "invalid_request_error", "code": "lock_timeout"}, "RATE_LIMIT", None),
        (500, {"type": "card_error", "code": "lock_timeout"}, "OUTAGE", None),
        (504, {}, "TIMEOUT", "http_504"),
        (424, {}, "OUTAGE", "http_424"),
        (302, {}, "CONTRACT", "http_302"),
        (700, {}, "UNKNOWN", "http_700"),
    ],
)
def test_an_error_has_a_category(status: int, error: dict[str, str], category: str, code: str | None) -> None:
    fault = ADAPTER.classify(stripe_error(status, **error))

    assert fault is not None
    assert (fault.category, fault.code) == (Category[category], code or error["code"])
    assert fault.field == error.get("param", "")


# Check


def test_check_names_the_account() -> None:
    assert ADAPTER.check(ACCESS, always(answer(payload("answer.account")))) == (
        "Northwind Harbour (acct_1SQu0DKz3bT9mQeA)"
    )


def test_check_of_a_restricted_key_proves_it_by_reading() -> None:
    answers = iter([stripe_error(403, type="invalid_request_error"), answer({"data": [], "has_more": False})])
    transport = FakeTransport(lambda _: next(answers))

    named = ADAPTER.check(Access(StripeSettings(account="Harbour"), ACCESS.secrets), transport)

    assert named == "Harbour"
    assert [request.url.rpartition("/")[2] for request in transport.sent] == ["account", "customers"]


# Settings


@pytest.mark.parametrize(
    "address",
    [
        "https://api.stripe.com",
        "https://api.stripe.com/",
        "http://127.0.0.1:8420",
        "http://localhost",
        "http://[::1]:1",
    ],
)
def test_a_safe_address_is_taken(address: str) -> None:
    assert StripeSettings(api_base=address).api_base == address.rstrip("/")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "api.stripe.com",
        "http://api.stripe.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.7",
        "ftp://localhost",
        "file:///etc/passwd",
        "https://user:word@api.stripe.com",
        "https://api.stripe.com/v1",
        "https://api.stripe.com?x=1",
        "https://",
    ],
)
def test_an_unsafe_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        StripeSettings(api_base=address)
