"""What comes from outside without a name: webhooks and requests of nobody cost little and open nothing."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, cast

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.db import connections

from console.receive import app as door
from integrations.boundary.vault import seal
from integrations.models import Connection, Credential, Event, JournalEntry
from integrations.workflow.process import process_batch
from tests.conftest import customer_object, signed, webhook_body
from tests.console.receive.conftest import at_the_door, stop

pytestmark = pytest.mark.django_db(transaction=True)
MEBIBYTE = 1024 * 1024


def with_django(act: Callable[[door.Application], Awaitable[Any]]) -> Any:
    """Run `act` with the whole application."""

    async def run() -> Any:
        app = door.with_receiver(cast("door.Application", get_asgi_application()))
        try:
            return await act(app)
        finally:
            await stop(app)
            await sync_to_async(connections.close_all)()

    return asyncio.run(run())


def scope_of(path: str, **headers: str) -> dict[str, Any]:
    return {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 80), "client": ("192.0.2.1", 1),
        "root_path": "", "headers": [(b"host", b"127.0.0.1")] + [(k.encode(), v.encode()) for k, v in headers.items()],
    }  # fmt: skip


def endless(asked: list[int], size: int = 64 * 1024) -> door.Receive:
    """A body that never ends; counts how often it was asked for more."""

    async def receive() -> dict[str, Any]:
        asked.append(1)
        return {"type": "http.request", "body": b"a" * size, "more_body": True}

    return receive


def answered(said: list[Any]) -> int:
    (status,) = [message["status"] for message in said if message["type"] == "http.response.start"]
    return int(status)


@pytest.mark.parametrize("path", ["/accounts/login/", "/theme/", "/northwind/test/records/1/check/", "/nowhere"])
def test_a_body_that_never_ends_is_not_read_for_nobody(path: str, db: None) -> None:
    asked: list[int] = []
    said: list[Any] = []

    async def act(app: door.Application) -> None:
        async def send(message: Any) -> None:
            said.append(message)

        await asyncio.wait_for(app(scope_of(path), endless(asked), send), 10)

    with_django(act)

    assert answered(said) == 413
    assert len(asked) < 30


def test_a_body_that_comes_drop_by_drop_is_given_up(connection: Connection, settings: Any) -> None:
    settings.WEBHOOK_SECONDS = 0.2
    said: list[Any] = []

    async def drops() -> dict[str, Any]:
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b"a", "more_body": True}

    async def act(app: door.Application) -> None:
        async def send(message: Any) -> None:
            said.append(message)

        await asyncio.wait_for(app(scope_of(f"/hooks/{connection.public_id}/"), drops, send), 5)

    with_django(act)

    assert answered(said) == 408


def ask(
    connection: Connection, path: str, *, method: str = "POST", body: bytes = b"{}", **headers: str
) -> httpx.Response:
    async def act(client: httpx.AsyncClient) -> httpx.Response:
        return await client.request(method, path.format(id=connection.public_id), content=body, headers=headers)

    return at_the_door(act)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "TRACE"])
def test_other_methods_open_nothing(method: str, connection: Connection) -> None:
    assert ask(connection, "/hooks/{id}/", method=method).status_code == 405
    assert not JournalEntry.objects.filter(action="webhook.refused").exists()


def test_unknown_connections_leave_no_trace_in_memory(connection: Connection) -> None:
    receiver = door.Receiver()

    async def act() -> None:
        for number in range(50):
            with pytest.raises(door.Refused):
                await receiver.gate(uuid.UUID(int=number))
        await receiver.keeper.close()
        await sync_to_async(connections.close_all)()

    asyncio.run(act())

    assert receiver.gates == {}


@pytest.mark.parametrize("name", ["v0", "v2", "V1", " v1", "v1 ", "v11", ""])
def test_no_other_scheme_of_signatures_opens(name: str, connection: Connection) -> None:
    """Stripe signs test events with `v0` as well, which is no proof."""
    body = webhook_body("customer.created", customer_object())
    header = signed(body)["stripe-signature"].replace("v1=", f"{name}=")

    assert ask(connection, "/hooks/{id}/", body=body, **{"stripe-signature": header}).status_code == 401


def test_the_time_that_is_checked_is_the_time_that_is_signed(connection: Connection) -> None:
    """A header with two times must not be checked by one and signed by the other."""
    body = webhook_body("customer.created", customer_object())
    old = signed(body, at=1_700_000_000)["stripe-signature"]
    fresh = signed(body)["stripe-signature"].partition(",")[0]

    for header in (f"{fresh},{old}", f"{old},{fresh}", f"{old},{fresh},{old}"):
        assert ask(connection, "/hooks/{id}/", body=body, **{"stripe-signature": header}).status_code == 401


def test_a_signature_for_one_connection_opens_no_other(connection: Connection, other_connection: Connection) -> None:
    Credential.objects.filter(connection=other_connection).update(secret=seal(b"whsec_of_somebody_else"))
    body = webhook_body("customer.created", customer_object())

    assert ask(other_connection, "/hooks/{id}/", body=body, **signed(body)).status_code == 401
    assert not Event.objects.exists()


@pytest.mark.parametrize("depth", [50, 150, 900, 5_000, 100_000])
def test_a_payload_of_any_depth_is_kept_and_shown(
    depth: int, connection: Connection, engineer: Any, client_of: Any
) -> None:

    deep = "[" * depth + "]" * depth
    body = webhook_body("customer.created", customer_object()).replace(b'"eur"', b'"eur", "metadata": ' + deep.encode())
    assert ask(connection, "/hooks/{id}/", body=body, **signed(body)).status_code == 200

    process_batch()
    event = Event.objects.get()

    assert event.state in ("done", "parked")
    for path in (f"events/{event.pk}/", f"events/{event.pk}/replay/", "events/", "mappings/"):
        assert client_of(engineer).get(f"/northwind/test/{path}").status_code == 200
    answer = client_of(engineer).post(f"/northwind/test/events/{event.pk}/reveal/", {"reason": "To see"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "filling",
    [
        [0] * 400_000,
        [[]] * 200_000,
        {f"k{n}": n for n in range(60_000)},
        "x" * 900_000,
        [[{"a": {"b": 1}}] * 200] * 200,
    ],
    ids=["numbers", "lists", "keys", "text", "objects"],
)
def test_a_payload_of_any_size_is_shown_in_a_page_of_fair_size(
    filling: Any, connection: Connection, engineer: Any, client_of: Any
) -> None:
    body = webhook_body("customer.created", customer_object(metadata=filling))
    body = json.dumps(json.loads(body), separators=(",", ":")).encode()
    assert len(body) < MEBIBYTE
    assert ask(connection, "/hooks/{id}/", body=body, **signed(body)).status_code == 200

    answer = client_of(engineer).get(f"/northwind/test/events/{Event.objects.get().pk}/")

    assert answer.status_code == 200
    assert len(answer.content) < 3 * MEBIBYTE
