"""From the form in the console to records: the books are connected, their secrets proved, and read."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.test import Client

from console.models import User
from integrations.boundary.client import http
from integrations.configuration import credentials
from integrations.models import Connection, Credential, CredentialState, Event, Record, Run, WorkState
from integrations.providers.xero.sandbox.harness import Sandbox, run_sandbox
from integrations.workflow import runs
from tests.fake_provider import work_off
from tests.providers.xero.test_books import NOW, Books, contact, invoice_content

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with run_sandbox() as made:
        yield made
    http().close()


def connect(client: Client, sandbox: Sandbox, **given: Any) -> Any:
    values = {
        "connection_name": "Books", "tenant_id": sandbox.tenant_id, "client_id": sandbox.client_id,
        "sales_account": "200", "payment_account": "090", "tax_type": "OUTPUT", "page_size": "100", "time_zone": "UTC",
        "api_base": sandbox.url, "identity_base": sandbox.url, "reason": "Our books",
        "secret_client_secret": sandbox.client_secret, "secret_refresh_token": sandbox.tokens()[1],
    } | given  # fmt: skip
    return client.post("/northwind/test/connections/new/xero/", values)


def test_the_form_asks_for_what_the_adapter_names(engineer: User, client_of: Callable[[User], Client]) -> None:
    page = client_of(engineer).get("/northwind/test/connections/new/xero/").content.decode()

    for name in ("tenant_id", "client_id", "secret_client_secret", "secret_refresh_token", "secret_webhook_key"):
        assert f'name="{name}"' in page


def test_every_provider_can_be_chosen(engineer: User, client_of: Callable[[User], Client]) -> None:
    page = client_of(engineer).get("/northwind/test/connections/new/").content.decode()

    assert "Stripe" in page
    assert "Xero" in page


def test_the_organisation_is_one_of_xeros(
    engineer: User, sandbox: Sandbox, client_of: Callable[[User], Client]
) -> None:
    answer = connect(client_of(engineer), sandbox, tenant_id="northwind")

    assert answer.status_code == 422
    assert not Connection.objects.exists()


def test_books_that_are_connected_become_records(
    engineer: User, sandbox: Sandbox, client_of: Callable[[User], Client]
) -> None:
    sandbox.set_limits(enforced=False)
    with httpx.Client() as client:
        books = Books(sandbox, client)
        _, invoice = books.do("invoice.create", **invoice_content(contact(books)))
        books.do("payment.create", invoice=invoice, currency="EUR", amount=25000, paid_at=NOW.isoformat())
    assert connect(client_of(engineer), sandbox).status_code == 302
    Connection.objects.update(limits={"per_minute": None, "at_once": None})
    for pk in Credential.objects.order_by("pk").values_list("pk", flat=True):
        credentials.verify(pk)

    runs.schedule()
    work_off()

    assert set(Credential.objects.values_list("state", flat=True)) == {CredentialState.ACTIVE}
    assert set(Run.objects.values_list("state", flat=True)) == {WorkState.DONE}
    assert sorted(Record.objects.values_list("kind", "state", "amount")) == [
        ("customer", "active", None), ("invoice", "paid", 25000), ("payment", "succeeded", 25000),
    ]  # fmt: skip
    assert not Event.objects.exclude(state=WorkState.DONE).exists()
