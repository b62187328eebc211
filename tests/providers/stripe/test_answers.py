"""What Stripe answers: lists, objects, errors; and what a connection to it takes."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from pydantic import ValidationError

from integrations.boundary.mapping import apply
from integrations.failures.categories import Category, Fault
from integrations.providers.base import Access, Account
from integrations.providers.stripe.client import API_VERSION, StripeSettings
from tests.providers.conformance import NOW, FakeTransport, always, answer
from tests.providers.stripe.conftest import ACCESS, ADAPTER, DOCUMENT
from tests.providers.stripe.test_adapter import payload, stripe_error


def listing(*entries: Any, more: bool = False) -> FakeTransport:
    return always(answer({"object": "list", "data": list(entries), "has_more": more, "url": "/v1/x"}))


# -- Lists


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


# -- One object


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


# -- Errors


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


# -- Check


def test_check_names_the_account() -> None:
    assert ADAPTER.check(ACCESS, always(answer(payload("answer.account")))) == Account(
        "acct_1SQu0DKz3bT9mQeA", "Northwind Harbour (acct_1SQu0DKz3bT9mQeA)"
    )


def test_check_of_a_restricted_key_proves_it_by_reading() -> None:
    answers = iter([stripe_error(403, type="invalid_request_error"), answer({"data": [], "has_more": False})])
    transport = FakeTransport(lambda _: next(answers))

    named = ADAPTER.check(Access(StripeSettings(account="Harbour"), ACCESS.secrets), transport)

    assert named == Account("", "Harbour")
    assert [request.url.rpartition("/")[2] for request in transport.sent] == ["account", "customers"]


# -- Settings


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
