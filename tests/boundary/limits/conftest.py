"""What these tests share."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from integrations.boundary import limits
from integrations.boundary.limits import Leave, Wait
from integrations.models import Connection

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Allowed = Callable[..., Connection]


@pytest.fixture
def allowed(connection: Connection) -> Allowed:
    """Return the connection with other limits than its adapter names; what is not given is not limited."""

    def make(**agreed: int) -> Connection:
        connection.limits = {"per_minute": None, "per_day": None, "at_once": None} | agreed
        connection.save(update_fields=["limits"])
        return connection

    return make


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def taken(connection: Connection, seconds: float) -> bool:
    """Ask at a time; say whether there was a leave."""
    return isinstance(limits.ask(connection, now=after(seconds)), Leave)


def refused(connection: Connection, seconds: float) -> Wait:
    answer = limits.ask(connection, now=after(seconds))
    assert isinstance(answer, Wait)
    return answer
