"""Books to command: one running sandbox for all, empty and calm for each test."""

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.boundary import client
from integrations.models import Connection, Record, Tenant
from integrations.providers.xero.sandbox.harness import Sandbox, run_sandbox
from tests.books import make_invoices
from tests.conftest import customer_object
from tests.fake_provider import work_off
from tests.providers.xero.connecting import connect_to


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    with run_sandbox() as sandbox:
        yield sandbox
    client.http().close()


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    """The provider: empty, calm, without limits."""
    running_sandbox.empty()
    running_sandbox.set_faults()
    running_sandbox.set_limits(enforced=False)
    return running_sandbox


@pytest.fixture
def target(sandbox: Sandbox, tenant: Tenant) -> Connection:
    return connect_to(sandbox, tenant)


@pytest.fixture
def invoice(sandbox: Sandbox) -> str:
    """A large invoice at the provider, which takes any number of payments."""
    (made,) = make_invoices(sandbox, 1)
    return made


@pytest.fixture
def record(connection: Connection, make_event: Any) -> Record:
    """A customer that came from another connection."""
    make_event("customer.created", customer_object(name="Customer 1"))
    work_off()
    return Record.objects.get()
