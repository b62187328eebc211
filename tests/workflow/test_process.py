"""Events become belief: each decision with its journal line, and what waits, waits where it can be found."""

import json
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import DataError, transaction
from django.db import connection as database
from django.utils import timezone

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
    Reference,
    Run,
    Stream,
    Tally,
    Transition,
)
from integrations.providers.base import Request
from integrations.workflow import belief, decide, runs, settle, tasks, waits
from integrations.workflow.evidence import Read, read_events
from integrations.workflow.process import connections_of, process_batch, process_due
from integrations.workflow.work import claim_events
from tests.conftest import TESTER, customer_object
from tests.fake_provider import Provider, work_off
from tests.stripe_objects import invoice_object, payment_object, refund_object

MakeEvent = Callable[..., Event]
AT = 1_700_000_100
committing = pytest.mark.django_db(transaction=True)
pytestmark = pytest.mark.django_db


def due_now() -> None:
    """Let the time pass that waiting events wait."""
    Event.objects.filter(state="waiting").update(due_at=timezone.now() - timedelta(minutes=1))


def decided(event: Event) -> tuple[str, str]:
    event.refresh_from_db()
    return event.state, event.decision


# -- decisions


def test_the_first_evidence_makes_a_record(make_event: MakeEvent) -> None:
    event = make_event(created=AT)

    process_batch()

    record = Record.objects.get()
    assert decided(event) == ("done", "new")
    assert event.record == record
    assert (record.kind, record.state, record.version, record.label) == ("customer", "active", 1, "Halvorsen Marine AS")
    assert record.data == {
        "name": "Halvorsen Marine AS", "email": "ap@halvorsen.example", "currency": "EUR",
        "created_at": "2023-11-14T22:13:20Z",
    }  # fmt: skip
    reference = Reference.objects.get()
    assert (reference.external_id, int(reference.seen_at.timestamp())) == ("cus_0001", AT)


def test_a_change_is_one_transition_that_names_its_cause_and_its_mapping(make_event: MakeEvent) -> None:
    make_event(created=AT)
    event = make_event("customer.updated", customer_object(name="Halvorsen AS"), created=AT + 5)

    process_batch()

    record = Record.objects.get()
    transition = Transition.objects.get(version=2)
    assert (record.version, record.data["name"], record.label) == (2, "Halvorsen AS", "Halvorsen AS")
    assert (transition.cause, transition.cause_id, transition.mapping) == ("event", event.pk, record.mapping)
    assert transition.changes == [["name", "Halvorsen Marine AS", "Halvorsen AS"]]
    assert int(transition.occurred_at.timestamp()) == AT + 5
    assert transition.mapping
    assert (transition.mapping.resource, transition.mapping.version) == ("customer", 1)
    assert JournalEntry.objects.filter(action="record.changed", record_id=record.pk).count() == 2


def test_the_journal_tells_each_decision_with_its_reason(make_event: MakeEvent) -> None:
    event = make_event(created=AT)

    process_batch()

    entry = JournalEntry.objects.get(action="event.decided")
    assert (entry.lane, entry.outcome, entry.subject_id) == ("events", "new", event.pk)
    assert entry.record_id == event.record_id or Event.objects.get().record_id
    assert entry.summary.startswith("customer.created arrived ")
    assert entry.summary.endswith("after it happened: The first evidence of this record")


def test_late_evidence_is_kept_and_changes_nothing(make_event: MakeEvent) -> None:
    make_event("customer.updated", customer_object(name="New"), created=AT + 5)
    process_batch()
    late = make_event("customer.updated", customer_object(name="Old"), created=AT)

    process_batch()

    assert decided(late) == ("done", "stale")
    assert Record.objects.get().data["name"] == "New"
    assert Transition.objects.count() == 1


def test_evidence_that_says_nothing_new_moves_only_the_time_of_our_sight(make_event: MakeEvent) -> None:
    make_event(created=AT)
    again = make_event("customer.updated", customer_object(metadata={"x": "1"}), created=AT + 9)

    process_batch()

    assert decided(again) == ("done", "unchanged")
    assert Transition.objects.count() == 1
    assert int(Reference.objects.get().seen_at.timestamp()) == AT + 9


def test_what_the_adapter_does_not_need_is_done_and_says_so(make_event: MakeEvent) -> None:
    event = make_event("product.created", {"id": "prod_1", "object": "product"})

    process_batch()

    assert decided(event) == ("done", "ignored")
    assert not Record.objects.exists()
    assert not Failure.objects.exists()


def test_a_deletion_is_a_state_and_the_data_stays(make_event: MakeEvent) -> None:
    make_event(created=AT)
    make_event("customer.deleted", customer_object(), created=AT + 5)

    process_batch()

    record = Record.objects.get()
    assert (record.state, record.data["name"]) == ("deleted", "Halvorsen Marine AS")
    assert Reference.objects.get().deleted_at


def test_a_step_that_is_not_legal_fails_loudly_and_belief_stays(make_event: MakeEvent) -> None:
    make_event("invoice.voided", invoice_object(customer=None, status="void"), created=AT)
    event = make_event("invoice.paid", invoice_object(customer=None, status="paid"), created=AT + 5)

    process_batch()

    assert decided(event) == ("parked", "unexpected")
    record = Record.objects.get()
    assert record.state == "void"
    assert (record.stuck_category, record.waits_for) == (Category.BUSINESS, "a decision")
    failure = Failure.objects.get()
    assert (failure.category, failure.code, failure.record) == (Category.BUSINESS, "illegal:void:paid", record)
    assert failure.problem.owner == "finance"


def test_an_unknown_status_is_a_mapping_failure_that_names_field_and_value(make_event: MakeEvent) -> None:
    event = make_event("invoice.updated", invoice_object(customer=None, status="half_paid"))

    process_batch()

    failure = Failure.objects.get()
    assert decided(event)[0] == "parked"
    assert (failure.category, failure.field, failure.value) == (Category.MAPPING, "state", '"half_paid"')
    assert failure.problem.owner == "engineer"


# -- missing dependency


def test_a_record_whose_other_record_is_missing_waits_and_is_not_made(make_event: MakeEvent) -> None:
    event = make_event("invoice.created", invoice_object(customer="cus_0001"))

    process_batch()

    assert decided(event) == ("waiting", "waiting")
    assert event.waits_for == "customer:cus_0001"
    assert event.due_at > timezone.now()
    assert not Record.objects.exists()
    assert not Failure.objects.exists(), "what arrives in any order is no failure before it is overdue"
    due_now()
    process_batch()
    failure = Failure.objects.get()
    assert (failure.category, failure.value) == (Category.DEPENDENCY, "cus_0001")
    assert failure.problem.owner == "support"


def test_it_wakes_when_the_other_record_arrives(make_event: MakeEvent) -> None:
    invoice = make_event("invoice.created", invoice_object(customer="cus_0001"))
    process_batch()
    due_now()
    process_batch()
    make_event(obj=customer_object("cus_0001"))
    process_batch()

    process_batch()

    assert decided(invoice) == ("done", "new")
    record = Record.objects.get(kind="invoice")
    assert record.customer == Record.objects.get(kind="customer")
    assert Link.objects.get().target == record.customer
    failure = Failure.objects.get()
    assert failure.resolved_at
    assert failure.problem.open_count == 0


def test_both_in_one_batch_need_no_second_look(make_event: MakeEvent) -> None:
    make_event(obj=customer_object("cus_0001"))
    make_event("invoice.created", invoice_object(customer="cus_0001"))
    make_event("payment_intent.created", payment_object(customer="cus_0001"))
    make_event("refund.created", refund_object())

    process_batch()

    assert set(Event.objects.values_list("decision", flat=True)) == {"new"}
    assert not Failure.objects.exists()


def test_who_waits_for_another_one_is_not_woken(make_event: MakeEvent) -> None:
    event = make_event("invoice.created", invoice_object(customer="cus_0001"))
    process_batch()
    make_event(obj=customer_object("cus_0002"))
    process_batch()

    assert decided(event)[0] == "waiting"
    assert process_batch() == 0


def test_the_same_id_at_another_connection_wakes_nobody(make_event: MakeEvent, other_connection: Connection) -> None:
    event = make_event("invoice.created", invoice_object(customer="cus_0001"))
    process_batch()
    make_event(obj=customer_object("cus_0001"), on=other_connection)

    process_batch()

    assert decided(event)[0] == "waiting"


def test_from_its_second_try_on_the_provider_is_asked_once(make_event: MakeEvent) -> None:
    make_event("invoice.created", invoice_object("in_1", customer="cus_0001"))
    make_event("invoice.created", invoice_object("in_2", customer="cus_0001"))
    process_batch()
    assert not Run.objects.exists()
    for _ in range(2):
        due_now()
        process_batch()

    assert Run.objects.values_list("kind", "targets").get() == ("resync", [["customer", "cus_0001"]])


@committing
def test_the_answer_of_the_provider_frees_who_waited(make_event: MakeEvent, provider: Provider) -> None:
    provider.put(customer_object("cus_0001"))
    invoice = make_event("invoice.created", invoice_object(customer="cus_0001"))
    process_batch()
    due_now()

    work_off()

    assert decided(invoice) == ("done", "new")
    assert Record.objects.get(kind="customer").state == "active"


def test_after_its_last_try_it_parks_and_still_wakes_when_the_other_one_arrives(make_event: MakeEvent) -> None:
    invoice = make_event("invoice.created", invoice_object(customer="cus_0001"))
    for _ in range(8):
        due_now()
        process_batch()
    assert decided(invoice)[0] == "parked"
    make_event(obj=customer_object("cus_0001"))

    process_batch()
    process_batch()

    assert decided(invoice) == ("done", "new")


@committing
def test_who_parks_in_the_moment_in_which_the_other_one_arrives_wakes_too(
    make_event: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of the two transactions sees what the other one does."""
    invoice = make_event("invoice.created", invoice_object(customer="cus_0001"))
    for _ in range(7):
        due_now()
        process_batch()
    load = belief.Board.load

    def elsewhere() -> None:
        make_event(obj=customer_object("cus_0001"))
        process_batch()
        database.close()

    def load_slowly(reads: Sequence[Read], now: datetime) -> belief.Board:
        board = load(reads, now)
        if reads[0].event.pk == invoice.pk and not Record.objects.exists():
            with ThreadPoolExecutor(1) as pool:
                pool.submit(elsewhere).result()
        return board

    monkeypatch.setattr(belief.Board, "load", load_slowly)
    due_now()
    process_batch()
    assert decided(invoice)[0] == "parked"
    assert Record.objects.get().kind == "customer"

    tasks.sweep()
    process_batch()

    assert decided(invoice) == ("done", "new")
    assert waits.wake_overlooked() == 0


# -- order that cannot be told, and evidence that shows nothing


@committing
def test_where_order_cannot_be_told_the_provider_is_asked_and_its_answer_stands(
    make_event: MakeEvent, provider: Provider
) -> None:
    provider.put(customer_object(name="Third"))
    make_event("customer.updated", customer_object(name="First"), created=AT)
    unclear = make_event("customer.updated", customer_object(name="Second"), created=AT)
    process_batch()
    assert decided(unclear) == ("waiting", "waiting")
    assert Record.objects.get().data["name"] == "First"

    work_off()

    assert Record.objects.get().data["name"] == "Third"
    assert decided(unclear) == ("done", "stale")
    assert provider.paths == ["/v1/customers/cus_0001"]


@committing
def test_an_event_that_only_points_has_its_object_fetched(make_event: MakeEvent, provider: Provider) -> None:
    payment = payment_object(latest_charge={"id": "ch_1", "amount_refunded": 300})
    provider.put(payment)
    make_event("payment_intent.succeeded", payment_object(), created=AT)
    charge = {"id": "ch_1", "object": "charge", "payment_intent": payment["id"]}
    pointer = make_event("charge.refunded", charge, created=AT + 5)

    work_off()

    assert decided(pointer) == ("done", "unchanged")
    assert Record.objects.get().data["amount_refunded"] == 300
    assert Transition.objects.latest("version").changes == [["amount_refunded", 0, 300]]


@committing
def test_an_event_that_points_to_what_was_read_since_asks_nobody(make_event: MakeEvent, provider: Provider) -> None:
    provider.put(payment_object())
    run = Run.objects.create(
        tenant=Connection.objects.get().tenant, environment="test", connection=Connection.objects.get(), kind="resync",
        targets=[["payment_intent", "pi_0001"]], due_at=timezone.now(), asked_by="the tests",
    )  # fmt: skip
    work_off()
    pointer = make_event("charge.refunded", {"object": "charge", "payment_intent": "pi_0001"}, created=AT)

    work_off()

    run.refresh_from_db()
    assert run.state == "done"
    assert decided(pointer) == ("done", "unchanged")
    assert len(provider.asked) == 1


@committing
def test_a_question_that_the_provider_cannot_settle_parks_in_the_end(
    make_event: MakeEvent, provider: Provider, settings: Any
) -> None:
    """Its answer is itself refused: asking for ever would only pile up refused answers."""
    settings.RETRY_SCALE = 0
    provider.put(invoice_object(customer=None, status="void"))
    make_event("invoice.paid", invoice_object(customer=None, status="paid"), created=AT)
    unclear = make_event("invoice.voided", invoice_object(customer=None, status="void"), created=AT)

    for _ in range(20):
        work_off()
        due_now()

    assert decided(unclear)[0] == "parked"
    assert Failure.objects.get(event=unclear).problem.owner != "nobody"
    assert len(provider.asked) <= 8
    assert process_batch() == 0


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
    folder = Path(__file__).parent.parent / "providers" / connection.provider / "payloads"
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
