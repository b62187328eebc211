"""Evidence that waits for another record, or for what the provider says."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from integrations.failures.categories import Category
from integrations.models import (
    Connection,
    Event,
    Failure,
    Link,
    Record,
    Run,
    Transition,
)
from integrations.workflow import belief, tasks, waits
from integrations.workflow.evidence import Read
from integrations.workflow.process import process_batch
from tests.conftest import customer_object
from tests.fake_provider import Provider, work_off
from tests.stripe_objects import invoice_object, payment_object, refund_object
from tests.workflow.process.conftest import AT, MakeEvent, committing, decided, due_now

pytestmark = pytest.mark.django_db


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
