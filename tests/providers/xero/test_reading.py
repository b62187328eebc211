"""What Xero shows: lists, objects, webhooks, limits and refusals."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from integrations.boundary.mapping import apply, load_document
from integrations.failures.categories import Category, Fault
from integrations.providers.base import Response
from integrations.providers.xero.adapter import MAPPING, XeroAdapter
from integrations.providers.xero.client import ENDPOINTS, XeroSettings
from tests.providers.conformance import NOW, always, answer
from tests.providers.conformance.fakes import attempt
from tests.providers.xero.sandbox.contract import MISSING, document
from tests.providers.xero.test_adapter import ACCESS, SETTINGS, event, webhook

ADAPTER = XeroAdapter()
DOCUMENT = load_document(MAPPING)


# -- Reading


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("/Date(1541176290160+0000)/", "2018-11-02T16:31:30Z"),
        ("/Date(1541176290160+1300)/", "2018-11-02T16:31:30Z"),
        ("/Date(1552326816230)/", "2019-03-11T17:53:36Z"),
        ("/Date(-86400000+0000)/", "1969-12-31T00:00:00Z"),
        ("2019-03-11T00:00:00", "2019-03-11T00:00:00Z"),
        ("2019-11-14T18:10:38Z", "2019-11-14T18:10:38Z"),
        ("2019-11-14T18:10:38.1234567+02:00", "2019-11-14T16:10:38Z"),
        ("2019-03-12", "2019-03-12T00:00:00Z"),
    ],
)
def test_moments_are_read_in_both_formats(written: str, read: str) -> None:
    obj = {"Status": "AUTHORISED", "Amount": 1.5, "Date": written, "Invoice": {"CurrencyCode": "EUR"}}

    assert apply(DOCUMENT, "payment", obj).data["created_at"] == read


@pytest.mark.parametrize("written", ["", "/Date()/", "/Date(99999999999999999+0000)/", "soon", 12, None, "/Date(1)"])
def test_what_is_no_moment_is_refused(written: Any) -> None:
    obj = {"Status": "AUTHORISED", "Amount": 1.5, "Date": written, "Invoice": {"CurrencyCode": "EUR"}}

    with pytest.raises(Fault) as refused:
        apply(DOCUMENT, "payment", obj)

    assert refused.value.category == Category.MAPPING


@pytest.mark.parametrize(
    ("currency", "written", "minor"),
    [
        ("EUR", "26.40", 2640),
        ("EUR", "0.1", 10),
        ("EUR", "1", 100),
        ("EUR", "90071992547.93", 9007199254793),
        ("EUR", "1.10000", 110),
        ("EUR", '"50.00"', 5000),
        ("EUR", "-3.07", -307),
        ("JPY", "500.00", 500),
        ("KWD", "1.234", 1234),
        ("EUR", "1e2", 10000),
    ],
)
def test_an_amount_is_read_exactly(currency: str, written: str, minor: int) -> None:
    body = f'{{"Status": "PAID", "Total": {written}, "CurrencyCode": "{currency}", "Date": "2026-11-19"}}'

    assert apply(DOCUMENT, "credit_note", json.loads(body)).data["amount"] == minor


@pytest.mark.parametrize("written", ["1.005", "90071992547409931.93", '"1,50"', "true", "[]", '"NaN"', '""'])
def test_an_amount_that_is_no_whole_number_of_units_is_refused(written: str) -> None:
    body = f'{{"Status": "PAID", "Total": {written}, "CurrencyCode": "EUR", "Date": "2026-11-19"}}'

    with pytest.raises(Fault) as refused:
        apply(DOCUMENT, "credit_note", json.loads(body))

    assert refused.value.category == Category.MAPPING


def test_a_resync_asks_for_what_changed_since() -> None:
    transport = always(answer({"Invoices": []}))

    ADAPTER.list_page(ACCESS, transport, "invoice", None, NOW)
    ADAPTER.list_page(ACCESS, transport, "invoice", {"page": 2, "since": NOW.isoformat()}, None)

    assert [request.headers["if-modified-since"] for request in transport.sent] == ["2026-11-19T14:32:00Z"] * 2
    assert [dict(request.query)["page"] for request in transport.sent] == ["1", "2"]
    assert all(dict(request.query)["order"] == "InvoiceID ASC" for request in transport.sent)


def test_a_full_page_without_count_has_one_after_it() -> None:
    full = always(answer({"Contacts": [{"ContactID": "a"}, {"ContactID": "b"}]}))
    last = always(answer({"Contacts": [{"ContactID": "c"}]}))

    assert ADAPTER.list_page(ACCESS, full, "contact", None, None)[1].next_cursor == {"page": 2, "since": None}
    assert ADAPTER.list_page(ACCESS, last, "contact", {"page": 2, "since": None}, None)[1].next_cursor is None


def test_what_is_bought_is_left_out_and_keeps_the_places_of_the_others() -> None:
    bill, sale = {"InvoiceID": "a", "Type": "ACCPAY"}, {"InvoiceID": "b", "Type": "ACCREC"}

    _, page = ADAPTER.list_page(ACCESS, always(answer({"Invoices": [bill, sale]})), "invoice", None, None)
    _, found = ADAPTER.fetch(ACCESS, always(answer({"Invoices": [bill]})), "invoice", "a")

    assert [(item.external_id, item.path) for item in page.items] == [("b", "/Invoices/1")]
    assert found.item is None


# -- Several objects at once


def test_several_are_asked_for_whole_and_archived_ones_too() -> None:
    transport = always(answer({"Contacts": [], "Invoices": []}))

    ADAPTER.fetch_several(ACCESS, transport, "contact", ["a", "b"])
    ADAPTER.fetch_several(ACCESS, transport, "invoice", ["a", "b"])

    assert [dict(request.query) for request in transport.sent] == [
        {"IDs": "a,b", "page": "1", "includeArchived": "true"}, {"IDs": "a,b", "page": "1"},
    ]  # fmt: skip


def test_among_several_what_is_bought_is_told_to_be_none_of_ours() -> None:
    bill, sale = {"InvoiceID": "a", "Type": "ACCPAY"}, {"InvoiceID": "b", "Type": "ACCREC"}

    told = ADAPTER.fetch_several(ACCESS, always(answer({"Invoices": [bill, sale]})), "invoice", ["b", "a"])[1]

    assert told["a"].item is None
    assert told["b"].item
    assert told["b"].item.path == "/Invoices/1"


def test_an_id_is_the_same_in_capitals() -> None:
    told = ADAPTER.fetch_several(ACCESS, always(answer({"Contacts": [{"ContactID": "ab"}]})), "contact", ["AB", "c"])[1]

    assert told["AB"].item
    assert told["AB"].item.external_id == "ab"


def test_only_lists_that_the_contract_filters_by_ids_are_asked_so() -> None:
    if document() is None:
        pytest.skip(MISSING)
    for stream in ADAPTER.streams:
        asked = document()["paths"][f"/{ENDPOINTS[stream.resource].path}"]["get"]["parameters"]

        assert (stream.together > 1) == any(one.get("name") == "IDs" for one in asked)


# -- Webhooks


def test_a_webhook_of_several_events_gives_each_an_identity() -> None:
    body = webhook(event("INVOICE", "UPDATE"), event("CONTACT", "CREATE"), event("INVOICE", "UPDATE"))

    items = ADAPTER.parse(body, NOW)

    assert [item.resource for item in items] == ["invoice", "contact", "invoice"]
    assert len({item.event_id for item in items}) == 3
    assert not any(item.obj for item in items)
    assert items[0].occurred_at == datetime(2026, 11, 19, 14, 15, 39, 902000, tzinfo=UTC)
    assert ADAPTER.parse(body, NOW + timedelta(hours=1)) == items


@pytest.mark.parametrize("nested", [("[", "]"), ('{"a":', "}")])
def test_an_event_nested_as_deep_as_json_can_be_read_spoils_its_webhook_at_most(nested: tuple[str, str]) -> None:
    """What can just be read cannot always be written again."""
    for depth in range(800, 1000):
        deep = nested[0] * depth + "0" + nested[1] * depth
        body = f'{{"firstEventSequence": 1, "events": [{deep}]}}'.encode()
        found = attempt(partial(ADAPTER.parse, body, NOW))
        assert isinstance(found, Fault) or found[0].fault


def test_an_intent_to_receive_holds_no_event() -> None:
    assert ADAPTER.parse(webhook(), NOW) == ()


def test_one_spoiled_event_does_not_spoil_the_others() -> None:
    good, bad, odd = ADAPTER.parse(webhook(event("CONTACT", "UPDATE"), {"eventType": 3}, "what?"), NOW)  # type: ignore[arg-type]

    assert good.fault is None
    assert all(item.fault and item.fault.category == Category.CONTRACT for item in (bad, odd))
    assert len({good.event_id, bad.event_id, odd.event_id}) == 3


def test_a_suppliers_credit_note_is_nothing_to_us() -> None:
    ours = event("CREDITNOTE", "CREATE", data={"Type": "ACCRECCREDIT", "Status": "DRAFT"})
    theirs = event("CREDITNOTE", "CREATE", data={"Type": "ACCPAYCREDIT", "Status": "DRAFT"})

    assert [bool(item.ignored) for item in ADAPTER.parse(webhook(ours, theirs), NOW)] == [False, True]


# -- Limits and refusals


@pytest.mark.parametrize(
    ("problem", "asked", "seconds"),
    [
        ("minute", "17", 17),
        ("minute", "", 60),
        ("concurrent", "", 1),
        ("Concurrent", "", 1),
        ("day", "", 3600),
        ("day", "40000", 40000),
        ("", "", None),
    ],
)
def test_a_limit_says_how_long_to_wait(problem: str, asked: str, seconds: float | None) -> None:
    told = {"x-rate-limit-problem": problem, "retry-after": asked}

    fault = ADAPTER.classify(Response(429, told, b"", NOW))

    assert fault is not None
    assert (fault.category, fault.retry_after) == (Category.RATE_LIMIT, seconds)
    assert fault.code == (problem.lower() or "http_429")


def test_an_expired_token_is_told_from_a_wrong_one() -> None:
    expired = answer({"Title": "Unauthorized", "Detail": "TokenExpired: token expired at 11/19/2026 14:00:00"}, 401)
    wrong = answer({"Title": "Unauthorized", "Detail": "AuthenticationUnsuccessful"}, 401)

    found = [(fault.code, fault.category) for fault in map(ADAPTER.classify, (expired, wrong)) if fault]

    assert found == [("token_expired", Category.TIMEOUT), ("http_401", Category.AUTHENTICATION)]


def test_what_is_left_is_read_from_the_headers() -> None:
    told = {"x-minlimit-remaining": "59", "x-daylimit-remaining": "4999"}

    left = ADAPTER.remaining(Response(200, told, b"", NOW))

    assert left is not None
    assert (left.this_minute, left.today) == (59, 4999)


@pytest.mark.parametrize("word", ["invalid_grant", "invalid_client"])
def test_a_refused_refresh_names_the_secret_that_is_wrong(word: str) -> None:
    with pytest.raises(Fault) as refused:
        ADAPTER.refresh(ACCESS, always(answer({"error": word}, 400)))

    assert refused.value.category == Category.AUTHENTICATION
    assert refused.value.field == {"invalid_grant": "refresh_token", "invalid_client": "client_secret"}[word]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"access_token": "a", "expires_in": 1800}', b"<html>"])
def test_a_pair_that_is_none_is_a_contract_mismatch(body: bytes) -> None:
    with pytest.raises(Fault) as refused:
        ADAPTER.refresh(ACCESS, always(answer(body)))

    assert refused.value.category == Category.CONTRACT


def test_a_refresh_sends_its_secrets_to_the_identity_server_alone() -> None:
    pair = {"access_token": "a.b", "refresh_token": "r", "expires_in": 1800}
    transport = always(answer(pair))

    renewed = ADAPTER.refresh(ACCESS, transport)

    assert transport.sent[0].url == "https://identity.xero.com/connect/token"
    assert dict(renewed.secrets) == {"access_token": "a.b", "refresh_token": "r"}
    assert renewed.expires_at == NOW + timedelta(minutes=30)
    assert "a.b" not in repr(renewed)


@pytest.mark.parametrize("tenant", ["", "northwind", "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f/x"])
def test_an_organisation_is_a_uuid(tenant: str) -> None:
    with pytest.raises(ValueError, match="tenant_id"):
        XeroSettings.model_validate(SETTINGS.model_dump() | {"tenant_id": tenant})
