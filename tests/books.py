"""A second provider for tests: its sandbox as a real process, a connection to it, and a route there."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from integrations.boundary import client
from integrations.boundary.vault import seal
from integrations.configuration.connect import connect
from integrations.models import Connection, Copy, Credential, CredentialState, Record, Route, Stream, Tenant
from integrations.providers.xero.sandbox.harness import Sandbox, run_sandbox
from integrations.workflow import export, process, routes, sending, sync
from tests.conftest import TESTER

#: No limits: neither the sandbox nor we hold a request back.
FREE = {"per_minute": None, "per_day": None, "at_once": None}


@pytest.fixture(scope="session")
def books_process() -> Iterator[Sandbox]:
    with run_sandbox() as sandbox:
        yield sandbox
    client.http().close()


@pytest.fixture
def books(books_process: Sandbox) -> Sandbox:
    """Books without an entry."""
    books_process.empty()
    books_process.control("DELETE", "effects")
    books_process.control("DELETE", "faults")
    books_process.set_limits(enforced=False)
    return books_process


def connect_books(tenant: Tenant, sandbox: Sandbox, *, environment: str = "test") -> Connection:
    """Make a connection to the sandbox, with its tokens; none of its streams runs by schedule."""
    values = {
        "tenant_id": sandbox.tenant_id, "client_id": sandbox.client_id, "api_base": sandbox.url,
        "identity_base": sandbox.url,
    }  # fmt: skip
    made = connect(tenant, provider="xero", name="Books", environment=environment, values=values, actor=TESTER)
    Connection.objects.filter(pk=made.pk).update(limits=FREE)
    _, refresh = sandbox.tokens()
    for purpose, secret in (("client_secret", sandbox.client_secret), ("refresh_token", refresh)):
        Credential.objects.create(
            connection=made, purpose=purpose, version=1, state=CredentialState.ACTIVE, secret=seal(secret.encode()),
            hint=f"…{secret[-4:]}", created_by="the tests",
        )  # fmt: skip
    Stream.objects.filter(connection=made).update(every=86_400)
    made.refresh_from_db()
    return made


def make_route(source: Connection, target: Connection, *kinds: str) -> Route:
    """Export everything of one connection to another."""
    chosen = kinds or routes.kinds_for(target)
    return routes.make(source, target, kinds=chosen, since=None, actor=TESTER, reason="The tests export")


def work_off(most: int = 3000) -> None:
    """Perform, settle, plan and send all that is due, as workers do, until nothing is."""
    for _ in range(most):
        ran = sync.perform_next()
        settled = process.process_batch()
        planned = export.plan_due(seconds=10)
        sent = sending.send_next()
        if not (ran or settled or planned or sent):
            return
    raise AssertionError("the work never ends")


def copy_of(record: Record) -> Copy:
    """Return the copy of a record."""
    return Copy.objects.select_related("command").get(record=record)


def put(books: Sandbox, path: str, element: dict[str, Any], name: str = "") -> dict[str, Any]:
    """Enter something in the books by hand."""
    access, _ = books.tokens()
    answer = httpx.put(
        f"{books.url}/api.xro/2.0/{path}", json=element,
        headers={"authorization": f"Bearer {access}", "xero-tenant-id": books.tenant_id},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()[name or path][0]
    return found


def make_invoices(sandbox: Sandbox, count: int) -> list[str]:
    """Make approved invoices of EUR 10,000 in the sandbox, which counts them as nobody's effects; return their ids.

    No payment of a cent is one too many, so that nothing but its key and its operation id keeps it from coming twice.
    """
    access, _ = sandbox.tokens()
    line = {"Description": "Freight", "Quantity": 1, "UnitAmount": "10000.00", "AccountCode": "200", "TaxType": "NONE"}
    invoice = {
        "Type": "ACCREC", "Contact": {"Name": "Halvorsen Marine AS"}, "LineItems": [line], "Status": "AUTHORISED",
        "Date": "2026-11-01", "DueDate": "2026-11-15", "CurrencyCode": "EUR",
    }  # fmt: skip
    answer = httpx.put(
        f"{sandbox.url}/api.xro/2.0/Invoices",
        json={"Invoices": [invoice] * count},
        headers={"authorization": f"Bearer {access}", "xero-tenant-id": sandbox.tenant_id},
    )
    answer.raise_for_status()
    sandbox.control("DELETE", "effects")
    return [row["InvoiceID"] for row in answer.json()["Invoices"]]


def cents_for(invoice: str, amount: int = 1) -> dict[str, Any]:
    """Return what a command asks for that enters a payment of some cents for an invoice."""
    return {"invoice": invoice, "currency": "EUR", "amount": amount, "paid_at": "2026-11-21T12:00:00+00:00"}


def held(sandbox: Sandbox, path: str) -> list[dict[str, Any]]:
    """Return everything of a list of the sandbox."""
    access, _ = sandbox.tokens()
    name = path.partition("?")[0]
    found: list[dict[str, Any]] = []
    with httpx.Client(headers={"authorization": f"Bearer {access}", "xero-tenant-id": sandbox.tenant_id}) as reader:
        for page in range(1, 100):
            answer = reader.get(f"{sandbox.url}/api.xro/2.0/{name}", params={"page": page, "pageSize": 1000})
            answer.raise_for_status()
            rows = answer.json()[name]
            found += rows
            if len(rows) < 1000:
                return found
    raise AssertionError("more pages than there can be")
