"""What one event does to belief, and what the journal says of it."""

import pytest

from integrations.failures.categories import Category
from integrations.models import (
    Event,
    Failure,
    JournalEntry,
    Record,
    Reference,
    Transition,
)
from integrations.workflow.process import process_batch
from tests.conftest import customer_object
from tests.stripe_objects import invoice_object
from tests.workflow.process.conftest import AT, MakeEvent, decided

pytestmark = pytest.mark.django_db


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
