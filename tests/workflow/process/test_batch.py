"""Events are settled in batches, in which one bad item fails alone."""

import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import DataError, transaction

from integrations.boundary import mapping
from integrations.boundary.client import Exchanges, OpenTransaction
from integrations.configuration import mappings
from integrations.failures.categories import Category
from integrations.models import (
    Connection,
    Event,
    Failure,
    JournalEntry,
    Link,
    Payload,
    Problem,
    Record,
    Run,
    Stream,
    Tally,
    Transition,
)
from integrations.providers.base import Request
from integrations.workflow import belief, decide, runs, settle
from integrations.workflow.evidence import read_events
from integrations.workflow.process import connections_of, process_batch, process_due
from integrations.workflow.work import claim_events
from tests.conftest import TESTER, customer_object
from tests.fake_provider import Provider, work_off
from tests.stripe_objects import invoice_object
from tests.workflow.process.conftest import AT, MakeEvent, committing, decided, due_now

pytestmark = pytest.mark.django_db


# -- one bad item


def poison_reading(monkeypatch: pytest.MonkeyPatch, event: Event) -> None:
    """Its payload fits no key."""
    Payload.objects.filter(pk=event.payload_id).update(body=b"not sealed by us")


def poison_mapper(monkeypatch: pytest.MonkeyPatch, event: Event) -> None:
    """The mapper meets something that nobody foresaw."""
    real = mapping.apply

    def apply(document: Any, resource: str, obj: Any, **options: Any) -> Any:
        if obj["id"] == event.external_id:
            raise LookupError("marked@person.example")
        return real(document, resource, obj, **options)

    monkeypatch.setattr("integrations.workflow.evidence.apply", apply)


def poison_settling(monkeypatch: pytest.MonkeyPatch, event: Event) -> None:
    """The engine fails while it decides."""
    real = decide.decide

    def decides(held: Any, candidate: Any, **options: Any) -> Any:
        if candidate.mapped.data["name"] == "poison":
            raise ArithmeticError("marked@person.example")
        return real(held, candidate, **options)

    monkeypatch.setattr("integrations.workflow.belief.decide", decides)


def poison_database(monkeypatch: pytest.MonkeyPatch, event: Event) -> None:
    """The database refuses the row."""
    real = belief.describe

    def describe(record: Record, external_id: str, now: Any) -> None:
        real(record, external_id, now)
        if external_id == event.external_id:
            record.currency = "TOO LONG"

    monkeypatch.setattr(belief, "describe", describe)


@committing
@pytest.mark.parametrize("poison", [poison_reading, poison_mapper, poison_settling, poison_database])
def test_one_bad_item_fails_alone_and_the_others_go_on(
    make_event: MakeEvent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, poison: Any
) -> None:
    good = [make_event(obj=customer_object(f"cus_{n}")) for n in range(2)]
    bad = make_event(obj=customer_object("cus_bad", name="poison"))
    good.append(make_event(obj=customer_object("cus_3")))
    poison(monkeypatch, bad)

    process_batch()

    assert [decided(event) for event in good] == [("done", "new")] * 3
    bad.refresh_from_db()
    assert (bad.state, bad.category, bad.tries) == ("waiting", Category.UNKNOWN, 1)
    assert Failure.objects.get().event == bad
    assert "person.example" not in caplog.text + Failure.objects.get().message


@committing
def test_a_bad_item_parks_after_its_tries_and_can_be_seen(
    make_event: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = make_event(obj=customer_object(name="poison"))
    poison_settling(monkeypatch, bad)

    for _ in range(3):
        due_now()
        process_batch()

    bad.refresh_from_db()
    assert (bad.state, bad.tries) == ("parked", 3)
    problem = Problem.objects.get()
    assert (problem.owner, problem.open_count, problem.code) == ("engineer", 1, "engine:ArithmeticError")


# -- the batch


def test_a_batch_is_one_transaction(make_event: MakeEvent, monkeypatch: pytest.MonkeyPatch) -> None:
    make_event()

    def fail(*args: Any) -> None:
        raise DataError

    monkeypatch.setattr(settle, "_write_journal", fail)
    owner = uuid.uuid4()
    events = claim_events(owner, 10)
    connections = connections_of(events)
    reads = read_events(events, connections)

    with pytest.raises(DataError):
        settle.settle(reads, connections, owner)

    assert not Record.objects.exists()
    assert not Transition.objects.exists()
    assert not JournalEntry.objects.filter(lane="state").exists()


def test_all_that_is_due_is_settled_batch_by_batch(make_event: MakeEvent) -> None:
    for n in range(7):
        make_event(obj=customer_object(f"cus_{n}"))

    assert process_due(seconds=30, most=3) == 7
    assert Record.objects.count() == 7


def test_what_went_through_and_what_failed_is_tallied(make_event: MakeEvent) -> None:
    make_event()
    make_event("customer.updated", created=1)
    make_event(body=b"{")

    process_batch()

    assert Tally.objects.values_list("done", "applied", "failed").get() == (2, 1, 1)


@committing
def test_no_request_leaves_while_a_transaction_is_open(connection: Connection, provider: Provider) -> None:
    with transaction.atomic(), pytest.raises(OpenTransaction):
        Exchanges(connection)(Request("GET", "https://api.stripe.com/v1/customers"))

    assert provider.asked == []


def test_the_mapping_in_force_is_the_one_that_belief_names(make_event: MakeEvent, connection: Connection) -> None:
    rules = mappings.in_force(connection.pk)
    assert rules.versions["customer"] == 1
    current = json.loads(json.dumps(connection.mappings.get(resource="customer").rules["rules"]))
    current["fields"]["name"]["source"] = "description"
    second = mappings.publish(connection, "customer", current, actor=TESTER, reason="They moved it")
    make_event(obj=customer_object(description="Berth 12"))

    process_batch()

    record = Record.objects.get()
    assert (record.label, record.mapping) == ("Berth 12", second)


def test_every_documented_payload_is_understood(make_event: MakeEvent, connection: Connection) -> None:
    """Complete payloads of the provider's, of several lives of the same objects: the mapper takes every one."""
    folder = Path(__file__).parents[2] / "providers" / connection.provider / "payloads"
    for path in sorted(folder.glob("[!a]*.json")):
        make_event(body=path.read_bytes())

    for _ in range(4):
        process_batch()

    assert set(Failure.objects.values_list("category", flat=True)) <= {Category.BUSINESS}
    assert set(Record.objects.values_list("kind", flat=True)) == {"customer", "invoice", "payment", "refund"}


def test_a_run_under_way_is_asked_for_nothing_twice(make_event: MakeEvent, connection: Connection) -> None:
    for n in range(3):
        make_event("customer.updated", customer_object(name=f"{n}"), created=AT)

    process_batch()

    assert Run.objects.get().targets == [["customer", "cus_0001"]]


@committing
def test_a_look_settles_what_had_arrived_before_it_was_asked_for(make_event: MakeEvent, provider: Provider) -> None:
    """Even where all are of one second, and the look agrees with belief."""
    provider.now = AT
    provider.put(customer_object(name="Second"))
    make_event("customer.updated", customer_object(name="Second"), created=AT)
    older = make_event("customer.updated", customer_object(name="First"), created=AT)

    work_off()

    assert decided(older) == ("done", "stale")
    assert older.decision_reason.startswith("It had arrived before we read the object at ")
    assert Record.objects.get().data["name"] == "Second"
    assert len(provider.asked) == 1


@committing
@pytest.mark.parametrize("settled_first", ["the event", "the read"])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_slow_read_does_not_hide_what_happened_while_it_was_under_way(
    connection: Connection, make_event: MakeEvent, provider: Provider, settled_first: str, before: int
) -> None:
    """It looked, then the object changed, and then the time was written on its answer."""
    provider.put(customer_object(name="Old"))
    runs.ask(Stream.objects.select_related("connection").get(resource="customer"), actor=TESTER)

    def slowly(request: httpx.Request) -> httpx.Response:
        seen = provider.truth(request)
        provider.put(customer_object(name="New"))
        if settled_first == "the event":
            make_event("customer.updated", customer_object(name="New"), created=provider.now - before)
            process_batch()
        return seen

    provider.answers = [slowly]
    work_off()
    if settled_first == "the read":
        make_event("customer.updated", customer_object(name="New"), created=provider.now - before)
    work_off()

    assert Record.objects.get().data["name"] == "New"
    assert len(provider.asked) <= 2
    assert set(Event.objects.values_list("state", flat=True)) == {"done"}


def test_a_link_follows_its_field_to_another_record_and_to_none(make_event: MakeEvent) -> None:
    for n in (1, 2):
        make_event(obj=customer_object(f"cus_000{n}"))
    customers = []
    for n, customer in enumerate(["cus_0001", "cus_0002", None]):
        make_event("invoice.updated", invoice_object(customer=customer), created=AT + n)
        process_batch()
        invoice = Record.objects.get(kind="invoice")
        linked = Link.objects.filter(record=invoice, field="customer").values_list("target_id", flat=True)
        assert list(linked) == ([invoice.customer_id] if invoice.customer_id else [])
        customers.append(invoice.customer.references.get().external_id if invoice.customer else None)

    assert customers == ["cus_0001", "cus_0002", None]


def test_within_one_batch_the_last_link_stands(make_event: MakeEvent) -> None:
    make_event(obj=customer_object("cus_0001"))
    for n, customer in enumerate(["cus_0001", None, "cus_0001", None]):
        make_event("invoice.updated", invoice_object(customer=customer), created=AT + n)

    process_batch()

    assert Record.objects.get(kind="invoice").customer is None
    assert not Link.objects.exists()
