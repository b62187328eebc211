"""The endpoint's looks at the database: few, and on connections that work."""

import asyncio
import uuid
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from console.receive import app as door
from integrations.models import Connection
from tests.conftest import customer_object, signed, webhook_body
from tests.console.receive.conftest import at_the_door

pytestmark = pytest.mark.django_db(transaction=True)


def lose_the_database() -> None:
    """Cut this thread's connection off, as a restart of the database does."""
    lost = connections["default"].connection
    if lost is not None:
        lost.close()


def test_a_lost_database_connection_is_replaced(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.boundary.gates.TRUST", 0.0)

    async def act(client: Any) -> list[int]:
        statuses = []
        for number in range(3):
            body = webhook_body("customer.created", customer_object(), event_id=f"evt_{number}")
            answer = await client.post(f"/hooks/{connection.public_id}/", content=body, headers=signed(body))
            statuses.append(answer.status_code)
            await sync_to_async(lose_the_database)()
        return statuses

    assert at_the_door(act) == [200, 200, 200]


def test_those_who_come_at_once_share_a_look_at_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[uuid.UUID] = []
    monkeypatch.setattr(door, "load_gate", looks.append)

    async def act(client: Any) -> list[int]:
        one, other = uuid.uuid4(), uuid.uuid4()
        calls = [client.post(f"/hooks/{public_id}/") for public_id in (one, one, one, other)]
        return [answer.status_code for answer in await asyncio.gather(*calls)]

    assert at_the_door(act) == [404] * 4
    assert len(looks) == 2
