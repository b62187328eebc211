"""Work leaves by being done, or dismissed by a named person with a reason; its evidence stays."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from integrations.boundary import payloads
from integrations.journal.actor import Actor
from integrations.models import Connection, Event, Failure, JournalEntry, Problem, Record, Run
from integrations.workflow.dismiss import dismiss
from integrations.workflow.errors import Refusal
from integrations.workflow.process import process_batch
from tests.conftest import customer_object
from tests.stripe_objects import invoice_object

pytestmark = pytest.mark.django_db

MakeEvent = Callable[..., Event]
MARTA = Actor(None, "Marta Kowalczyk", "operations", "192.0.2.88", "req_1")


@pytest.fixture
def parked(make_event: MakeEvent) -> Event:
    """An event that made its record stuck."""
    make_event("invoice.voided", invoice_object(customer=None, status="void"), created=1_700_000_100)
    event = make_event("invoice.paid", invoice_object(customer=None, status="paid"), created=1_700_000_200)
    process_batch()
    event.refresh_from_db()
    assert event.state == "parked"
    return event


def test_what_is_dismissed_is_over_and_its_evidence_stays(parked: Event) -> None:
    dismiss(parked, actor=MARTA, reason="Paid by mistake, they refunded")

    parked.refresh_from_db()
    assert parked.state == "dismissed"
    assert parked.finished_at
    assert b"invoice.paid" in payloads.read(parked.payload_id, parked.payload_at)
    assert process_batch() == 0


def test_its_failure_its_problem_and_its_record_are_free(parked: Event) -> None:
    assert Record.objects.get().stuck_since

    dismiss(parked, actor=MARTA, reason="Paid by mistake")

    record = Record.objects.get()
    assert (record.stuck_since, record.stuck_category, record.waits_for) == (None, "", "")
    assert Failure.objects.get().resolution == "Dismissed by Marta Kowalczyk"
    assert Problem.objects.values_list("count", "open_count").get() == (1, 0)


def test_the_journal_names_the_person_and_the_reason(parked: Event) -> None:
    dismiss(parked, actor=MARTA, reason="Paid by mistake")

    entry = JournalEntry.objects.get(action="event.dismissed")
    assert (entry.lane, entry.actor, entry.reason, entry.address) == (
        "people", "Marta Kowalczyk", "Paid by mistake", "192.0.2.88",
    )  # fmt: skip
    assert (entry.subject_id, entry.record_id) == (parked.pk, parked.record_id)


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_without_a_reason_nothing_is_dismissed(parked: Event, reason: str) -> None:
    with pytest.raises(Refusal, match="Give a reason"):
        dismiss(parked, actor=MARTA, reason=reason)

    parked.refresh_from_db()
    assert parked.state == "parked"


@pytest.mark.parametrize("state", ["ready", "leased", "held", "done", "dismissed"])
def test_only_what_waits_or_is_parked_is_dismissed(make_event: MakeEvent, state: str) -> None:
    event = make_event(state=state)

    with pytest.raises(Refusal, match=f"this is {state}"):
        dismiss(event, actor=MARTA, reason="Now")


def test_what_is_dismissed_is_not_woken_by_what_it_waited_for(make_event: MakeEvent) -> None:
    event = make_event("invoice.created", invoice_object(customer="cus_0001"))
    process_batch()
    dismiss(event, actor=MARTA, reason="A test of theirs")
    make_event(obj=customer_object("cus_0001"))

    process_batch()

    event.refresh_from_db()
    assert event.state == "dismissed"
    assert not Record.objects.filter(kind="invoice").exists()


def test_a_second_event_that_blocks_keeps_the_record_stuck(parked: Event, make_event: MakeEvent) -> None:
    make_event("invoice.paid", invoice_object(customer=None, status="paid"), created=1_700_000_300)
    process_batch()

    dismiss(parked, actor=MARTA, reason="Paid by mistake")

    assert Record.objects.get().stuck_category == "business rule"


def test_a_run_can_be_dismissed_too(connection: Connection) -> None:
    run = Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, kind="resync", state="parked",
        targets=[["customer", "cus_1"]], due_at=timezone.now(), asked_by="the tests",
    )  # fmt: skip

    dismiss(run, actor=MARTA, reason="It is gone there")

    run.refresh_from_db()
    assert run.state == "dismissed"
    assert JournalEntry.objects.get(action="run.dismissed").subject_id == run.pk
