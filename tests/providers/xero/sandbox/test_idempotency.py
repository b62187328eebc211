"""Idempotency keys: the same request gets the first answer, another one is refused."""

from typing import Any

import pytest

from integrations.providers.xero.sandbox.harness import Sandbox
from tests.providers.xero.sandbox.conftest import Api, MakeApi


def put(api: Api, name: str, key: str, **query: Any) -> Any:
    return api.ask("PUT", "Contacts", {"Name": name}, key=key, **query)


def test_the_same_request_under_the_same_key_has_one_effect(api: Api, sandbox: Sandbox) -> None:
    first = put(api, "Halvorsen Marine", "key-1")

    again = put(api, "Halvorsen Marine", "key-1")

    assert (again.status_code, again.content) == (200, first.content)
    counts = sandbox.effects()
    assert counts["by_key"] == {"key-1": {"created": 1, "changed": 0}}
    assert (counts["requests"], counts["replays"]) == (2, 1)


def test_without_a_key_a_request_is_done_again(api: Api, sandbox: Sandbox) -> None:
    invoice = api.invoice(100)

    api.pay(invoice, 10)
    api.pay(invoice, 10)

    assert api.get(f"Invoices/{invoice['InvoiceID']}")["Invoices"][0]["AmountPaid"] == 20
    assert sandbox.effects()["without_key"] == 4


def test_another_body_under_the_same_key_is_refused(api: Api) -> None:
    put(api, "Halvorsen Marine", "key-1")

    answer = put(api, "Somebody else", "key-1")

    assert (answer.status_code, answer.json()["Type"]) == (400, "ValidationException")
    assert "different request" in answer.json()["Message"]
    assert len(api.get("Contacts")["Contacts"]) == 1


@pytest.mark.parametrize("method, query", [("POST", {}), ("PUT", {"summarizeErrors": "false"})])
def test_another_method_or_query_under_the_same_key_is_refused(api: Api, method: str, query: dict[str, str]) -> None:
    put(api, "Halvorsen Marine", "key-1")

    assert api.ask(method, "Contacts", {"Name": "Halvorsen Marine"}, key="key-1", **query).status_code == 400


def test_a_refusal_is_remembered_too(api: Api) -> None:
    other = api.contact("Halvorsen Marine")
    refused = put(api, "Halvorsen Marine", "key-1")
    api.post(f"Contacts/{other['ContactID']}", {"ContactStatus": "ARCHIVED"})

    again = put(api, "Halvorsen Marine", "key-1")

    assert (again.status_code, again.content) == (400, refused.content)


def test_a_key_is_remembered_for_six_minutes(api: Api, sandbox: Sandbox) -> None:
    first = put(api, "Halvorsen Marine", "key-1")

    sandbox.set_clock(advance=350)
    within = put(api, "Halvorsen Marine", "key-1")
    sandbox.set_clock(advance=11)
    after = put(api, "Halvorsen Marine", "key-1")

    assert within.content == first.content
    assert "is already assigned" in after.text


@pytest.mark.parametrize("length, status", [(128, 200), (129, 400)])
def test_a_key_has_128_characters_at_most(api: Api, length: int, status: int) -> None:
    assert put(api, "Halvorsen Marine", "k" * length).status_code == status


def test_what_a_gateway_refused_is_not_remembered(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_faults({"kind": "error", "status": 503, "times": 1})

    assert put(api, "Halvorsen Marine", "key-1").status_code == 503
    assert put(api, "Halvorsen Marine", "key-1").status_code == 200


def test_tenants_do_not_share_keys(api: Api, sandbox: Sandbox, clients: MakeApi) -> None:
    other = sandbox.control("POST", "tenants", {"name": "Contoso Books"})
    put(api, "Halvorsen Marine", "key-1")

    second = put(clients(sandbox, other["id"]), "Halvorsen Marine", "key-1")

    assert second.status_code == 200
    assert sandbox.effects()["replays"] == 0
