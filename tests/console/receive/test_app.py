"""The door for webhooks: kept, then acknowledged, once; and who may not enter."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connection as database
from django.db import connections
from django.utils import timezone

from console.receive import app as door
from integrations.boundary import payloads, receive
from integrations.failures.categories import Category
from integrations.models import Connection, Event, JournalEntry, Payload
from integrations.workflow.process import process_batch
from tests.conftest import customer_object, signed, webhook_body
from tests.console.receive.conftest import at_the_door, deliver, no_django, nothing_is_kept, stop

pytestmark = pytest.mark.django_db(transaction=True)


# -- kept, then acknowledged


def test_a_webhook_is_committed_before_it_is_acknowledged(connection: Connection, body: bytes) -> None:
    seen: list[tuple[int, int]] = []

    async def act() -> None:
        app = door.with_receiver(no_django)
        scope = {
            "type": "http", "method": "POST", "path": f"/hooks/{connection.public_id}/", "client": None,
            "headers": [(name.encode(), value.encode()) for name, value in signed(body).items()],
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                # Another session sees it, so it is committed.
                seen.append((message["status"], await sync_to_async(Event.objects.count)()))

        await app(scope, receive, send)
        await stop(app)
        await sync_to_async(connections.close_all)()

    asyncio.run(act())

    assert seen == [(200, 1)]


def test_the_payload_is_kept_as_it_came(connection: Connection, body: bytes) -> None:
    (answer,) = deliver(connection, body)

    event = Event.objects.get()
    assert answer.status_code == 200
    assert answer.json() == {"received": True, "detail": "kept"}
    assert payloads.read(event.payload_id, event.payload_at) == body
    assert (event.tenant_id, event.environment, event.source) == (connection.tenant_id, "test", "webhook")


def test_what_cannot_be_kept_is_answered_with_503_and_nothing_is_half_kept(
    connection: Connection, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "KEEP", receive.KEEP.replace("INSERT INTO integrations_payload", "INSERT INTO gone"))

    (answer,) = deliver(connection, body)

    assert answer.status_code == 503
    assert answer.json()["received"] is False
    assert nothing_is_kept()


def test_a_database_that_is_away_is_answered_with_503_and_the_next_is_kept(connection: Connection, body: bytes) -> None:
    async def act(client: httpx.AsyncClient) -> list[int]:
        address, sent = f"/hooks/{connection.public_id}/", signed(body)
        first = await client.post(address, content=webhook_body("customer.created", customer_object()), headers={})
        assert first.status_code == 401  # the gate is known now
        real = psycopg.AsyncConnection.connect
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(psycopg.AsyncConnection, "connect", lambda **_: real(host="127.0.0.1", port=1))
            refused = await client.post(address, content=body, headers=sent)
        kept = await client.post(address, content=body, headers=sent)
        return [refused.status_code, kept.status_code]

    assert at_the_door(act) == [503, 200]
    assert Event.objects.count() == 1


# -- who may not enter


@pytest.mark.parametrize("path", [f"/hooks/{uuid.uuid4()}/", "/hooks/", "/hooks/1/", "/hooks/%00/"])
def test_an_unknown_connection_is_answered_with_404(connection: Connection, body: bytes, path: str) -> None:
    answer = at_the_door(lambda client: client.post(path, content=body, headers=signed(body)))

    assert answer.status_code == 404
    assert nothing_is_kept()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_post_is_accepted(connection: Connection, method: str) -> None:
    answer = at_the_door(lambda client: client.request(method, f"/hooks/{connection.public_id}/"))

    assert answer.status_code == 405


def test_a_disabled_connection_answers_410(connection: Connection, body: bytes) -> None:
    Connection.objects.update(disabled_at=timezone.now())

    (answer,) = deliver(connection, body)

    assert answer.status_code == 410
    assert nothing_is_kept()


def test_a_connection_disabled_between_two_deliveries_answers_410_at_once(connection: Connection) -> None:
    async def act(client: httpx.AsyncClient) -> list[int]:
        answers = []
        for n in range(2):
            one = webhook_body("customer.created", customer_object(), event_id=f"evt_{n}")
            answer = await client.post(f"/hooks/{connection.public_id}/", content=one, headers=signed(one))
            answers.append(answer.status_code)
            await sync_to_async(Connection.objects.update)(disabled_at=timezone.now())
        return answers

    assert at_the_door(act) == [200, 410]
    assert Event.objects.count() == 1


def test_a_body_of_exactly_one_mebibyte_is_kept(connection: Connection) -> None:
    body = b" " * (1024 * 1024)

    (answer,) = deliver(connection, body)

    assert answer.status_code == 200
    assert Payload.objects.get().size == 1024 * 1024


def test_a_larger_body_is_refused_by_its_declared_length(connection: Connection) -> None:
    body = b" " * (1024 * 1024 + 1)

    (answer,) = deliver(connection, body)

    assert answer.status_code == 413
    assert nothing_is_kept()


def test_a_larger_body_of_unknown_length_is_refused_without_reading_its_end(connection: Connection) -> None:
    pieces: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        for n in range(1000):
            pieces.append(n)
            yield b" " * 65_536

    answer = at_the_door(
        lambda client: client.post(f"/hooks/{connection.public_id}/", content=endless(), headers=signed(b""))
    )

    assert answer.status_code == 413
    assert len(pieces) <= 18
    assert nothing_is_kept()


# -- the same evidence, once


def test_a_redelivery_is_acknowledged_counted_and_processed_once(connection: Connection, body: bytes) -> None:
    deliver(connection, body)
    process_batch()

    (again,) = deliver(connection, body)

    event = Event.objects.get()
    assert again.status_code == 200
    assert again.json()["detail"] == "duplicate"
    assert (event.state, event.redelivered, process_batch()) == ("done", 1, 0)
    assert JournalEntry.objects.filter(action="record.changed").count() == 1
    assert JournalEntry.objects.get(action="event.redelivered").record_id == event.record_id


# -- input that is no event


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"\xff\xfe\x00", b'{"object": "event"}', b'"<script>alert(1)</script>"',
        json.dumps({"id": "evt_1", "object": "event", "type": "customer.created", "created": 1, "data": 7}).encode(),
        json.dumps({"id": "evt_1", "object": "event", "type": "customer.created", "created": 1, "data": {"object": {
            "id": 5, "object": "customer"}}}).encode(),
        webhook_body("customer.exploded", customer_object()),
    ],
)  # fmt: skip
def test_what_is_signed_and_no_event_is_kept_and_parks_for_an_engineer(connection: Connection, body: bytes) -> None:
    (answer,) = deliver(connection, body)

    process_batch()

    event = Event.objects.get()
    assert answer.status_code == 200
    assert payloads.read(event.payload_id, event.payload_at) == body
    assert (event.state, event.category) == ("parked", Category.CONTRACT)
    assert event.failures.get().problem.owner == "engineer"


def test_headers_that_prove_or_open_are_not_kept(connection: Connection, body: bytes) -> None:
    headers = signed(body) | {
        "authorization": "Bearer marked",
        "cookie": "session=marked",
        "x-forwarded-for": "1.2.3.4",
    }

    deliver(connection, body, headers=headers)

    kept = Payload.objects.get().headers
    assert kept["stripe-signature"] == kept["authorization"] == kept["cookie"] == "(removed)"
    assert kept["x-forwarded-for"] == "1.2.3.4"


def test_the_body_lies_encrypted_in_the_table(connection: Connection, body: bytes) -> None:
    deliver(connection, body)

    with database.cursor() as cursor:
        cursor.execute(
            "SELECT e::text, p::text, encode(p.body, 'escape') FROM integrations_event e, integrations_payload p"
        )
        stored = "".join(cursor.fetchone())
    assert "marked" not in stored


def test_other_paths_go_to_django() -> None:
    asked: list[str] = []

    async def django(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def act() -> int:
        transport = httpx.ASGITransport(app=door.with_receiver(django))
        async with httpx.AsyncClient(transport=transport, base_url="http://console.test") as client:
            return (await client.get("/northwind/test/")).status_code

    assert asyncio.run(act()) == 204
    assert asked == ["/northwind/test/"]
