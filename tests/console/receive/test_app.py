"""The webhook door: what it answers, what it keeps, and whose signature opens it."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx
import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connection as database
from django.db import connections
from django.utils import timezone

from console.receive import app as door
from integrations.boundary import payloads, receive, refusals
from integrations.boundary.vault import seal
from integrations.configuration import credentials
from integrations.failures.categories import Category
from integrations.models import Connection, Credential, Event, JournalEntry, Payload
from integrations.workflow.process import process_batch
from tests.conftest import TESTER, WEBHOOK_SECRET, customer_object, signed, webhook_body

pytestmark = pytest.mark.django_db(transaction=True)

T = TypeVar("T")
NEW_SECRET = "whsec_of_the_tests_0002"


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


@pytest.fixture
def add_secret(connection: Connection) -> Callable[..., Credential]:
    """Return a factory of further signing secrets of the connection."""

    def make(secret: str, state: str, **fields: Any) -> Credential:
        return Credential.objects.create(
            connection=connection, purpose="webhook_secret", version=2, state=state,
            secret=seal(secret.encode()), hint="…0002", created_by="the tests", **fields,
        )  # fmt: skip

    return make


def nothing_is_kept() -> bool:
    return not (Event.objects.exists() or Payload.objects.exists())


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


# -- signatures


def test_a_bad_signature_is_stored_nowhere_but_in_a_counter_and_a_journal_line(
    connection: Connection, body: bytes
) -> None:
    (answer,) = deliver(connection, body, headers=signed(body, secret="whsec_of_somebody_else"))

    assert answer.status_code == 401
    assert nothing_is_kept()
    connection.refresh_from_db()
    assert connection.refused_signatures == 1
    entry = JournalEntry.objects.get(action="webhook.refused")
    assert (entry.connection_id, entry.outcome, entry.address) == (connection.pk, "refused", "127.0.0.1")
    assert entry.data == {"bytes": len(body)}
    assert "marked" not in entry.summary


@pytest.mark.parametrize(
    "header",
    [
        None, "", "nonsense", "t=,v1=", "v1=00", "t=1e9,v1=00", f"t={2**70},v1=00", "t=-1,v1=00", "t=ü,v1=ü",
        f"t={int(time.time())}", f"t={int(time.time())},v0=00", f"t={int(time.time())},v1=",
    ],
)  # fmt: skip
def test_a_signature_header_in_any_wrong_form_is_a_401(connection: Connection, body: bytes, header: str | None) -> None:
    headers: Any = {} if header is None else {"stripe-signature": header.encode()}

    (answer,) = deliver(connection, body, headers=headers)

    assert answer.status_code == 401
    assert nothing_is_kept()


def test_a_changed_body_does_not_fit_its_signature(connection: Connection, body: bytes) -> None:
    (answer,) = deliver(connection, body + b" ", headers=signed(body))

    assert answer.status_code == 401


def test_a_connection_without_a_secret_accepts_nothing(connection: Connection, body: bytes) -> None:
    Credential.objects.filter(purpose="webhook_secret").delete()

    (answer,) = deliver(connection, body)

    assert answer.status_code == 401


def test_a_flood_of_bad_signatures_is_counted_in_full_and_journaled_in_part(
    connection: Connection, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(refusals, "LINES_A_MINUTE", 2)
    monkeypatch.setattr(time, "time", lambda: now)

    deliver(connection, body, headers=signed(body, secret="whsec_of_somebody_else"), times=5)

    connection.refresh_from_db()
    assert connection.refused_signatures == 5
    assert JournalEntry.objects.filter(action="webhook.refused").count() == 2


@pytest.mark.parametrize(("seconds", "status"), [(0, 200), (300, 200), (301, 401), (-300, 200), (-301, 401)])
def test_a_signature_holds_for_300_seconds_both_ways(
    connection: Connection, body: bytes, monkeypatch: pytest.MonkeyPatch, seconds: int, status: int
) -> None:
    signed_at = int(time.time())
    ours = datetime.fromtimestamp(signed_at + seconds, UTC)
    monkeypatch.setattr(door, "now", lambda: ours)

    (answer,) = deliver(connection, body, headers=signed(body, at=signed_at))

    assert answer.status_code == status


def test_a_recorded_delivery_that_is_played_again_later_is_refused(
    connection: Connection, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = signed(body)
    (first,) = deliver(connection, body, headers=recorded)
    monkeypatch.setattr(door, "now", lambda: timezone.now() + timedelta(seconds=302))

    (again,) = deliver(connection, body, headers=recorded)

    assert (first.status_code, again.status_code) == (200, 401)
    assert Event.objects.values_list("redelivered", flat=True).get() == 0


# -- several secrets at once


@pytest.mark.parametrize(
    ("state", "retire_in", "status"),
    [
        ("active", None, 200),
        ("pending", None, 200),
        ("retiring", 60, 200),
        ("retiring", -1, 401),
        ("revoked", None, 401),
    ],
)
def test_which_secrets_open(
    connection: Connection, add_secret: Any, body: bytes, state: str, retire_in: int | None, status: int
) -> None:
    if state == "active":
        Credential.objects.filter(purpose="webhook_secret").update(state="revoked")
    retire_at = None if retire_in is None else timezone.now() + timedelta(seconds=retire_in)
    add_secret(NEW_SECRET, state, retire_at=retire_at)

    (answer,) = deliver(connection, body, headers=signed(body, secret=NEW_SECRET))

    assert answer.status_code == status


def test_one_header_may_carry_the_signatures_of_two_secrets(connection: Connection, body: bytes) -> None:
    at = int(time.time())
    unknown, known = (
        signed(body, secret=secret, at=at)["stripe-signature"] for secret in ("whsec_unknown_here", WEBHOOK_SECRET)
    )

    (answer,) = deliver(connection, body, headers={"stripe-signature": f"{unknown},{known.partition(',')[2]}"})

    assert answer.status_code == 200


def test_the_first_delivery_signed_with_a_new_secret_makes_it_the_active_one(
    connection: Connection, body: bytes
) -> None:
    new = credentials.submit(
        connection, purpose="webhook_secret", secret=NEW_SECRET, actor=TESTER, reason="Yearly", overlap_hours=1
    )

    deliver(connection, body, headers=signed(body, secret=NEW_SECRET))

    new.refresh_from_db()
    old = Credential.objects.get(connection=connection, purpose="webhook_secret", version=1)
    assert (new.state, old.state) == ("active", "retiring")
    assert old.retire_at
    assert timedelta(minutes=59) < old.retire_at - timezone.now() <= timedelta(hours=1)


def test_a_delivery_shows_that_its_secret_is_in_use(connection: Connection, body: bytes) -> None:
    (answer,) = deliver(connection, body)

    assert answer.status_code == 200
    used = Credential.objects.get(connection=connection, purpose="webhook_secret").last_used_at
    assert used is not None


def test_while_a_secret_is_replaced_no_delivery_is_refused(connection: Connection) -> None:
    """Old, new, old again, then the new one only: all within one process that trusts what it read."""

    async def act(client: httpx.AsyncClient) -> list[int]:
        answers = []
        for n, secret in enumerate([WEBHOOK_SECRET, NEW_SECRET, WEBHOOK_SECRET, NEW_SECRET]):
            if n == 1:
                await sync_to_async(credentials.submit)(
                    connection, purpose="webhook_secret", secret=NEW_SECRET, actor=TESTER, reason="Yearly"
                )
            one = webhook_body("customer.created", customer_object(), event_id=f"evt_{n}")
            sent = signed(one, secret=secret)
            answer = await client.post(f"/hooks/{connection.public_id}/", content=one, headers=sent)
            answers.append(answer.status_code)
        return answers

    assert at_the_door(act) == [200] * 4
    assert Event.objects.count() == 4


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
