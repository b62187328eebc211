"""Xero's published contract against the sandbox. Every other test here holds its answers against it in passing."""

from typing import Any

import httpx
import pytest

from integrations.providers.xero.sandbox.reads import FILTERS
from tests.providers.xero.sandbox.conftest import Api, payment_of
from tests.providers.xero.sandbox.contract import MISSING, check, complaints, document

pytestmark = pytest.mark.skipif(document() is None, reason=MISSING)


def test_every_read_is_as_the_contract_has_it(api: Api) -> None:
    invoice, note = api.invoice(100, Url="https://shop.example/1"), api.credit_note(50)
    api.pay(invoice, 100)
    api.put("Payments", payment_of({"CreditNote": {"CreditNoteID": note["CreditNoteID"]}}, 20))

    for resource in ("Organisation", "Accounts", "Contacts", "Invoices", "CreditNotes", "Payments"):
        answer = api.ask("GET", resource, page=1)
        assert answer.status_code == 200
        assert complaints(f"{resource}s" if resource == "Organisation" else resource, answer.json()) == []


def test_every_operation_of_the_sandbox_is_in_the_contract() -> None:
    paths = document()["paths"]

    for path, methods in {
        "/Organisation": ["get"],
        "/Accounts": ["get"],
        "/Accounts/{AccountID}": ["get"],
        "/Contacts": ["get", "put", "post"],
        "/Contacts/{ContactID}": ["get", "post"],
        "/Contacts/{ContactNumber}": ["get"],
        "/Invoices": ["get", "put", "post"],
        "/Invoices/{InvoiceID}": ["get", "post"],
        "/CreditNotes": ["get", "put", "post"],
        "/CreditNotes/{CreditNoteID}": ["get", "post"],
        "/CreditNotes/{CreditNoteID}/Allocations": ["put"],
        "/Payments": ["get", "put", "post"],
        "/Payments/{PaymentID}": ["get", "post"],
    }.items():
        assert set(methods) <= set(paths[path]), path


def test_a_list_is_filtered_by_what_the_contract_names() -> None:
    names = {name for filters in FILTERS.values() for name in filters}

    for resource in ("Contacts", "Invoices", "CreditNotes", "Payments"):
        told = {one.get("name") for one in document()["paths"][f"/{resource}"]["get"]["parameters"]}

        assert told & names == FILTERS.get(resource, {}).keys(), resource


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"Status": "OPEN"}, "'OPEN' is not one of"),
    ({"Total": "12.00"}, "is not of type 'number'"),
    ({"Date": "2026-11-21"}, "no date of Xero's"),
    ({"Colour": "red"}, "Colour is not in the contract"),
    ({"Contact": {"Nickname": "x"}}, "Nickname is not in the contract"),
]


@pytest.mark.parametrize("fields, said", WRONG)
def test_an_answer_that_is_not_as_the_contract_has_it_is_found(api: Api, fields: dict[str, Any], said: str) -> None:
    answer = {"Invoices": [{**api.invoice(), **fields}]}

    assert any(said in complaint for complaint in complaints("Invoices", answer))
    with pytest.raises(AssertionError):
        check("GET", "Invoices", httpx.Response(200, json=answer))
