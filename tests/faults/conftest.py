"""Web, worker and beat of their own, with a broker that tests may empty."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from console.embedded import Server, start_redis
from integrations.models import Connection, Stream, Tenant
from tests.conftest import connected
from tests.processes import Product, run_product


@pytest.fixture(scope="session")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_redis(tmp_path_factory.mktemp("broker"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def broker(own_broker: Server) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(own_broker.url) as client:
        yield client


@pytest.fixture(scope="session")
def processes(
    tmp_path_factory: pytest.TempPathFactory, database_server: Server, own_broker: Server
) -> Iterator[Product]:
    folder: Path = tmp_path_factory.mktemp("faults")
    with run_product(
        "faults", folder, database_server, own_broker.url, "web", "worker", "beat", LEASE_SECONDS="2"
    ) as product:
        yield product


@pytest.fixture
def product(processes: Product, django_db_blocker: DjangoDbBlocker) -> Iterator[Product]:
    """The running product, its database open to this test."""
    with django_db_blocker.unblock(), processes.here():
        yield processes


@pytest.fixture
def target(product: Product, request: pytest.FixtureRequest) -> Connection:
    """A connection whose provider nobody asks: all evidence comes by webhook."""
    slug = request.node.name.removeprefix("test_").replace("_", "-")[:50]
    tenant = Tenant.objects.create(slug=slug, name="Faults")
    made = connected(tenant, api_base="http://127.0.0.1:9")
    Stream.objects.filter(connection=made).update(next_run_at=timezone.now() + timedelta(days=1))
    return made
