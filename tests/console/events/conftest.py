"""Events of every sort, through the real engine."""

from collections.abc import Callable

import pytest

from integrations.models import Connection, Event, Record
from tests.console.records.conftest import customer, invoice_object, tell

__all__ = ["customer", "invoice_object", "tell"]


@pytest.fixture
def events_url(connection: Connection) -> str:
    """Where the events of the tests are."""
    return f"/{connection.tenant.slug}/{connection.environment}/events/"


@pytest.fixture
def parked(tell: Callable[..., Event], customer: Record) -> Event:
    """An invoice's second event, whose status no table knows."""
    tell("invoice.created", invoice_object(), created=1_700_000_100)
    return tell("invoice.updated", invoice_object(status="in_review", number="INV-2041"), created=1_700_000_300)
