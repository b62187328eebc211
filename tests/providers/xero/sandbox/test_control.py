"""The control plane: silent changes, the sandbox's own count, and nothing for web pages."""

import json
import signal
import socket
import subprocess
import sys
from typing import Any

import httpx
import pytest

from integrations.providers.xero.sandbox.harness import Sandbox, run_sandbox
from tests.providers.xero.sandbox.conftest import Api, MakeApi, invoice_of, payment_of


def test_effects_are_counted_by_operation_and_key(api: Api, sandbox: Sandbox) -> None:
    contact = api.put("Contacts", {"Name": "Halvorsen Marine", "ContactNumber": "op-1"}, key="key-1")
    invoice = api.put("Invoices", invoice_of(contact["ContactID"], Reference="op-2"), key="key-2")
    payment = api.pay(invoice, 40, Reference="op-3")
    api.post(f"Payments/{payment['PaymentID']}", {"Status": "DELETED"}, key="key-4")
    api.refused("PUT", "Contacts", {"Name": "Halvorsen Marine", "ContactNumber": "op-5"})

    counts = sandbox.effects(log=True)

    assert (counts["total"], counts["created"], counts["changed"]) == (4, 3, 1)
    assert counts["by_operation"] == {
        "op-1": {"created": 1, "changed": 0},
        "op-2": {"created": 1, "changed": 0},
        "op-3": {"created": 1, "changed": 1},
    }
    assert counts["by_key"] == {
        "key-1": {"created": 1, "changed": 0},
        "key-2": {"created": 1, "changed": 0},
        "key-4": {"created": 0, "changed": 1},
    }
    assert (counts["requests"], counts["by_status"]) == (5, {"200": 4, "400": 1})
    assert [effect["resource"] for effect in counts["log"]] == ["Contacts", "Invoices", "Payments", "Payments"]


def test_a_second_effect_of_one_operation_shows(api: Api, sandbox: Sandbox) -> None:
    invoice = api.invoice(100)

    api.pay(invoice, 10, Reference="op-1")
    api.pay(invoice, 10, Reference="op-1")

    assert sandbox.effects()["by_operation"]["op-1"] == {"created": 2, "changed": 0}


def test_counts_begin_anew(api: Api, sandbox: Sandbox) -> None:
    api.contact()

    sandbox.control("DELETE", "effects")

    assert (sandbox.effects()["total"], sandbox.effects()["requests"]) == (0, 0)
    assert len(api.get("Contacts")["Contacts"]) == 1


def test_a_silent_change_shows_in_reads_and_is_no_effect(api: Api, sandbox: Sandbox) -> None:
    made = api.invoice(100, InvoiceNumber="NW-1")
    before = sandbox.effects()["total"]

    sandbox.alter("Invoices", "NW-1", Reference="somebody", DueDate="2027-01-02", AmountDue=70.5)

    found = api.get("Invoices/NW-1")["Invoices"][0]
    assert (found["Reference"], found["DueDateString"], found["AmountDue"]) == ("somebody", "2027-01-02T00:00:00", 70.5)
    assert found["UpdatedDateUTC"] >= made["UpdatedDateUTC"]
    assert sandbox.effects()["total"] == before


def test_a_contact_can_be_renamed_silently(api: Api, sandbox: Sandbox) -> None:
    made = api.contact("Old")

    sandbox.alter("Contacts", made["ContactID"], Name="New")

    assert api.get("Contacts", where='Name=="New"')["Contacts"][0]["ContactID"] == made["ContactID"]
    assert api.refused("PUT", "Contacts", {"Name": "New"})


LOSSES: list[tuple[str, dict[str, Any], str, str]] = [
    ("Invoices", {}, "Status", "VOIDED"),
    ("Invoices", {"Status": "DRAFT"}, "Status", "DELETED"),
]


@pytest.mark.parametrize("resource, more, field, expected", LOSSES)
def test_an_invoice_can_be_lost(
    api: Api, sandbox: Sandbox, resource: str, more: dict[str, Any], field: str, expected: str
) -> None:
    made = api.invoice(100, **more)

    sandbox.lose(resource, made["InvoiceID"])

    assert api.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0][field] == expected


def test_a_payment_a_refund_and_a_contact_can_be_lost(api: Api, sandbox: Sandbox) -> None:
    invoice, note, contact = api.invoice(100), api.credit_note(50), api.contact()
    payment = api.pay(invoice, 100)
    refund = api.put("Payments", payment_of({"CreditNote": {"CreditNoteID": note["CreditNoteID"]}}, 50))

    for lost in (payment, refund):
        sandbox.lose("Payments", lost["PaymentID"])
    sandbox.lose("Contacts", contact["ContactID"])

    assert {one["Status"] for one in api.get("Payments")["Payments"]} == {"DELETED"}
    assert api.get(f"Invoices/{invoice['InvoiceID']}")["Invoices"][0]["AmountDue"] == 100
    assert api.get(f"CreditNotes/{note['CreditNoteID']}")["CreditNotes"][0]["RemainingCredit"] == 50
    assert api.get(f"Contacts/{contact['ContactID']}")["Contacts"][0]["ContactStatus"] == "ARCHIVED"


def test_an_object_can_vanish(api: Api, sandbox: Sandbox) -> None:
    made = api.invoice(100, InvoiceNumber="NW-1")

    sandbox.lose("Invoices", made["InvoiceID"], gone=True)

    assert api.ask("GET", f"Invoices/{made['InvoiceID']}").status_code == 404
    assert api.ask("GET", "Invoices/NW-1").status_code == 404
    assert api.get("Invoices", page=1)["Invoices"] == []


@pytest.mark.parametrize("path", ["objects/Invoices/none", "objects/Items/1", "objects", "weather", "webhooks/x"])
def test_what_the_control_plane_does_not_know_is_not_found(sandbox: Sandbox, path: str) -> None:
    with pytest.raises(RuntimeError, match="no such"):
        sandbox.control("POST", path, {"fields": {}} if path.startswith("objects") else {})


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_the_control_plane_refuses_web_pages(sandbox: Sandbox, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{sandbox.url}/_sandbox/state", headers=headers)

    assert (answer.status_code, answer.json()) == (403, {"error": "not for web pages"})


def test_the_state_says_how_to_ask(sandbox: Sandbox) -> None:
    state = sandbox.control("GET", "state")

    answer = httpx.get(
        f"{sandbox.url}/api.xro/2.0/Organisation",
        headers={"Authorization": f"Bearer {state['access_token']}", "Xero-Tenant-Id": state["tenants"][0]["id"]},
    )
    assert answer.status_code == 200
    assert state["limits"]["enforced"] is False


def test_the_log_tells_the_latest_requests(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_faults({"kind": "error", "on": "PUT *"})
    api.ask("PUT", "Contacts", {"Name": "x"}, key="key-1")

    [entry] = sandbox.control("GET", "log?limit=1")

    assert (entry["line"], entry["status"]) == ("PUT /api.xro/2.0/Contacts", 503)
    assert (entry["key"], entry["fault"]) == ("key-1", "error")


def test_a_disconnected_tenant_is_forbidden(clients: MakeApi) -> None:
    with run_sandbox("One", "Two") as sandbox:
        api = clients(sandbox)
        bearer = {"Authorization": f"Bearer {api.access}"}
        first, second = httpx.get(f"{sandbox.url}/connections", headers=bearer).json()

        gone = httpx.delete(f"{sandbox.url}/connections/{first['id']}", headers=bearer)

        assert (gone.status_code, first["tenantId"]) == (204, sandbox.tenant_id)
        assert api.ask("GET", "Contacts").status_code == 403
        assert httpx.get(f"{sandbox.url}/connections", headers=bearer).json() == [second]


def test_it_listens_on_this_machine_only_and_says_when_a_port_is_taken(sandbox: Sandbox) -> None:
    port = sandbox.url.rpartition(":")[2]
    command = [sys.executable, "-m", "integrations.providers.xero.sandbox", "--port", port]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert ended.returncode == 1
    assert ended.stdout.startswith("The Xero sandbox cannot start:")
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", int(port)), timeout=1):
        pass


def test_it_ends_when_it_is_told_to() -> None:
    command = [sys.executable, "-m", "integrations.providers.xero.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready http://127.0.0.1:")

        process.send_signal(signal.SIGTERM)

        assert process.wait(10) == 0


def test_everything_can_be_forgotten_but_who_may_ask(api: Api, sandbox: Sandbox) -> None:
    api.invoice(100)
    sandbox.set_faults({"kind": "error"})

    sandbox.empty()

    assert api.get("Invoices")["Invoices"] == []
    assert json.dumps(sandbox.effects()["by_operation"]) == "{}"
