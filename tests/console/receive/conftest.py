"""What these tests share."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from console.receive import app as door
from integrations.models import Connection, Event, Payload
from tests.conftest import customer_object, signed, webhook_body

T = TypeVar("T")


async def no_django(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError(f"{scope['path']} is no webhook")


def at_the_door(act: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
    """Run `act` with a client of the endpoint, in an event loop of their own; close what was opened."""

    async def run() -> T:
        app = door.with_receiver(no_django)
        # What goes wrong behind the door has to become an answer.
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://hooks.test") as client:
            try:
                return await act(client)
            finally:
                await stop(app)
                await sync_to_async(connections.close_all)()

    return asyncio.run(run())


async def stop(app: door.Application) -> None:
    """End the application as its server does."""
    said: list[str] = []

    async def tell() -> dict[str, Any]:
        return {"type": "lifespan.shutdown" if said else "lifespan.startup"}

    async def hear(message: Any) -> None:
        said.append(message["type"])

    await app({"type": "lifespan"}, tell, hear)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def deliver(
    connection: Connection, body: bytes, *, headers: dict[str, str] | None = None, times: int = 1
) -> list[httpx.Response]:
    """Send a webhook, one after the other, and return the answers."""
    sent = signed(body) if headers is None else headers

    async def act(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await client.post(f"/hooks/{connection.public_id}/", content=body, headers=sent) for _ in range(times)]

    return at_the_door(act)


@pytest.fixture
def body() -> bytes:
    return webhook_body("customer.created", customer_object(email="marked@person.example"), event_id="evt_1")


def nothing_is_kept() -> bool:
    return not (Event.objects.exists() or Payload.objects.exists())
