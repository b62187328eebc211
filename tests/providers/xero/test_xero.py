"""What is particular to Xero: exact decimals, two formats of time, thin webhooks of several events, limits."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from jsonschema import Draft4Validator

from integrations.boundary.mapping import apply, load_document
from integrations.failures.categories import Category, Fault
from integrations.providers.base import Intent, Response
from integrations.providers.xero.adapter import MAPPING, XeroAdapter
from integrations.providers.xero.client import ENDPOINTS, XeroSettings
from integrations.providers.xero.writing import SINGLE
from tests.providers.conformance import NOW, always, answer
from tests.providers.conformance.fakes import attempt
from tests.providers.xero.sandbox.contract import MISSING, document
from tests.providers.xero.test_adapter import ACCESS, CONTENT, INVOICE, SETTINGS, event, intent, webhook

ADAPTER = XeroAdapter()
DOCUMENT = load_document(MAPPING)


def sent(one: Intent) -> Any:
    """The first element of what an intent is sent as, with its numbers as they are written."""
    body = ADAPTER.compose(ACCESS, [one], "key").body
    whole = json.loads(body, parse_float=Decimal, parse_int=Decimal)
    return next(iter(whole.values()))[0] if "Status" not in whole else whole


# Writing


@pytest.mark.parametrize(
    ("currency", "minor", "written"),
    [
        ("EUR", 1, b"0.01"),
        ("EUR", 100, b"1.00"),
        ("EUR", 10, b"0.10"),
        ("EUR", 9007199254740993, b"90071992547409.93"),
        ("JPY", 500, b"500"),
        ("KWD", 1234, b"1.234"),
    ],
)
def test_an_amount_is_written_exactly_with_the_decimals_of_its_currency(
    currency: str, minor: int, written: bytes
) -> None:
    content = CONTENT["payment.create"] | {"currency": currency, "amount": minor}

    body = ADAPTER.compose(ACCESS, [Intent("op-1", "payment.create", "", content)], "key").body

    assert b'"Amount":' + written + b"," in body


def test_an_invoice_is_one_line_with_its_tax_told() -> None:
    element = sent(intent("invoice.create"))

    assert element["LineItems"] == [
        {
            "Description": "Invoice N-1", "Quantity": 1, "UnitAmount": Decimal("200.00"),
            "LineAmount": Decimal("200.00"), "AccountCode": "200", "TaxType": "OUTPUT", "TaxAmount": Decimal("50.00"),
        }
    ]  # fmt: skip
    assert (element["Date"], element["DueDate"]) == ("2026-11-18", "2026-12-02")
    assert (element["Status"], element["LineAmountTypes"], element["CurrencyCode"]) == (
        "AUTHORISED",
        "Exclusive",
        "EUR",
    )


def test_an_invoice_without_tax_is_of_no_tax_type() -> None:
    content = INVOICE | {"tax": 0, "subtotal": 25000}

    element = sent(Intent("op-1", "invoice.create", "", content))

    assert element["LineItems"][0]["TaxType"] == "NONE"


def test_days_are_those_of_utc() -> None:
    content = INVOICE | {"issued_at": "2026-11-19T01:30:00+02:00"}

    assert sent(Intent("op-1", "invoice.create", "", content))["Date"] == "2026-11-18"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"total": 25001}, "total"),
        ({"subtotal": 200.0}, "subtotal"),
        ({"currency": "XXQ"}, "currency"),
        ({"customer": ""}, "customer"),
        ({"number": "N" * 256}, "number"),
        ({"issued_at": "yesterday"}, "issued_at"),
    ],
)
def test_content_that_cannot_be_expressed_names_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Fault) as refused:
        ADAPTER.compose(ACCESS, [Intent("op-1", "invoice.create", "", INVOICE | change)], "key")

    assert (refused.value.category, refused.value.field) == (Category.VALIDATION, field)


def test_an_operation_id_that_no_field_holds_is_refused() -> None:
    with pytest.raises(Fault) as refused:
        ADAPTER.compose(ACCESS, [Intent("o" * 51, "invoice.create", "", INVOICE)], "key")

    assert refused.value.field == "operation_id"


def test_a_draft_is_deleted_and_not_voided() -> None:
    draft, issued = (sent(Intent("op", "invoice.void", "inv_1", {"state": state})) for state in ("draft", "open"))

    assert (draft["Status"], issued["Status"]) == ("DELETED", "VOIDED")


def test_results_that_come_in_another_order_are_told_apart_by_their_marks() -> None:
    intents = [intent("contact.create", number) for number in range(3)]
    elements = [{"ContactID": f"id-{one.operation_id}", "ContactNumber": one.operation_id} for one in intents]

    effects = ADAPTER.effects(intents, answer({"Contacts": [elements[2], elements[0], elements[1]]}))

    assert [effect.external_id for effect in effects] == [f"id-{one.operation_id}" for one in intents]
    assert [effect.path for effect in effects] == ["/Contacts/1", "/Contacts/2", "/Contacts/0"]


def test_a_credit_note_of_which_the_payments_are_not_told_shows_no_return_of_one() -> None:
    taken_back = intent("credit_note.take_back")

    assert not ADAPTER.shows(taken_back, {"CreditNoteID": "obj_1"})
    assert not ADAPTER.shows(taken_back, {"Payments": [{"PaymentID": "pay_1"}]})
    assert ADAPTER.shows(taken_back, {"Payments": [{"PaymentID": "pay_1", "Status": "DELETED"}, {"PaymentID": "p"}]})


def test_fewer_results_than_requests_are_no_answer() -> None:
    intents = [intent("contact.create", number) for number in range(3)]

    with pytest.raises(Fault) as refused:
        ADAPTER.effects(intents, answer({"Contacts": [{"ContactID": "x"}]}))

    assert refused.value.category == Category.CONTRACT


@pytest.mark.parametrize(
    ("message", "category", "field"),
    [
        ("The contact name Ingrid is already assigned to another contact.", Category.VALIDATION, "name"),
        ("Invoice # must be unique.", Category.VALIDATION, "number"),
        ("Payment amount exceeds the amount outstanding on this document", Category.VALIDATION, "amount"),
        ("The document date cannot be before the period lock date", Category.BUSINESS, "issued_at"),
        ("Invoice not of valid status for modification", Category.BUSINESS, "state"),
        ("Email address must be valid.", Category.VALIDATION, "email"),
        ("Account code '999' is not a valid code for this document.", Category.VALIDATION, "account"),
        ("Something that nobody has heard of Ingrid", Category.VALIDATION, ""),
    ],
)
def test_a_refusal_names_the_field_and_repeats_no_word(message: str, category: Category, field: str) -> None:
    refused = {"ContactID": "x", "StatusAttributeString": "ERROR", "ValidationErrors": [{"Message": message}]}

    (effect,) = ADAPTER.effects([intent("contact.create")], answer({"Contacts": [refused]}))

    assert effect.fault is not None
    assert (effect.fault.category, effect.fault.field) == (category, field)
    assert "Ingrid" not in repr(effect.fault)


def test_what_is_refused_with_warnings_only_was_done() -> None:
    done = {"ContactID": "x", "StatusAttributeString": "WARNING", "Warnings": [{"Message": "Unusual"}]}

    (effect,) = ADAPTER.effects([intent("contact.create")], answer({"Contacts": [done]}))

    assert effect.fault is None


def test_what_is_sent_is_as_the_contract_has_it() -> None:
    """Xero's own schema of each list; fields that it does not name are none of its."""
    if document() is None:
        pytest.skip(MISSING)
    for action in ADAPTER.actions:
        body = json.loads(ADAPTER.compose(ACCESS, [intent(action)], "key").body)
        name = "PaymentDelete" if action in SINGLE else next(iter(body))

        errors = [error.message for error in validator(name).iter_errors(body)]

        assert errors == []
        assert unknown_fields(name, body) == []


def unknown_fields(name: str, value: Any) -> list[str]:
    """Names in `value` that a schema of the contract does not have."""
    properties = document()["components"]["schemas"][name].get("properties", {})
    found = [field for field in value if field not in properties]
    for field, inner in value.items():
        schema = properties.get(field, {})
        target = schema.get("$ref") or schema.get("items", {}).get("$ref")
        for one in (inner if isinstance(inner, list) else [inner]) if target else []:
            found += unknown_fields(target.rpartition("/")[2], one) if isinstance(one, dict) else []
    return found


def validator(name: str) -> Draft4Validator:
    """A validator by a schema of the contract."""
    return Draft4Validator({"$ref": f"#/components/schemas/{name}", "components": document()["components"]})


# Reading


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


# Several objects at once


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


# Webhooks


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


# Limits and refusals


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
