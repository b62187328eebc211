"""Settling drift: theirs by a transition that names the drift, or left as it is, with a reason."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from integrations.journal.actor import Actor
from integrations.models import Connection, Drift, Event, JournalEntry, Link, Record, Reference, Stream, Transition
from integrations.reconciliation.check import check_connection, check_record
from integrations.reconciliation.resolve import accept, ignore
from integrations.workflow.errors import Refusal
from integrations.workflow.process import process_batch
from tests.conftest import customer_object
from tests.fake_provider import Provider, work_off
from tests.stripe_objects import invoice_object, payment_object

pytestmark = pytest.mark.django_db(transaction=True)

MARTA = Actor(None, "Marta Kowalczyk", "operations", "192.0.2.88", "req_1")
MakeEvent = Callable[..., Event]
AT = 1_700_000_100


@pytest.fixture
def drifted(make_event: MakeEvent, provider: Provider) -> Callable[..., list[Drift]]:
    """Return a function that makes an invoice differ from what the provider shows, and checks it."""

    def make(ours: str = "open", **theirs: Any) -> list[Drift]:
        event_type = {"open": "invoice.finalized", "void": "invoice.voided", "paid": "invoice.paid"}[ours]
        make_event(event_type, invoice_object(customer=None, status=ours), created=AT)
        process_batch()
        provider.put(invoice_object(**({"customer": None, "status": ours} | theirs)))
        check_record(Record.objects.get(kind="invoice"), actor=MARTA)
        work_off()
        return list(Drift.objects.filter(status="open").order_by("pk"))

    return make


def test_theirs_becomes_belief_by_one_transition_that_names_the_drift(drifted: Callable[..., list[Drift]]) -> None:
    drifts = drifted(status="paid", amount_paid=25000)

    count = accept(drifts, actor=MARTA, reason="They are right")

    record = Record.objects.get()
    transition = Transition.objects.get(version=2)
    assert count == 2
    assert (record.state, record.data["amount_paid"], record.version) == ("paid", 25000, 2)
    assert (transition.cause, transition.cause_id) == ("reconciliation", drifts[0].pk)
    assert transition.changes == [["state", "open", "paid"], ["amount_paid", 0, 25000]]
    assert transition.mapping


def test_the_rows_are_settled_by_the_person_with_the_reason(drifted: Callable[..., list[Drift]]) -> None:
    accept(drifted(status="paid"), actor=MARTA, reason="They are right")

    drift = Drift.objects.get()
    assert (drift.status, drift.settled_by, drift.reason) == ("accepted", "Marta Kowalczyk", "They are right")
    assert drift.settled_at
    assert Record.objects.get().open_drift == 0


def test_the_journal_tells_the_decision_and_the_change(drifted: Callable[..., list[Drift]]) -> None:
    accept(drifted(status="paid"), actor=MARTA, reason="They are right")

    change = JournalEntry.objects.filter(action="record.changed").latest("id")
    assert change.summary == "open → paid. Caused by accepting theirs"
    assert (change.actor, change.reason, change.data["legal"]) == ("Marta Kowalczyk", "They are right", True)
    assert JournalEntry.objects.get(action="drift.accepted").lane == "people"


def test_a_step_that_is_not_legal_by_itself_is_taken_and_said(drifted: Callable[..., list[Drift]]) -> None:
    accept(drifted("void", status="paid"), actor=MARTA, reason="They reopened it")

    assert Record.objects.get().state == "paid"
    change = JournalEntry.objects.filter(action="record.changed").latest("id")
    assert "not a legal step; a person decided it" in change.summary
    assert change.data["legal"] is False


def test_one_field_can_be_accepted_and_another_stay_open(drifted: Callable[..., list[Drift]]) -> None:
    state, amount = drifted(status="paid", amount_paid=25000)

    accept([amount], actor=MARTA, reason="They are right")

    record = Record.objects.get()
    assert (record.state, record.data["amount_paid"], record.open_drift) == ("open", 25000, 1)
    state.refresh_from_db()
    assert state.status == "open"


def test_personal_data_stays_out_of_the_journal(make_event: MakeEvent, provider: Provider) -> None:
    make_event(obj=customer_object(email="marked@one.example"), created=AT)
    process_batch()
    provider.put(customer_object(email="marked@two.example"))
    check_record(Record.objects.get(), actor=MARTA)
    work_off()

    accept(Drift.objects.all(), actor=MARTA, reason="They are right")

    assert Record.objects.get().data["email"] == "marked@two.example"
    told = str(list(JournalEntry.objects.values_list("summary", "data", "reason")))
    assert "marked" not in told


def test_evidence_from_before_the_check_does_not_undo_what_was_accepted(
    drifted: Callable[..., list[Drift]], make_event: MakeEvent
) -> None:
    accept(drifted(number="NW-0002"), actor=MARTA, reason="They are right")
    late = make_event("invoice.updated", invoice_object(customer=None, number="NW-0003"), created=AT + 5)

    work_off()

    late.refresh_from_db()
    assert late.decision == "stale"
    assert Record.objects.get().label == "NW-0002"


def test_what_was_learned_since_the_check_is_not_undone_by_accepting_it(
    drifted: Callable[..., list[Drift]], make_event: MakeEvent, provider: Provider
) -> None:
    drifts = drifted(number="NW-0002")
    make_event("invoice.updated", invoice_object(customer=None, number="NW-0009"), created=provider.now + 5)
    work_off()

    with pytest.raises(Refusal, match="Newer evidence has arrived"):
        accept(drifts, actor=MARTA, reason="They are right")

    assert Record.objects.get().label == "NW-0009"
    assert Transition.objects.filter(cause="reconciliation").count() == 0


@pytest.mark.parametrize("before", [0, 1])
def test_what_may_have_been_after_the_look_of_the_check_is_not_undone_either(
    drifted: Callable[..., list[Drift]], make_event: MakeEvent, provider: Provider, before: int
) -> None:
    drifts = drifted(number="NW-0002")
    make_event("invoice.voided", invoice_object(customer=None, status="void"), created=provider.now - before)
    process_batch()

    with pytest.raises(Refusal, match="Newer evidence has arrived"):
        accept(drifts, actor=MARTA, reason="They are right")

    assert Record.objects.get().state == "void"


def test_a_customer_that_is_another_one_is_linked(drifted: Callable[..., list[Drift]], make_event: MakeEvent) -> None:
    make_event(obj=customer_object("cus_0007"), created=AT)
    process_batch()

    accept(drifted(customer="cus_0007"), actor=MARTA, reason="They moved it")

    invoice, customer = Record.objects.get(kind="invoice"), Record.objects.get(kind="customer")
    assert invoice.customer == customer
    assert Link.objects.get(record=invoice, field="customer").target == customer


def test_a_customer_that_we_do_not_hold_cannot_be_accepted_yet(drifted: Callable[..., list[Drift]]) -> None:
    with pytest.raises(Refusal, match="cus_0007"):
        accept(drifted(customer="cus_0007"), actor=MARTA, reason="They moved it")

    assert Record.objects.get().data["customer"] is None


# -- existence


def test_what_is_gone_there_is_gone_here_once_accepted(make_event: MakeEvent, provider: Provider) -> None:
    make_event("invoice.created", invoice_object(customer=None, status="draft"), created=AT)
    process_batch()
    check_record(Record.objects.get(), actor=MARTA)
    work_off()

    accept(Drift.objects.all(), actor=MARTA, reason="They deleted the draft")

    assert Record.objects.get().state == "deleted"
    assert Reference.objects.get().deleted_at
    assert Transition.objects.get(version=2).changes == [["state", "draft", "deleted"]]


def test_what_cannot_be_deleted_does_not_become_so(make_event: MakeEvent, provider: Provider) -> None:
    make_event("payment_intent.succeeded", payment_object(), created=AT)
    process_batch()
    check_record(Record.objects.get(), actor=MARTA)
    work_off()

    with pytest.raises(Refusal, match="cannot be deleted"):
        accept(Drift.objects.all(), actor=MARTA, reason="It is gone")

    assert Record.objects.get().state == "succeeded"
    assert Drift.objects.get().status == "open"


def test_what_is_there_after_all_is_as_the_check_showed_it(make_event: MakeEvent, provider: Provider) -> None:
    make_event(created=AT)
    make_event("customer.deleted", customer_object(), created=AT + 1)
    process_batch()
    provider.put(customer_object(name="Back again"))
    check_record(Record.objects.get(), actor=MARTA)
    work_off()

    accept(Drift.objects.all(), actor=MARTA, reason="They restored it")

    record = Record.objects.get()
    assert (record.state, record.label) == ("active", "Back again")
    assert Reference.objects.get().deleted_at is None


def test_what_they_have_and_we_do_not_becomes_a_record_once_accepted(
    provider: Provider, connection: Connection
) -> None:
    Stream.objects.exclude(resource="invoice").delete()
    provider.put(invoice_object(customer=None))
    check_connection(connection, actor=MARTA)
    work_off()

    accept(Drift.objects.all(), actor=MARTA, reason="We missed it")
    work_off()

    record = Record.objects.get()
    assert (record.state, record.label) == ("open", "NW-0001")
    assert Drift.objects.get().status == "accepted"


# -- leaving it


def test_what_is_ignored_changes_nothing_and_says_why(drifted: Callable[..., list[Drift]]) -> None:
    count = ignore(drifted(status="paid"), actor=MARTA, reason="Their test")

    record, drift = Record.objects.get(), Drift.objects.get()
    assert (count, record.state, record.version, record.open_drift) == (1, "open", 1, 0)
    assert (drift.status, drift.settled_by, drift.reason) == ("ignored", "Marta Kowalczyk", "Their test")
    entry = JournalEntry.objects.get(action="drift.ignored")
    assert (entry.actor, entry.reason, entry.record_id) == ("Marta Kowalczyk", "Their test", record.pk)


def test_what_was_ignored_opens_again_in_a_later_check(drifted: Callable[..., list[Drift]]) -> None:
    ignore(drifted(status="paid"), actor=MARTA, reason="Their test")

    check_record(Record.objects.get(), actor=MARTA)
    work_off()

    assert list(Drift.objects.order_by("pk").values_list("status", flat=True)) == ["ignored", "open"]


@pytest.mark.parametrize("settle", [accept, ignore])
def test_drift_is_settled_with_a_reason(drifted: Callable[..., list[Drift]], settle: Callable[..., int]) -> None:
    with pytest.raises(Refusal, match="Give a reason"):
        settle(drifted(status="paid"), actor=MARTA, reason="  ")

    assert Drift.objects.get().status == "open"


@pytest.mark.parametrize("settle", [accept, ignore])
def test_drift_is_settled_once(drifted: Callable[..., list[Drift]], settle: Callable[..., int]) -> None:
    drifts = drifted(status="paid")
    Drift.objects.update(status="gone", settled_at=timezone.now())

    with pytest.raises(Refusal, match="settled already"):
        settle(drifts, actor=MARTA, reason="Now")

    assert Transition.objects.count() == 1


def test_of_several_rows_one_that_is_settled_stops_all(drifted: Callable[..., list[Drift]]) -> None:
    drifts = drifted(status="paid", amount_paid=25000)
    Drift.objects.filter(pk=drifts[0].pk).update(status="gone")

    with pytest.raises(Refusal, match="settled already"):
        accept(drifts, actor=MARTA, reason="Now")

    assert Record.objects.get().version == 1
