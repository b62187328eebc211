"""What these tests share."""

from typing import Any

import pytest
from django.utils import timezone

from integrations.models import (
    Connection,
    Run,
    Stream,
)
from integrations.workflow import runs
from tests.conftest import TESTER, connected


@pytest.fixture
def connection(tenant: Any) -> Connection:
    """A connection whose pages hold two objects."""
    return connected(tenant, page_size=2)


@pytest.fixture
def stream(connection: Connection) -> Stream:
    return Stream.objects.get(connection=connection, resource="customer")


@pytest.fixture
def run(stream: Stream) -> Run:
    return runs.ask(stream, actor=TESTER)


def states(*models: Any) -> list[int]:
    return [model.objects.count() for model in models]


def now_due() -> None:
    Run.objects.filter(state="waiting").update(due_at=timezone.now())
    Connection.objects.update(wait_until=None)
