"""What did not change is no new evidence, and what a clock hides is not lost."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.boundary import payloads
from integrations.failures.categories import Category
from integrations.models import (
    Attempt,
    Connection,
    Event,
    Failure,
    Record,
    Reference,
    Run,
    Stream,
    Transition,
)
from integrations.reconciliation.check import check_connection
from integrations.workflow import runs, sights, work
from integrations.workflow.sync import perform_next
from tests.conftest import TESTER, customer_object
from tests.fake_provider import Provider, work_off
from tests.stripe_objects import payment_object, refund_object
from tests.workflow.sync.conftest import states

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def log(connection: Connection) -> Stream:
    return Stream.objects.get(connection=connection, change_log=True)


def logged(
    event_id: str, obj: dict[str, Any], event_type: str = "customer.updated", created: int = 0
) -> dict[str, Any]:
    return {
        "id": event_id, "object": "event", "type": event_type, "created": created or int(time.time()),
        "data": {"object": obj},
    }  # fmt: skip


# -- nothing changed, nothing is written


def test_a_second_sync_of_unchanged_data_writes_no_evidence_and_no_belief(
    run: Run, stream: Stream, provider: Provider
) -> None:
    provider.customers(5)
    work_off()
    before = states(Event, Record, Transition), list(Record.objects.values_list("version", "updated_at"))
    seen = Reference.objects.values_list("seen_at", flat=True)[0]
    Stream.objects.update(changed_since=None)
    provider.now += 900

    again = runs.ask(Stream.objects.get(pk=stream.pk), actor=TESTER)
    work_off()

    again.refresh_from_db()
    assert (states(Event, Record, Transition), list(Record.objects.values_list("version", "updated_at"))) == before
    assert (again.items, again.changed) == (5, 0)
    assert Reference.objects.values_list("seen_at", flat=True)[0] == seen + timedelta(seconds=900)


def test_of_a_page_only_what_changed_is_new_evidence(run: Run, stream: Stream, provider: Provider) -> None:
    provider.customers(4)
    work_off()
    provider.put(customer_object("cus_0001", created=1_700_000_001, name="Renamed"))
    Stream.objects.update(changed_since=None)
    provider.now += 900

    again = runs.ask(Stream.objects.get(pk=stream.pk), actor=TESTER)
    work_off()

    again.refresh_from_db()
    assert (again.items, again.changed) == (4, 1)
    assert Record.objects.get(label="Renamed").version == 2


def test_what_the_log_tells_again_is_no_new_evidence(log: Stream, provider: Provider) -> None:
    provider.put(logged("evt_1", customer_object(), "customer.created"))
    first = runs.ask(log, actor=TESTER)
    work_off()
    again = runs.ask(Stream.objects.get(pk=log.pk), actor=TESTER)

    work_off()

    first.refresh_from_db()
    again.refresh_from_db()
    assert [(r.items, r.changed) for r in (first, again)] == [(1, 1), (1, 0)]
    assert Event.objects.count() == 1


def test_the_log_brings_what_no_webhook_brought_and_nothing_twice(
    log: Stream, provider: Provider, make_event: Callable[..., Event]
) -> None:
    make_event("customer.created", customer_object("cus_1"), event_id="evt_1", created=1_700_000_500)
    provider.put(
        logged("evt_1", customer_object("cus_1"), "customer.created"),
        logged("evt_2", customer_object("cus_1", name="Renamed"), created=1_700_000_501),
        logged("evt_3", {"id": "prod_1"}, "product.created"),
    )
    runs.ask(log, actor=TESTER)

    work_off()

    assert set(Event.objects.values_list("provider_event_id", "source")) == {
        ("evt_1", "webhook"), ("evt_2", "change log"),
    }  # fmt: skip
    assert Record.objects.get().data["name"] == "Renamed"


def test_one_bad_entry_of_the_log_does_not_stop_its_page(log: Stream, provider: Provider) -> None:
    provider.put(
        logged("evt_1", customer_object("cus_1"), "customer.created"),
        logged("evt_2", customer_object("cus_2"), "customer.exploded"),
        logged("evt_3", {"id": 7, "object": "customer"}),
    )
    runs.ask(log, actor=TESTER)

    work_off()

    found = dict(Event.objects.values_list("provider_event_id", "state"))
    assert found == {"evt_1": "done", "evt_2": "parked", "evt_3": "parked"}


def test_a_late_look_does_not_undo_what_an_event_told_since(
    run: Run, provider: Provider, make_event: Callable[..., Event]
) -> None:
    """The page was read, then the object changed and its event was settled, then the page's evidence is settled."""
    provider.put(customer_object("cus_1", name="Old"))
    perform_next()
    make_event("customer.updated", customer_object("cus_1", name="New"), created=provider.now + 1)
    Event.objects.filter(source="page").update(due_at=timezone.now() + timedelta(hours=1), state="waiting")
    work_off()
    Event.objects.filter(source="page").update(due_at=timezone.now())

    work_off()

    assert Record.objects.get().data["name"] == "New"
    assert Event.objects.get(source="page").decision == "stale"


# -- single objects


def test_one_object_that_cannot_be_fetched_does_not_hold_up_the_others(
    connection: Connection, provider: Provider
) -> None:
    provider.put(customer_object("cus_2"), customer_object("cus_3"))
    provider.answers = [provider.failing(400)]
    Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, kind="resync", due_at=timezone.now(),
        targets=[["customer", "cus_1"], ["customer", "cus_2"], ["customer", "cus_3"]], asked_by="the tests",
    )  # fmt: skip

    work_off()

    assert set(Reference.objects.values_list("external_id", flat=True)) == {"cus_2", "cus_3"}
    parked = Run.objects.get(state="parked")
    assert (parked.targets, parked.category) == ([["customer", "cus_1"]], Category.VALIDATION)
    assert Failure.objects.get().run == parked


def test_an_object_that_is_not_there_is_evidence_too(
    connection: Connection, provider: Provider, make_event: Callable[..., Event]
) -> None:
    make_event(created=1_700_000_100)
    Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, kind="resync", due_at=timezone.now(),
        targets=[["customer", "cus_0001"]], asked_by="the tests",
    )  # fmt: skip

    work_off()

    assert Record.objects.get().state == "deleted"
    event = Event.objects.get(source="check")
    assert (event.event_type, event.decision) == ("customer absent", "changed")
    assert b"resource_missing" in payloads.read(event.payload_id, event.payload_at)


def test_long_ids_that_differ_only_at_their_end_stay_apart(connection: Connection, provider: Provider) -> None:
    provider.put(*(customer_object("cus_" + "x" * 200 + str(n)) for n in range(2)))
    Stream.objects.exclude(resource="customer").delete()
    check_connection(connection, actor=TESTER)

    perform_next()

    assert Event.objects.count() == 2


# -- clocks


def test_a_look_between_reading_and_settling_does_not_hide_a_change(
    run: Run, stream: Stream, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page shows the object as we knew it, and at that moment an event makes us believe otherwise."""
    provider.put(customer_object("cus_1", name="A"))
    work_off()
    Stream.objects.update(changed_since=None)
    provider.now += 100
    real = sights._known

    def raced(*args: Any) -> Any:
        known = real(*args)
        Reference.objects.update(seen_hash=b"of what the event showed", seen_at=timezone.now())
        return known

    monkeypatch.setattr(sights, "_known", raced)
    provider.now = int(timezone.now().timestamp()) + 100

    runs.ask(Stream.objects.get(pk=stream.pk), actor=TESTER)
    perform_next()

    assert int(Reference.objects.get().seen_at.timestamp()) < provider.now


def test_payments_are_read_with_their_charge(connection: Connection, provider: Provider) -> None:
    provider.put(payment_object(latest_charge={"id": "ch_1", "amount_refunded": 300}), refund_object())
    runs.ask(Stream.objects.get(connection=connection, resource="payment_intent"), actor=TESTER)

    work_off()

    assert provider.paths == ["/v1/payment_intents?limit=2&expand%5B%5D=data.latest_charge"]
    assert Record.objects.get().data["amount_refunded"] == 300


@pytest.mark.parametrize(
    ("runs_before", "planned"),
    [
        ([("parked", Category.AUTHENTICATION)], 0),
        ([("parked", Category.AUTHORIZATION)], 0),
        ([("parked", Category.CONTRACT)], 1),
        ([("done", Category.AUTHENTICATION), ("parked", Category.CONTRACT)], 1),
    ],
)
def test_a_stream_whose_key_is_refused_waits_for_another_key(
    connection: Connection, stream: Stream, runs_before: list[tuple[str, str]], planned: int
) -> None:
    Stream.objects.exclude(pk=stream.pk).delete()
    for state, category in runs_before:
        Run.objects.create(
            tenant=connection.tenant, environment="test", connection=connection, stream=stream, kind="sync",
            state=state, category=category, due_at=timezone.now(), asked_by="the tests",
        )  # fmt: skip

    assert runs.schedule() == planned


def test_an_attempt_of_a_worker_that_died_is_closed_and_one_under_way_is_not(connection: Connection) -> None:
    now = timezone.now()
    told: dict[str, Any] = {"connection": connection, "method": "GET", "url": "https://example.com"}
    lost = Attempt.objects.create(started_at=now - timedelta(minutes=10), **told)
    under_way = Attempt.objects.create(started_at=now - timedelta(seconds=5), **told)

    work.sweep()

    lost.refresh_from_db()
    under_way.refresh_from_db()
    assert (lost.state, under_way.state) == ("no answer", "in flight")
    assert lost.finished_at
