"""One sandbox process for all tests here, emptied before each, and a client that speaks to it."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from integrations.providers.xero.sandbox.harness import Sandbox, run_sandbox
from tests.providers.xero.sandbox.contract import check

JSON = dict[str, Any]


class Api:
    """A client of the Accounting API; every answer is held against Xero's contract, where that is at hand."""

    def __init__(self, sandbox: Sandbox, tenant: str = "") -> None:
        self.sandbox = sandbox
        self.access, self.refresh = sandbox.tokens()
        self._names = itertools.count(1)
        self.http = httpx.Client(
            base_url=f"{sandbox.url}/api.xro/2.0/",
            headers={"Authorization": f"Bearer {self.access}", "Xero-Tenant-Id": tenant or sandbox.tenant_id},
        )

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """One request; `key` is its idempotency key, `since` its If-Modified-Since, the rest its query."""
        headers = {"Idempotency-Key": more.pop("key", None), "If-Modified-Since": more.pop("since", None)}
        answer = self.http.request(
            method, path, json=body, params=more, headers={name: word for name, word in headers.items() if word}
        )
        check(method, path, answer)
        return answer

    def get(self, path: str, **query: Any) -> Any:
        """The document of a read that succeeds."""
        answer = self.ask("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, resource: str, body: Any, **more: Any) -> Any:
        """The one object that a PUT creates."""
        answer = self.ask("PUT", resource, body, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()[resource][0]

    def post(self, path: str, body: Any, **more: Any) -> Any:
        """The one object that a POST creates or changes."""
        answer = self.ask("POST", path, body, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()[path.partition("/")[0]][0]

    def refused(self, method: str, path: str, body: Any) -> list[str]:
        """The messages of a write that Xero's rules refuse."""
        answer = self.ask(method, path, body)
        assert answer.status_code == 400, answer.text
        document = answer.json()
        assert document["Type"] == "ValidationException"
        return [error["Message"] for element in document["Elements"] for error in element["ValidationErrors"]]

    def contact(self, name: str = "", **more: Any) -> Any:
        """A new contact."""
        return self.put("Contacts", {"Name": name or f"Contact {next(self._names)}", **more})

    def invoice(self, amount: float = 100.0, **more: Any) -> Any:
        """A new invoice, AUTHORISED unless told otherwise."""
        return self.put("Invoices", invoice_of(self.contact()["ContactID"], amount, **more))

    def credit_note(self, amount: float = 100.0, **more: Any) -> Any:
        """A new credit note, AUTHORISED unless told otherwise."""
        element = invoice_of(self.contact()["ContactID"], amount, **{"Type": "ACCRECCREDIT", **more})
        return self.put("CreditNotes", {name: value for name, value in element.items() if name != "DueDate"})

    def pay(self, invoice: JSON, amount: float, **more: Any) -> Any:
        """A payment of an invoice."""
        return self.put("Payments", payment_of({"Invoice": {"InvoiceID": invoice["InvoiceID"]}}, amount, **more))


MakeApi = Callable[..., Api]


def invoice_of(contact_id: str, amount: float = 100.0, **more: Any) -> JSON:
    """The element of an invoice with one line."""
    return {
        "Type": "ACCREC",
        "Contact": {"ContactID": contact_id},
        "Status": "AUTHORISED",
        "Date": "2026-11-02",
        "DueDate": "2026-12-02",
        "LineAmountTypes": "NoTax",
        "LineItems": [{"Description": "Rope", "Quantity": 1, "UnitAmount": amount, "AccountCode": "200"}],
        **more,
    }


def payment_of(document: JSON, amount: float, **more: Any) -> JSON:
    """The element of a payment."""
    return {**document, "Account": {"Code": "090"}, "Amount": amount, "Date": "2026-11-03", **more}


@pytest.fixture(scope="session")
def process() -> Iterator[Sandbox]:
    with run_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(process: Sandbox) -> Sandbox:
    process.empty()
    process.control("DELETE", "effects")
    process.set_clock(scale=1, skew=0)
    process.set_limits(enforced=False, minute=60, day=5000, concurrent=5, app_minute=10_000)
    return process


@pytest.fixture
def clients() -> Iterator[MakeApi]:
    """Makes clients of a sandbox, and of one of its tenants."""
    with contextlib.ExitStack() as stack:

        def make(sandbox: Sandbox, tenant: str = "") -> Api:
            client = Api(sandbox, tenant)
            stack.enter_context(client.http)
            return client

        yield make


@pytest.fixture
def api(sandbox: Sandbox, clients: MakeApi) -> Api:
    return clients(sandbox)
