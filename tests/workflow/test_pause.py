"""Pause holds and loses nothing; resume lets go oldest first, at the allowed rate; each says who and why."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from integrations.boundary.gates import load_gate
from integrations.boundary.receive import Arrival, Keeper, connection_parameters, read_envelope
from integrations.journal.actor import Actor
from integrations.models import Connection, Event, JournalEntry, Run, Stream
from integrations.workflow import pause as pausing
from integrations.workflow import runs
from integrations.workflow.errors import Refusal
from integrations.workflow.pause import disable, enable, end_due, held_count, pause, resume, waiting_count
from integrations.workflow.process import process_batch
from tests.conftest import TESTER, customer_object, webhook_body
from tests.stripe_objects import invoice_object

pytestmark = pytest.mark.django_db

MakeEvent = Callable[..., Event]
MARTA = Actor(None, "Marta Kowalczyk", "operations", "192.0.2.88", "req_1")


@pytest.fixture
def stream(connection: Connection) -> Stream:
    return connection.streams.get(resource="customer")


@pytest.fixture(params=["connection", "stream"])
def target(request: pytest.FixtureRequest, connection: Connection, stream: Stream) -> Any:
    return connection if request.param == "connection" else stream


def states() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("state", flat=True))


def test_what_waits_is_held_and_counted(make_event: MakeEvent, target: Any) -> None:
    for state in ("ready", "waiting", "parked", "done", "leased"):
        make_event(obj=customer_object(f"cus_{state}"), state=state)

    count = pause(target, actor=MARTA, reason="Their maintenance")

    assert count == held_count(target) == 2
    assert waiting_count(target) == 0
    assert states() == ["held", "held", "parked", "done", "leased"]
    assert process_batch() == 0


def test_a_pause_of_a_stream_holds_its_resource_only(make_event: MakeEvent, stream: Stream) -> None:
    make_event()
    make_event("invoice.created", invoice_object(customer=None))

    pause(stream, actor=MARTA, reason="Their maintenance")
    process_batch()

    assert states() == ["held", "done"]


def test_another_connection_goes_on(
    make_event: MakeEvent, connection: Connection, other_connection: Connection
) -> None:
    make_event()
    make_event(on=other_connection)

    pause(connection, actor=MARTA, reason="Their maintenance")
    process_batch()

    assert states() == ["held", "done"]


def test_the_journal_and_the_history_say_who_and_why(target: Any) -> None:
    pause(target, actor=MARTA, reason="Their maintenance")
    resume(target, actor=MARTA, reason="They are back")

    noun = "stream" if isinstance(target, Stream) else "connection"
    entries = JournalEntry.objects.filter(action__in=(f"{noun}.paused", f"{noun}.resumed")).order_by("id")
    assert [(e.actor, e.reason, e.address, e.request_id, e.subject_id) for e in entries] == [
        ("Marta Kowalczyk", "Their maintenance", "192.0.2.88", "req_1", target.pk),
        ("Marta Kowalczyk", "They are back", "192.0.2.88", "req_1", target.pk),
    ]
    assert list(target.history.values_list("history_change_reason", flat=True)[:2]) == [
        "They are back", "Their maintenance",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "until", "words"),
    [("", None, "Give a reason"), ("  ", None, "Give a reason"), ("x", timedelta(seconds=-1), "lies in the past")],
)
def test_a_pause_needs_a_reason_and_an_end_that_is_to_come(
    target: Any, reason: str, until: timedelta | None, words: str
) -> None:
    with pytest.raises(Refusal, match=words):
        pause(target, actor=MARTA, reason=reason, until=timezone.now() + until if until else None)

    target.refresh_from_db()
    assert target.paused_at is None


def test_nothing_is_paused_or_resumed_twice(target: Any) -> None:
    with pytest.raises(Refusal, match="not paused"):
        resume(target, actor=MARTA)
    pause(target, actor=MARTA, reason="Their maintenance")

    with pytest.raises(Refusal, match="paused already, by Marta"):
        pause(target, actor=TESTER, reason="Mine")


def test_what_was_held_goes_on_oldest_first_at_the_allowed_rate(
    make_event: MakeEvent, connection: Connection, target: Any
) -> None:
    Connection.objects.update(drain_per_second=4)
    for n in range(5):
        make_event(obj=customer_object(f"cus_{n}"))
    pause(target, actor=MARTA, reason="Their maintenance")

    assert resume(target, actor=MARTA) == 5

    due = list(Event.objects.order_by("pk").values_list("due_at", flat=True))
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(due)]
    assert states() == ["ready"] * 5
    assert gaps == [0.25] * 4
    assert process_batch() == 1


def test_what_waited_for_another_record_still_does_after_a_pause(make_event: MakeEvent, connection: Connection) -> None:
    invoice = make_event("invoice.created", invoice_object(customer="cus_0001"))
    process_batch()
    pause(connection, actor=MARTA, reason="Their maintenance")
    resume(connection, actor=MARTA)

    process_batch()

    invoice.refresh_from_db()
    assert (invoice.state, invoice.waits_for) == ("waiting", "customer:cus_0001")


def test_what_both_levels_hold_goes_on_when_both_are_resumed(
    make_event: MakeEvent, connection: Connection, stream: Stream
) -> None:
    make_event()
    make_event("invoice.created", invoice_object(customer=None))
    pause(stream, actor=MARTA, reason="One")
    pause(connection, actor=MARTA, reason="Two")

    assert resume(connection, actor=MARTA) == 1
    assert states() == ["held", "ready"]
    assert resume(stream, actor=MARTA) == 1
    assert states() == ["ready", "ready"]


def test_a_stream_resumed_under_a_paused_connection_stays_held(
    make_event: MakeEvent, connection: Connection, stream: Stream
) -> None:
    make_event()
    pause(connection, actor=MARTA, reason="Two")
    pause(stream, actor=MARTA, reason="One")

    assert resume(stream, actor=MARTA) == 0
    assert states() == ["held"]
    assert resume(connection, actor=MARTA) == 1


def test_what_arrived_in_the_moment_of_the_pause_is_held_by_the_sweep(
    make_event: MakeEvent, connection: Connection, stream: Stream
) -> None:
    pause(stream, actor=MARTA, reason="Their maintenance")
    make_event()
    make_event("invoice.created", invoice_object(customer=None))

    end_due()

    assert states() == ["held", "ready"]
    assert held_count(stream) == 1


def test_what_was_written_in_the_moment_of_the_resumption_goes_on_by_the_sweep(
    make_event: MakeEvent, target: Any
) -> None:
    """Whoever kept it had seen the pause, and kept it when that was over."""
    pause(target, actor=MARTA, reason="Their maintenance")
    resume(target, actor=MARTA)
    make_event(state="held")

    end_due()
    process_batch()

    assert states() == ["done"]


def test_the_sweep_lets_nothing_go_that_a_pause_still_holds(
    make_event: MakeEvent, connection: Connection, stream: Stream, other_connection: Connection
) -> None:
    make_event()
    make_event("invoice.created", invoice_object(customer=None))
    make_event(on=other_connection)
    pause(stream, actor=MARTA, reason="One")
    pause(other_connection, actor=MARTA, reason="Two")

    end_due()

    assert states() == ["held", "ready", "held"]


def test_a_pause_with_an_end_ends_by_itself(make_event: MakeEvent, target: Any) -> None:
    make_event()
    pause(target, actor=MARTA, reason="Their maintenance", until=timezone.now() + timedelta(hours=1))
    assert end_due() == 0
    type(target).objects.update(paused_until=timezone.now() - timedelta(seconds=1))

    assert end_due() == 1

    target.refresh_from_db()
    assert (target.paused_at, target.paused_by, states()) == (None, "", ["ready"])
    entry = JournalEntry.objects.get(action__endswith=".resumed")
    assert (entry.actor, entry.reason) == ("the engine", "The pause reached its end")


def test_one_pause_that_cannot_end_does_not_keep_the_others(
    make_event: MakeEvent, connection: Connection, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody resumed it in the very moment."""
    for one in (connection, stream):
        pause(one, actor=MARTA, reason="x", until=timezone.now() + timedelta(hours=1))
        type(one)._default_manager.update(paused_until=timezone.now() - timedelta(seconds=1))
    real = pausing.resume

    def raced(target: Any, **options: Any) -> int:
        if target == connection:
            raise Refusal("It is not paused.")
        return real(target, **options)

    monkeypatch.setattr(pausing, "resume", raced)

    end_due()

    stream.refresh_from_db()
    assert stream.paused_at is None


# -- disabling


def test_disabling_refuses_webhooks_and_enabling_looks_for_what_was_refused(connection: Connection) -> None:
    with pytest.raises(Refusal, match="Give a reason"):
        disable(connection, actor=MARTA, reason=" ")
    disable(connection, actor=MARTA, reason="We leave them")
    connection.refresh_from_db()
    assert connection.disabled_at
    with pytest.raises(Refusal, match="disabled already"):
        disable(connection, actor=MARTA, reason="Again")
    with pytest.raises(Refusal, match="Enable it first"):
        runs.ask(connection.streams.select_related("connection").get(change_log=True), actor=MARTA)
    later = timezone.now() + timedelta(hours=1)
    Stream.objects.update(next_run_at=later)

    enable(connection, actor=MARTA, reason="They are back")

    connection.refresh_from_db()
    assert connection.disabled_at is None
    assert runs.schedule() == 1
    assert Run.objects.get().stream == connection.streams.get(change_log=True)
    assert set(JournalEntry.objects.filter(actor="Marta Kowalczyk").values_list("action", "reason")) == {
        ("connection.disabled", "We leave them"), ("connection.enabled", "They are back"),
    }  # fmt: skip


def test_what_was_kept_before_is_still_settled_while_disabled(make_event: MakeEvent, connection: Connection) -> None:
    make_event()

    disable(connection, actor=MARTA, reason="We leave them")
    process_batch()

    assert states() == ["done"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", [pause, disable])
def test_a_change_of_the_connection_holds_up_no_webhook(connection: Connection, act: Callable[..., object]) -> None:
    """Its row is locked until the change is committed; who only refers to it does not wait for that."""
    gate = load_gate(connection.public_id)
    assert gate
    body = webhook_body("customer.created", customer_object())
    arrival = Arrival(
        gate, gate.credential_ids[0], body, {}, timezone.now(), read_envelope(gate, body, timezone.now())[0]
    )

    async def keep() -> str:
        keeper = Keeper(connection_parameters(), awake=lambda: None)
        try:
            return await asyncio.wait_for(keeper.keep(arrival), timeout=10)
        finally:
            await keeper.close()

    with transaction.atomic():
        act(connection, actor=MARTA, reason="Their maintenance")
        with ThreadPoolExecutor(1) as pool:
            outcome = pool.submit(asyncio.run, keep()).result()

    assert outcome == "kept"
