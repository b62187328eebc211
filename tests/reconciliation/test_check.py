"""Comparing belief with the provider now: drift is one row a field, opened once, and closed when it is gone."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.journal.actor import Actor
from integrations.models import Connection, Drift, Event, JournalEntry, Record, Reference, Run, Stream, Transition
from integrations.reconciliation.check import check_connection, check_record
from integrations.workflow import endings
from integrations.workflow.errors import Refusal
from integrations.workflow.process import process_batch
from integrations.workflow.sync import perform_next
from tests.conftest import customer_object
from tests.fake_provider import Provider, work_off
from tests.stripe_objects import invoice_object

pytestmark = pytest.mark.django_db(transaction=True)

MARTA = Actor(None, "Marta Kowalczyk", "operations", "192.0.2.88", "req_1")
MakeEvent = Callable[..., Event]
AT = 1_700_000_100


@pytest.fixture
def record(make_event: MakeEvent) -> Record:
    """An open invoice, as an event told it."""
    make_event("invoice.finalized", invoice_object(customer=None), created=AT)
    process_batch()
    return Record.objects.get()


@pytest.fixture
def only_invoices(connection: Connection) -> Stream:
    Stream.objects.exclude(resource="invoice").delete()
    return connection.streams.get()


def check(record: Record) -> Run:
    run = check_record(record, actor=MARTA, reason="They called")
    work_off()
    run.refresh_from_db()
    assert run.state == "done"
    return run


def rows() -> list[tuple[Any, ...]]:
    return list(Drift.objects.order_by("pk").values_list("field", "ours", "theirs", "status"))


# -- one record


def test_a_check_asks_the_provider_and_changes_no_belief(record: Record, provider: Provider) -> None:
    provider.put(invoice_object(customer=None, status="paid", amount_paid=25000))

    run = check(record)

    record.refresh_from_db()
    assert provider.paths == ["/v1/invoices/in_0001"]
    assert (record.state, record.version) == ("open", 1)
    assert Transition.objects.count() == 1
    assert (run.compared, run.differs) == (1, 1)


def test_drift_is_one_row_a_field_with_both_sides_and_the_evidence(record: Record, provider: Provider) -> None:
    provider.put(invoice_object(customer=None, status="paid", amount_paid=25000))

    run = check(record)

    assert rows() == [("state", "open", "paid", "open"), ("amount_paid", 0, 25000, "open")]
    drift = Drift.objects.filter(field="state").get()
    assert (drift.record, drift.run, drift.evidence) == (record, run, Event.objects.get(source="check"))
    record.refresh_from_db()
    assert record.open_drift == 2


def test_the_journal_says_what_was_found(record: Record, provider: Provider) -> None:
    provider.put(invoice_object(customer=None, status="paid"))

    check(record)

    asked, found = JournalEntry.objects.filter(record_id=record.pk, action__contains="check").order_by("id")
    assert (asked.action, asked.lane, asked.actor, asked.reason) == (
        "record.check_asked", "people", "Marta Kowalczyk", "They called",
    )  # fmt: skip
    assert (found.action, found.lane, found.outcome) == ("record.checked", "reconciliation", "differs")
    assert found.summary == "Checked at Stripe: differs in 1 of 13 fields (state)"
    assert found.data["fields"] == ["state"]


def test_a_match_says_so_and_moves_the_time_of_the_check(record: Record, provider: Provider) -> None:
    provider.put(invoice_object(customer=None))
    Reference.objects.update(checked_at=timezone.now() - timedelta(days=1))

    run = check(record)

    assert (run.compared, run.differs, rows()) == (1, 0, [])
    assert Event.objects.get(source="check").decision_reason == "Checked at Stripe: matches in all 13 fields"
    assert Reference.objects.get().checked_at > timezone.now() - timedelta(minutes=1)


def test_a_difference_that_is_seen_again_stays_one_row(record: Record, provider: Provider) -> None:
    provider.put(invoice_object(customer=None, status="paid"))
    check(record)
    first = Drift.objects.get()
    provider.put(invoice_object(customer=None, status="uncollectible"))

    second_run = check(record)

    again = Drift.objects.get()
    assert (again.pk, again.first_seen_at) == (first.pk, first.first_seen_at)
    assert (again.theirs, again.run) == ("uncollectible", second_run)
    assert again.last_seen_at > first.last_seen_at


def test_a_difference_that_a_later_check_does_not_find_is_gone(record: Record, provider: Provider) -> None:
    provider.put(invoice_object(customer=None, status="paid"))
    check(record)
    provider.put(invoice_object(customer=None))

    check(record)

    drift = Drift.objects.get()
    assert (drift.status, drift.reason, bool(drift.settled_at)) == ("gone", "A later check found it equal", True)
    record.refresh_from_db()
    assert record.open_drift == 0


def test_a_difference_is_gone_when_later_evidence_makes_both_sides_equal(
    record: Record, provider: Provider, make_event: MakeEvent
) -> None:
    provider.put(invoice_object(customer=None, status="paid"))
    check(record)

    make_event("invoice.paid", invoice_object(customer=None, status="paid"), created=provider.now + 5)
    work_off()

    assert rows() == [("state", "open", "paid", "gone")]
    record.refresh_from_db()
    assert (record.state, record.open_drift) == ("paid", 0)


def test_a_difference_of_evidence_that_came_later_is_none(
    record: Record, provider: Provider, make_event: MakeEvent
) -> None:
    """The object was read, then it changed and its event was settled, and then the read was compared."""
    provider.put(invoice_object(customer=None))
    check_record(record, actor=MARTA)
    perform_next()
    Event.objects.filter(source="check").update(state="waiting", due_at=timezone.now() + timedelta(hours=1))
    make_event("invoice.paid", invoice_object(customer=None, status="paid"), created=provider.now + 5)
    work_off()
    Event.objects.filter(source="check").update(due_at=timezone.now())

    work_off()

    assert rows() == []
    event = Event.objects.get(source="check")
    assert (event.state, event.decision) == ("done", "stale")


def test_what_is_not_there_any_more_is_a_difference_in_existence(record: Record, provider: Provider) -> None:
    check(record)

    assert rows() == [("existence", "present", "absent", "open")]
    assert Event.objects.get(source="check").decision_reason == "Checked at Stripe: it is not there"


def test_what_is_gone_at_both_sides_matches(make_event: MakeEvent, provider: Provider) -> None:
    make_event("customer.created", customer_object(), created=AT)
    make_event("customer.deleted", customer_object(), created=AT + 1)
    process_batch()
    provider.put({"id": "cus_0001", "object": "customer", "deleted": True})

    run = check(Record.objects.get())

    assert (run.compared, run.differs, rows()) == (1, 0, [])


def test_a_check_under_way_is_not_asked_twice(record: Record, provider: Provider) -> None:
    first = check_record(record, actor=MARTA)

    assert check_record(record, actor=MARTA) == first
    assert Run.objects.count() == 1


def test_a_disabled_connection_is_not_checked(record: Record, connection: Connection) -> None:
    Connection.objects.update(disabled_at=timezone.now())

    with pytest.raises(Refusal, match="disabled"):
        check_record(record, actor=MARTA)
    connection.refresh_from_db()
    with pytest.raises(Refusal, match="disabled"):
        check_connection(connection, actor=MARTA)


def test_a_record_that_no_provider_knows_cannot_be_checked(record: Record) -> None:
    Reference.objects.all().delete()

    with pytest.raises(Refusal, match="No provider knows this record"):
        check_record(record, actor=MARTA)


def test_an_answer_that_cannot_be_mapped_is_a_failure_and_no_drift(record: Record, provider: Provider) -> None:
    provider.put(invoice_object(customer=None, status="disputed"))

    check_record(record, actor=MARTA)
    work_off()

    assert rows() == []
    assert Event.objects.get(source="check").state == "parked"


# -- a whole connection


@pytest.mark.usefixtures("only_invoices")
def test_a_connection_is_checked_stream_by_stream(record: Record, provider: Provider, connection: Connection) -> None:
    provider.put(invoice_object(customer=None, status="paid"))

    (run,) = check_connection(connection, actor=MARTA, reason="Month end")
    work_off()

    run.refresh_from_db()
    assert (run.state, run.kind, run.compared, run.differs) == ("done", "reconcile", 1, 1)
    assert rows() == [("state", "open", "paid", "open")]
    assert JournalEntry.objects.get(action="connection.check_asked").reason == "Month end"


def test_the_event_log_is_not_checked(connection: Connection) -> None:
    planned = check_connection(connection, actor=MARTA)

    assert len(planned) == 4
    assert all(run.stream and not run.stream.change_log for run in planned)


def test_a_check_of_a_connection_under_way_is_not_asked_twice(connection: Connection) -> None:
    check_connection(connection, actor=MARTA)

    with pytest.raises(Refusal, match="under way already"):
        check_connection(connection, actor=MARTA)


def test_a_check_moves_no_cursor_of_its_stream(
    only_invoices: Stream, provider: Provider, connection: Connection
) -> None:
    check_connection(connection, actor=MARTA)
    work_off()

    only_invoices.refresh_from_db()
    assert only_invoices.first_sync_done_at is None
    assert only_invoices.changed_since is None


@pytest.mark.usefixtures("only_invoices")
def test_what_they_have_and_we_do_not_is_a_difference_in_existence(provider: Provider, connection: Connection) -> None:
    provider.put(invoice_object(customer=None))

    check_connection(connection, actor=MARTA)
    work_off()

    assert rows() == [("existence", "absent", "present", "open")]
    assert not Record.objects.exists()


@pytest.mark.usefixtures("only_invoices")
def test_that_difference_is_gone_once_evidence_makes_the_record(
    provider: Provider, connection: Connection, make_event: MakeEvent
) -> None:
    provider.put(invoice_object(customer=None))
    check_connection(connection, actor=MARTA)
    work_off()

    make_event("invoice.finalized", invoice_object(customer=None), created=provider.now + 5)
    work_off()

    assert rows() == [("existence", "absent", "present", "gone")]


@pytest.mark.usefixtures("only_invoices", "record")
def test_of_many_that_the_list_does_not_show_each_is_asked_for(
    make_event: MakeEvent, provider: Provider, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "MOST_TARGETS", 2)
    for n in range(2, 6):
        make_event("invoice.finalized", invoice_object(f"in_000{n}", customer=None), created=AT)
    process_batch()
    Reference.objects.update(checked_at=timezone.now() - timedelta(days=1))
    Record.objects.update(created_at=timezone.now() - timedelta(days=1))

    check_connection(connection, actor=MARTA)
    work_off()

    assert provider.paths[1:] == [f"/v1/invoices/in_000{n}" for n in range(1, 6)]
    assert Run.objects.filter(stream=None, state="done").count() == 3
    assert Drift.objects.filter(field="existence", theirs="absent").count() == 5


@pytest.mark.usefixtures("only_invoices")
def test_what_we_hold_and_the_list_does_not_show_is_asked_for_by_its_id(
    record: Record, make_event: MakeEvent, provider: Provider, connection: Connection
) -> None:
    make_event("invoice.finalized", invoice_object("in_0002", customer=None), created=AT)
    process_batch()
    provider.put(invoice_object("in_0002", customer=None))
    Reference.objects.update(checked_at=timezone.now() - timedelta(days=1))
    Record.objects.update(created_at=timezone.now() - timedelta(days=1))

    check_connection(connection, actor=MARTA)
    work_off()

    assert provider.paths == ["/v1/invoices?limit=100", "/v1/invoices/in_0001"]
    assert rows() == [("existence", "present", "absent", "open")]
    assert Drift.objects.get().record == record


@pytest.mark.usefixtures("only_invoices")
def test_what_came_to_be_during_the_check_is_not_missed(
    record: Record, provider: Provider, connection: Connection
) -> None:
    Reference.objects.update(checked_at=timezone.now() - timedelta(days=1))
    Record.objects.update(created_at=timezone.now() + timedelta(seconds=5))

    check_connection(connection, actor=MARTA)
    work_off()

    assert rows() == []


@pytest.mark.usefixtures("only_invoices")
def test_a_difference_that_is_gone_closes_in_the_next_check_of_all(
    record: Record, provider: Provider, connection: Connection
) -> None:
    """Though the object reads as when it was last seen: what was seen last is not what differed."""
    provider.put(invoice_object(customer=None))
    check_connection(connection, actor=MARTA)
    work_off()
    provider.put(invoice_object(customer=None, status="paid"))
    check_connection(connection, actor=MARTA)
    work_off()
    assert rows() == [("state", "open", "paid", "open")]
    provider.put(invoice_object(customer=None))

    check_connection(connection, actor=MARTA)
    work_off()

    assert rows() == [("state", "open", "paid", "gone")]
