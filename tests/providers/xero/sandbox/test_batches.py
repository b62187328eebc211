"""Several elements in one request: all or nothing, or each by itself."""

import pytest

from integrations.providers.xero.sandbox.harness import Sandbox
from tests.providers.xero.sandbox.conftest import Api, invoice_of, payment_of


def test_each_element_says_how_it_went(api: Api) -> None:
    api.contact("Taken")
    body = {"Contacts": [{"Name": "One"}, {"Name": "Taken", "ContactNumber": "op-2"}, {"Name": "Three"}]}

    answer = api.ask("PUT", "Contacts", body, summarizeErrors="false")

    first, second, third = answer.json()["Contacts"]
    assert answer.status_code == 200
    assert [one["StatusAttributeString"] for one in (first, second, third)] == ["OK", "ERROR", "OK"]
    assert (second["ContactNumber"], second["HasValidationErrors"]) == ("op-2", True)
    assert "is already assigned" in second["ValidationErrors"][0]["Message"]
    assert [one["Name"] for one in api.get("Contacts")["Contacts"]] == ["Taken", "One", "Three"]


def test_one_wrong_element_refuses_all(api: Api, sandbox: Sandbox) -> None:
    contact = api.contact()["ContactID"]
    paid, unpaid = api.invoice(100), api.invoice(100)
    before = sandbox.effects()["total"]
    right = payment_of({"Invoice": {"InvoiceID": paid["InvoiceID"]}}, 100)
    wrong = payment_of({"Invoice": {"InvoiceID": unpaid["InvoiceID"]}}, 101)

    assert len(api.refused("PUT", "Payments", [right, wrong])) == 1
    assert len(api.refused("PUT", "Invoices", [invoice_of(contact), invoice_of(contact, Type="X")])) == 1

    assert api.get("Payments")["Payments"] == []
    assert api.get(f"Invoices/{paid['InvoiceID']}")["Invoices"] == [paid]
    assert len(api.get("Invoices")["Invoices"]) == 2
    assert sandbox.effects()["total"] == before


def test_every_wrong_element_is_named(api: Api) -> None:
    answer = api.ask("PUT", "Contacts", [{"Name": ""}, {"Name": "Right"}, {"ContactNumber": "op-3"}])

    assert [element.get("ContactNumber") for element in answer.json()["Elements"]] == [None, "op-3"]


def test_elements_of_one_request_meet_each_other(api: Api) -> None:
    contact = api.contact()["ContactID"]
    twice = [invoice_of(contact, InvoiceNumber="NW-1"), invoice_of(contact, InvoiceNumber="NW-1")]

    assert api.refused("PUT", "Invoices", twice) == ["Invoice # must be unique."]
    mixed = api.ask("PUT", "Invoices", twice, summarizeErrors="false").json()["Invoices"]

    assert [one["StatusAttributeString"] for one in mixed] == ["OK", "ERROR"]


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_list_comes_by_itself_or_under_its_name(api: Api, wrapped: bool) -> None:
    listed = [{"Name": "One"}, {"Name": "Two"}]

    api.put("Contacts", {"Contacts": listed} if wrapped else listed)

    assert len(api.get("Contacts")["Contacts"]) == 2
