"""What Xero is asked to do, and what its answers say of it."""

import json
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft4Validator

from integrations.failures.categories import Category, Fault
from integrations.providers.base import Intent
from integrations.providers.xero.adapter import XeroAdapter
from integrations.providers.xero.writing import SINGLE
from tests.providers.conformance import answer
from tests.providers.xero.sandbox.contract import MISSING, document
from tests.providers.xero.test_adapter import ACCESS, CONTENT, INVOICE, intent

ADAPTER = XeroAdapter()


def sent(one: Intent) -> Any:
    """The first element of what an intent is sent as, with its numbers as they are written."""
    body = ADAPTER.compose(ACCESS, [one], "key").body
    whole = json.loads(body, parse_float=Decimal, parse_int=Decimal)
    return next(iter(whole.values()))[0] if "Status" not in whole else whole


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

    assert not ADAPTER.shows(taken_back, {"CreditNoteID": "obj_1"}, {})
    assert not ADAPTER.shows(taken_back, {"Payments": [{"PaymentID": "pay_1"}]}, {})
    assert ADAPTER.shows(
        taken_back, {"Payments": [{"PaymentID": "pay_1", "Status": "DELETED"}, {"PaymentID": "p"}]}, {}
    )


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
        ("Payments can only be made against Authorised documents", Category.BUSINESS, "state"),
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
