"""What these tests share."""

from typing import Any

import pytest

from integrations.models import (
    Connection,
    Reference,
    Run,
    Stream,
)
from integrations.workflow import runs
from tests.conftest import TESTER, connected
from tests.fake_provider import Provider, work_off


@pytest.fixture
def connection(tenant: Any) -> Connection:
    """A connection whose pages hold two objects."""
    return connected(tenant, page_size=2)


@pytest.fixture
def stream(connection: Connection, provider: Provider) -> Stream:
    """The stream of customers, five of which are held."""
    provider.customers(5)
    found = Stream.objects.get(connection=connection, resource="customer")
    runs.ask(found, actor=TESTER)
    work_off()
    provider.asked.clear()
    provider.now += 60
    return Stream.objects.get(pk=found.pk)


def scan(stream: Stream) -> Run:
    return runs.ask_scan(Stream.objects.get(pk=stream.pk), actor=TESTER)


def scanned(stream: Stream) -> Run:
    run = scan(stream)
    work_off()
    run.refresh_from_db()
    return run


def states() -> dict[str, str]:
    return dict(Reference.objects.order_by("external_id").values_list("external_id", "record__state"))


def gone() -> list[str]:
    return [external_id for external_id, state in states().items() if state == "deleted"]


def drop(provider: Provider, *external_ids: str) -> None:
    for external_id in external_ids:
        del provider.objects["customer"][external_id]


def by_id(provider: Provider) -> list[str]:
    return [path.rpartition("/")[2] for path in provider.paths if path.startswith("/v1/customers/")]


@pytest.fixture
def many(connection: Connection, provider: Provider) -> Stream:
    """The stream of customers, forty of which are held."""
    Connection.objects.update(settings=connection.settings | {"page_size": 100})
    provider.customers(40)
    found = Stream.objects.get(connection=connection, resource="customer")
    runs.ask(found, actor=TESTER)
    work_off()
    provider.asked.clear()
    provider.now += 60
    return found
