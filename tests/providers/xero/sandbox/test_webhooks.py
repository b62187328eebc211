"""Webhooks: thin, signed, in order, repeated until taken."""

import base64
import hashlib
import hmac
import json
import os
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from integrations.providers.xero.sandbox.harness import Sandbox
from tests.providers.xero.sandbox.conftest import Api, payment_of
from tests.providers.xero.sandbox.contract import ROOT

KEY = "key-of-the-tests"
CONTRACT = Path(os.environ.get("CONTRACTS_DIR", ROOT / "../shared/contracts")) / "xero-webhooks.yaml"


def signature(body: bytes) -> str:
    return base64.b64encode(hmac.new(KEY.encode(), body, hashlib.sha256).digest()).decode()


@dataclass
class Receiver:
    """An endpoint that checks signatures, unless `answers` says otherwise."""

    url: str
    answers: list[int]
    taken: "queue.Queue[Any]"
    checks: bool = True
    says: bytes = b""
    late: threading.Event = field(default_factory=threading.Event)

    def next(self) -> Any:
        return self.taken.get(timeout=5)


@pytest.fixture
def receiver(sandbox: Sandbox) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            right = hmac.compare_digest(self.headers["x-xero-signature"], signature(body))
            status = 200 if right or not found.checks else 401
            if right and found.answers:
                status = found.answers.pop(0)
            if right:
                found.taken.put(json.loads(body))
            if found.late.is_set():
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(found.says)))
            self.end_headers()
            self.wfile.write(found.says)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(f"http://127.0.0.1:{server.server_port}/", [], queue.Queue())
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    sandbox.point(found.url, KEY, first=0.05)
    try:
        yield found
    finally:
        sandbox.empty()
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_event_is_thin_and_signed(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    made = api.contact("Halvorsen Marine")

    payload = receiver.next()

    [event] = payload["events"]
    at = datetime.fromisoformat(event.pop("eventDateUtc")).replace(tzinfo=UTC)
    assert f"/Date({round(at.timestamp() * 1000)}+0000)/" == made["UpdatedDateUTC"]
    assert event == {
        "resourceUrl": f"{sandbox.url}/api.xro/2.0/Contacts/{made['ContactID']}",
        "resourceId": made["ContactID"],
        "eventType": "CREATE",
        "eventCategory": "CONTACT",
        "tenantId": sandbox.tenant_id,
        "tenantType": "ORGANISATION",
    }
    assert payload["lastEventSequence"] == payload["firstEventSequence"]
    assert len(payload["entropy"]) == 20


def test_a_payment_is_heard_of_through_its_document(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    invoice, note = api.invoice(100), api.credit_note(50)
    sandbox.settle()
    while not receiver.taken.empty():
        receiver.next()

    api.pay(invoice, 40)
    api.put("Payments", payment_of({"CreditNote": {"CreditNoteID": note["CreditNoteID"]}}, 50))

    sandbox.settle()
    events = [event for payload in list(receiver.taken.queue) for event in payload["events"]]
    assert [(event["eventCategory"], event["eventType"], event["resourceId"]) for event in events] == [
        ("INVOICE", "UPDATE", invoice["InvoiceID"]),
        ("CREDITNOTE", "UPDATE", note["CreditNoteID"]),
    ]
    assert events[1]["data"] == {"Type": "ACCRECCREDIT", "Status": "PAID"}


def test_events_come_in_order_and_again_until_they_are_taken(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.answers = [500, 302]

    ids = [api.contact()["ContactID"] for _ in range(3)]
    sandbox.settle()

    payloads = list(receiver.taken.queue)
    assert payloads[0] == payloads[1] == payloads[2]
    taken = [event["resourceId"] for payload in payloads[2:] for event in payload["events"]]
    assert taken == ids
    assert payloads[-1]["lastEventSequence"] - payloads[2]["firstEventSequence"] == 2


def test_an_answer_that_comes_too_late_counts_as_none(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.point(receiver.url, KEY, in_time=0.2)
    receiver.late.set()

    api.contact()
    first = receiver.next()
    second = receiver.next()
    receiver.late.clear()

    sandbox.settle()
    assert second == first


def test_a_silent_change_is_silent_and_a_loud_one_is_not(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    made = api.contact()
    receiver.next()

    sandbox.alter("Contacts", made["ContactID"], AccountNumber="7")
    sandbox.alter("Contacts", made["ContactID"], event=True, AccountNumber="8")

    sandbox.settle()
    assert receiver.next()["events"][0]["eventType"] == "UPDATE"
    assert receiver.taken.empty()


def test_muted_events_are_lost(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.control("PUT", "webhooks", {"muted": True})
    api.contact()
    sandbox.control("PUT", "webhooks", {"muted": False})
    made = api.contact()

    assert receiver.next()["events"][0]["resourceId"] == made["ContactID"]
    sandbox.settle()
    assert receiver.taken.empty()


def test_what_was_refused_and_undone_is_no_event(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    api.refused("PUT", "Contacts", [{"Name": "Right"}, {"Name": ""}])

    sandbox.settle()
    assert receiver.taken.empty()


def test_the_intent_to_receive_is_checked_with_right_and_wrong_signatures(sandbox: Sandbox, receiver: Receiver) -> None:
    found = sandbox.check_intent()

    assert found["passed"] is True
    assert [answer["signed"] for answer in found["answers"]] == [True, False, True, False]
    assert receiver.next()["events"] == []


def test_an_endpoint_that_checks_no_signature_fails_the_check(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.checks = False

    assert sandbox.check_intent()["passed"] is False


def test_an_endpoint_that_answers_with_a_body_fails_the_check(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.says = b"thank you"

    assert sandbox.check_intent()["passed"] is False


@pytest.mark.skipif(not CONTRACT.is_file(), reason="Xero's contract of webhooks is not at hand")
@pytest.mark.parametrize("schema", ["WebhookEvent", "CreditNoteWebhookEvent"])
def test_a_payload_is_as_the_contract_has_it(api: Api, sandbox: Sandbox, receiver: Receiver, schema: str) -> None:
    contract = yaml.safe_load(CONTRACT.read_text())
    api.credit_note(50)
    # Else one delivery may tell of both.
    sandbox.settle()
    api.invoice(100)
    sandbox.settle()

    validator = Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": contract["components"]})
    payloads = list(receiver.taken.queue)

    fitting = (
        payloads
        if schema == "WebhookEvent"
        else [payload for payload in payloads if payload["events"][0]["eventCategory"] == "CREDITNOTE"]
    )
    assert fitting
    assert [error.message for payload in fitting for error in validator.iter_errors(payload)] == []
