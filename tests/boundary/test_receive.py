"""Webhooks become evidence: what arrives together is committed together, and each caller learns its own outcome."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import psycopg
import pytest
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from integrations.boundary import payloads
from integrations.boundary.gates import Gate, load_gate
from integrations.boundary.receive import Arrival, Keeper, connection_parameters, now, read_envelope
from integrations.models import Connection, Event, JournalEntry, Payload, Stream
from tests.conftest import customer_object, wait_until_in_the_way, webhook_body

pytestmark = pytest.mark.django_db(transaction=True)

T = TypeVar("T")


@dataclass
class Desk:
    """Keepers of one event loop, and how often they woke workers."""

    keepers: list[Keeper] = field(default_factory=list)
    woken: list[bool] = field(default_factory=list)

    def keeper(self, **settings: Any) -> Keeper:
        made = Keeper(connection_parameters(), awake=lambda: self.woken.append(True), **settings)
        self.keepers.append(made)
        return made


def at_desk(act: Callable[[Desk], Awaitable[T]]) -> T:
    """Run `act` in a loop of its own and close what it opened."""

    async def run() -> T:
        desk = Desk()
        try:
            return await act(desk)
        finally:
            for keeper in desk.keepers:
                await keeper.close()

    return asyncio.run(run())


async def all_of(*calls: Awaitable[Any]) -> list[Any]:
    """Await calls at once; return what each came to, be it an error."""
    return list(await asyncio.gather(*calls, return_exceptions=True))


@pytest.fixture
def gate(connection: Connection) -> Gate:
    found = load_gate(connection.public_id)
    assert found
    return found


def arrival(gate: Gate, event_id: str = "", *, body: bytes = b"", headers: dict[str, str] | None = None) -> Arrival:
    body = body or webhook_body("customer.created", customer_object(), event_id=event_id)
    return Arrival(gate, gate.credential_ids[0], body, headers or {}, now(), read_envelope(gate, body, now())[0])


def test_what_is_kept_can_be_read_back_byte_by_byte(gate: Gate) -> None:
    body = webhook_body("customer.created", customer_object())

    outcome = at_desk(lambda desk: desk.keeper().keep(arrival(gate, body=body)))

    event = Event.objects.get()
    assert outcome == "kept"
    assert payloads.read(event.payload_id, event.payload_at) == body
    assert (event.state, event.event_type, event.external_id) == ("ready", "customer.created", "cus_0001")


def test_the_table_holds_no_plaintext(gate: Gate) -> None:
    body = webhook_body("customer.created", customer_object(email="marked@secret.example"))

    at_desk(lambda desk: desk.keeper().keep(arrival(gate, body=body)))

    with database.cursor() as cursor:
        cursor.execute("SELECT p::text, encode(p.body, 'escape') FROM integrations_payload p")
        stored = "".join(cursor.fetchone())
    assert "marked" not in stored
    assert "customer.created" not in stored


def test_headers_are_kept_without_what_proves_or_opens(gate: Gate) -> None:
    headers = {
        "stripe-signature": "t=1,v1=ab",
        "authorization": "Bearer x",
        "cookie": "s=1",
        "x-shop": "7",
        "content-type": "application/json; charset=utf-8",
    }

    at_desk(lambda desk: desk.keeper().keep(arrival(gate, headers=headers)))

    payload = Payload.objects.get()
    assert payload.headers == {
        "stripe-signature": "(removed)",
        "authorization": "(removed)",
        "cookie": "(removed)",
        "x-shop": "7",
        "content-type": "application/json; charset=utf-8",
    }
    assert payload.content_type == "application/json; charset=utf-8"


def test_a_second_delivery_is_counted_and_journaled_and_keeps_nothing_more(gate: Gate) -> None:
    async def twice(desk: Desk) -> list[str]:
        keeper = desk.keeper()
        return [await keeper.keep(arrival(gate, "evt_1")) for _ in range(2)]

    outcomes = at_desk(twice)

    event = Event.objects.get()
    assert outcomes == ["kept", "duplicate"]
    assert (event.redelivered, event.state) == (1, "ready")
    assert Payload.objects.count() == 1
    entry = JournalEntry.objects.get(action="event.redelivered")
    assert (entry.subject_id, entry.outcome, entry.data) == (event.pk, "duplicate", {"deliveries": 2})


def test_a_second_delivery_leaves_finished_work_finished(gate: Gate) -> None:
    at_desk(lambda desk: desk.keeper().keep(arrival(gate, "evt_1")))
    Event.objects.update(state="done", decision="new")

    at_desk(lambda desk: desk.keeper().keep(arrival(gate, "evt_1")))

    assert Event.objects.values_list("state", "decision", "redelivered").get() == ("done", "new", 1)


def test_the_same_event_several_times_in_one_batch_is_kept_once(gate: Gate) -> None:
    async def at_once(desk: Desk) -> list[str]:
        keeper = desk.keeper()
        return await all_of(*(keeper.keep(arrival(gate, "evt_1")) for _ in range(5)))

    outcomes = at_desk(at_once)

    assert sorted(outcomes) == ["duplicate"] * 4 + ["kept"]
    assert Event.objects.values_list("redelivered", flat=True).get() == 4


def test_two_processes_that_keep_the_same_events_at_once_keep_each_once(gate: Gate) -> None:
    async def race(desk: Desk) -> list[str]:
        left, right = desk.keeper(), desk.keeper()
        ids = [f"evt_{n}" for n in range(40)]
        return await all_of(
            *(left.keep(arrival(gate, one)) for one in ids),
            *(right.keep(arrival(gate, one)) for one in reversed(ids)),
        )

    outcomes = at_desk(race)

    assert sorted(outcomes) == ["duplicate"] * 40 + ["kept"] * 40
    assert Event.objects.count() == Payload.objects.count() == 40
    assert set(Event.objects.values_list("redelivered", flat=True)) == {1}


def test_the_same_id_at_another_connection_is_other_evidence(gate: Gate, other_connection: Connection) -> None:
    other = load_gate(other_connection.public_id)
    assert other

    async def both(desk: Desk) -> list[str]:
        keeper = desk.keeper()
        return await all_of(keeper.keep(arrival(gate, "evt_1")), keeper.keep(arrival(other, "evt_1")))

    outcomes = at_desk(both)

    assert outcomes == ["kept", "kept"]
    assert set(Event.objects.values_list("tenant_id", flat=True)) == {gate.tenant_id, other.tenant_id}


def test_all_that_arrive_during_a_commit_share_the_next(gate: Gate) -> None:
    async def many(desk: Desk) -> None:
        keeper = desk.keeper()
        await all_of(*(keeper.keep(arrival(gate)) for _ in range(50)))

    at_desk(many)

    with database.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM integrations_event")
        (transactions,) = cursor.fetchone()
    assert Event.objects.count() == 50
    assert transactions <= 2


def test_workers_are_woken_for_what_is_new_only(gate: Gate) -> None:
    async def twice(desk: Desk) -> list[int]:
        keeper, counts = desk.keeper(), []
        for _ in range(2):
            await keeper.keep(arrival(gate, "evt_1"))
            counts.append(len(desk.woken))
        return counts

    assert at_desk(twice) == [1, 1]


@pytest.mark.parametrize("paused", ["connection", "its stream"])
def test_what_arrives_while_paused_is_kept_and_held(gate: Gate, connection: Connection, paused: str) -> None:
    if paused == "connection":
        Connection.objects.update(paused_at=timezone.now())
    else:
        Stream.objects.filter(resource="customer").update(paused_at=timezone.now())

    outcome = at_desk(lambda desk: desk.keeper().keep(arrival(gate)))

    assert outcome == "kept"
    assert Event.objects.get().state == "held"


def test_a_connection_disabled_a_moment_ago_keeps_nothing(gate: Gate) -> None:
    Connection.objects.update(disabled_at=timezone.now())

    outcome = at_desk(lambda desk: desk.keeper().keep(arrival(gate)))

    assert outcome == "disabled"
    assert not Event.objects.exists()
    assert not Payload.objects.exists()


def test_one_that_the_database_refuses_does_not_take_the_others_with_it(gate: Gate) -> None:
    async def three(desk: Desk) -> list[Any]:
        keeper = desk.keeper()
        poison = arrival(gate, "evt_2", headers={"x-odd": "a\x00b"})
        return await all_of(
            keeper.keep(arrival(gate, "evt_1")), keeper.keep(poison), keeper.keep(arrival(gate, "evt_3"))
        )

    first, poison, third = at_desk(three)

    assert (first, third) == ("kept", "kept")
    assert isinstance(poison, psycopg.DataError)
    assert Event.objects.count() == 2


def test_who_was_not_kept_learns_it_and_the_next_is_kept(gate: Gate) -> None:
    async def broken_between(desk: Desk) -> list[Any]:
        keeper = desk.keeper()
        await keeper.keep(arrival(gate))
        assert keeper._connection
        await end_session(keeper._connection.info.backend_pid)
        lost = await all_of(*(keeper.keep(arrival(gate)) for _ in range(3)))
        return [*lost, await keeper.keep(arrival(gate))]

    *lost, kept = at_desk(broken_between)

    assert all(isinstance(one, psycopg.Error) for one in lost)
    assert kept == "kept"
    assert Event.objects.count() == 2


async def end_session(pid: int) -> None:
    """End one session of the database, as its restart would."""
    other = await psycopg.AsyncConnection.connect(**connection_parameters(), autocommit=True)
    async with other:
        await other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@pytest.fixture
def two_known(gate: Gate) -> list[Event]:
    async def both(desk: Desk) -> None:
        keeper = desk.keeper()
        await asyncio.gather(keeper.keep(arrival(gate, "evt_1")), keeper.keep(arrival(gate, "evt_2")))

    at_desk(both)
    return list(Event.objects.order_by("provider_event_id"))


@pytest.fixture
def crossing(two_known: list[Event]) -> Iterator[None]:
    """Another transaction, which locks the two events in the other order: the second, and the first once it is
    in somebody's way. Who waits longer, the one in its way, is who the database makes give up."""
    has_second = threading.Event()

    def work() -> None:
        try:
            with transaction.atomic():
                Event.objects.filter(pk=two_known[1].pk).update(tries=1)
                has_second.set()
                wait_until_in_the_way()
                threading.Event().wait(0.5)  # so that who waits longer is beyond doubt
                Event.objects.filter(pk=two_known[0].pk).update(tries=1)
        finally:
            database.close()

    worker = threading.Thread(target=work)
    worker.start()
    assert has_second.wait(10)
    yield
    worker.join(10)
    assert not worker.is_alive()


@pytest.mark.usefixtures("crossing")
def test_a_deadlock_with_a_worker_is_no_reason_to_refuse(gate: Gate) -> None:
    async def meanwhile(desk: Desk) -> list[str]:
        keeper = desk.keeper()
        return await all_of(keeper.keep(arrival(gate, "evt_2")), keeper.keep(arrival(gate, "evt_1")))

    outcomes = at_desk(meanwhile)

    assert outcomes == ["duplicate", "duplicate"]
    assert set(Event.objects.values_list("redelivered", flat=True)) == {1}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b'{"id": "evt_1", "type": "customer.cre', "cut"),
        (b"[]", "no object"),
        (b'{"object": "event", "type": "customer.created", "created": 1}', "no id"),
        (b'{"object": "event", "id": "evt_1", "type": "customer.created", "created": "now"}', "wrong type"),
        (b"[" * 100_000, "too deep"),
        (b'{"object": "event", "id": "evt_\\u0000", "type": "a", "created": 1}', "NUL"),
    ],
)
def test_bytes_without_a_readable_envelope_are_evidence_by_themselves(gate: Gate, body: bytes, why: str) -> None:
    outcome = at_desk(lambda desk: desk.keeper().keep(plain(gate, body)))
    again = at_desk(lambda desk: desk.keeper().keep(plain(gate, body)))

    event = Event.objects.get()
    assert (outcome, again) == ("kept", "duplicate"), why
    assert event.event_type == "unreadable"
    assert event.provider_event_id.startswith("sha256:")
    assert payloads.read(event.payload_id, event.payload_at) == body


def test_bytes_at_which_an_adapter_stumbles_are_evidence_too(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(type(gate.adapter), "parse", stumble)

    assert at_desk(lambda desk: desk.keeper().keep(plain(gate, b"{}"))) == "kept"
    assert Event.objects.get().event_type == "unreadable"


def plain(gate: Gate, body: bytes) -> Arrival:
    return Arrival(gate, gate.credential_ids[0], body, {}, now(), read_envelope(gate, body, now())[0])


def test_an_unknown_event_type_is_kept_under_its_own_name(gate: Gate) -> None:
    body = webhook_body("customer.exploded", customer_object(), event_id="evt_1")

    at_desk(lambda desk: desk.keeper().keep(plain(gate, body)))

    event = Event.objects.get()
    assert (event.event_type, event.provider_event_id, event.resource) == ("customer.exploded", "evt_1", "")


def test_the_providers_time_is_kept_beside_ours(gate: Gate) -> None:
    happened = timezone.now().replace(microsecond=0) - timedelta(minutes=7)
    body = webhook_body("customer.created", customer_object(), created=int(happened.timestamp()))

    at_desk(lambda desk: desk.keeper().keep(plain(gate, body)))

    event = Event.objects.get()
    assert event.occurred_at == happened
    assert event.received_at - happened >= timedelta(minutes=7)
