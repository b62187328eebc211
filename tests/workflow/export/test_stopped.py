"""What an export needs a person for is told to people, and ends with a decision, a correction or another version."""

from typing import Any

import pytest

from integrations.models import (
    Command,
    Copy,
    CopyState,
    Failure,
    JournalEntry,
    Outcome,
    Record,
    Route,
)
from integrations.models import Link as Tie
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.reconciliation import pushing
from integrations.reconciliation.leaving_out import leave_out
from integrations.workflow import copies
from integrations.workflow.commands import resolve
from integrations.workflow.errors import Refusal
from tests.books import copy_of, held, put, work_off
from tests.conftest import TESTER
from tests.workflow.export.conftest import AT, MakeRecord

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def customer(make_record: MakeRecord) -> Record:
    return make_record("customer", data={"name": "Halvorsen Marine AS", "email": "ap@halvorsen.example",
                                         "currency": "EUR", "created_at": AT})  # fmt: skip


@pytest.fixture
def invoice(make_record: MakeRecord, customer: Record) -> Record:
    """One that the books cannot take: they know no negative amounts."""
    made = make_record("invoice", state="open", customer=customer, data={
        "number": "INV-1", "currency": "EUR", "subtotal": -10_000, "tax": 0, "total": -10_000, "amount_due": 0,
        "amount_paid": 0, "issued_at": AT, "due_at": None, "paid_at": None, "created_at": AT,
        "customer": "x"})  # fmt: skip
    Tie.objects.create(record=made, field="customer", target=customer)
    return made


def export(*records: Record) -> None:
    copies.make_due([record.pk for record in records], {record.connection_id for record in records})
    work_off()


def change(record: Record, **fields: Any) -> None:
    record.data, record.version = record.data | fields, record.version + 1
    record.save()
    export(record)


def failure_of(record: Record) -> Failure:
    return Failure.objects.get(copy__record=record, resolved_at=None)


def test_what_cannot_be_exported_asks_finance_and_says_what_to_do(
    route: Route, customer: Record, invoice: Record
) -> None:
    export(customer, invoice)

    failure = failure_of(invoice)
    invoice.refresh_from_db()
    assert (failure.category, failure.problem.owner) == ("business rule", "finance")
    assert failure.message == copy_of(invoice).reason
    assert "by hand and leave it out here" in failure.problem.next_step
    assert (invoice.waits_for, invoice.stuck_category) == ("a decision", "business rule")
    assert JournalEntry.objects.get(action="export.stopped").record_id == invoice.pk


def test_planned_again_it_is_one_failure_and_one_line(route: Route, customer: Record, invoice: Record) -> None:
    export(customer, invoice)
    export(invoice)

    assert failure_of(invoice).repeats == 1
    assert JournalEntry.objects.filter(action="export.stopped").count() == 1


def test_reasons_that_differ_in_their_amounts_are_one_problem(
    route: Route, customer: Record, invoice: Record, make_record: MakeRecord
) -> None:
    other = make_record("invoice", state="open", customer=customer, data=invoice.data | {
        "number": "INV-2", "subtotal": -77, "total": -77})  # fmt: skip
    Tie.objects.create(record=other, field="customer", target=customer)

    export(customer, invoice, other)

    assert failure_of(invoice).problem == failure_of(other).problem


def test_once_it_is_corrected_nobody_is_asked_any_more(
    route: Route, books: Sandbox, customer: Record, invoice: Record
) -> None:
    export(customer, invoice)

    change(invoice, subtotal=10_000, total=10_000)

    invoice.refresh_from_db()
    assert held(books, "Invoices")[0]["Total"] == 100.0
    assert not Failure.objects.filter(resolved_at=None).exists()
    assert invoice.stuck_since is None


def test_what_was_changed_there_asks_finance_to_compare(route: Route, books: Sandbox, customer: Record) -> None:
    export(customer)
    books.alter("Contacts", copy_of(customer).external_id, EmailAddress="other@halvorsen.example")
    Copy.objects.update(compared_at=None)

    change(customer, name="Halvorsen Offshore AS")

    assert failure_of(customer).problem.next_step == "Compare both, then send ours or ignore the difference."


def test_a_refused_command_gives_way_to_a_newer_version_of_its_record(
    route: Route, books: Sandbox, customer: Record
) -> None:
    put(books, "Contacts", {"Name": "Halvorsen Marine AS"})
    export(customer)
    refused = Command.objects.get(record=customer)

    change(customer, name="Halvorsen Shipping AS")

    refused.refresh_from_db()
    assert refused.outcome == Outcome.CANCELLED
    assert "The record has changed since: it is exported anew" in refused.outcome_reason
    assert copy_of(customer).state == CopyState.EXPORTED
    assert {contact["Name"] for contact in held(books, "Contacts")} == {"Halvorsen Marine AS", "Halvorsen Shipping AS"}
    assert not Failure.objects.filter(resolved_at=None).exists()


def test_a_refused_command_stays_while_its_record_does(route: Route, books: Sandbox, customer: Record) -> None:
    put(books, "Contacts", {"Name": "Halvorsen Marine AS"})
    export(customer)

    export(customer)

    assert Command.objects.get(record=customer).outcome == Outcome.FAILED
    assert copy_of(customer).state == CopyState.STOPPED


def test_what_is_left_out_asks_nobody_and_stays_out(
    route: Route, books: Sandbox, customer: Record, invoice: Record
) -> None:
    export(customer, invoice)

    leave_out(copy_of(invoice), actor=TESTER, reason="Entered by hand as INV-77")
    work_off()
    change(invoice, subtotal=10_000, total=10_000)

    copy = copy_of(invoice)
    invoice.refresh_from_db()
    assert (copy.state, copy.reason) == (CopyState.NOT_NEEDED, f"Left out by {TESTER.name}: Entered by hand as INV-77")
    assert not held(books, "Invoices")
    assert not Failure.objects.filter(resolved_at=None).exists()
    assert invoice.stuck_since is None
    assert JournalEntry.objects.get(action="export.left_out").reason == "Entered by hand as INV-77"


def test_leaving_it_out_cancels_what_was_refused(route: Route, books: Sandbox, customer: Record) -> None:
    put(books, "Contacts", {"Name": "Halvorsen Marine AS"})
    export(customer)

    leave_out(copy_of(customer), actor=TESTER, reason="The same company")
    work_off()

    assert Command.objects.get(record=customer).outcome == Outcome.CANCELLED
    assert copy_of(customer).state == CopyState.NOT_NEEDED


def test_exported_again_it_is_taken_in_again(route: Route, books: Sandbox, customer: Record) -> None:
    export(customer)
    leave_out(copy_of(customer), actor=TESTER, reason="Not wanted")
    work_off()
    change(customer, name="Halvorsen Offshore AS")
    before = held(books, "Contacts")[0]["Name"]

    pushing.export_again(copy_of(customer), actor=TESTER, reason="Wanted after all")
    work_off()

    assert before == "Halvorsen Marine AS"
    assert held(books, "Contacts")[0]["Name"] == "Halvorsen Offshore AS"


def test_nobody_leaves_out_without_a_reason_or_twice(route: Route, customer: Record) -> None:
    export(customer)

    with pytest.raises(Refusal, match="Give a reason"):
        leave_out(copy_of(customer), actor=TESTER, reason=" ")
    leave_out(copy_of(customer), actor=TESTER, reason="Not wanted")
    with pytest.raises(Refusal, match="left out already"):
        leave_out(copy_of(customer), actor=TESTER, reason="Not wanted")


def test_what_a_person_says_is_not_there_is_exported_no_more_and_can_be_again(
    route: Route, books: Sandbox, customer: Record
) -> None:
    export(customer)
    command = Command.objects.get(record=customer)
    Command.objects.filter(pk=command.pk).update(outcome=Outcome.ACCEPTED, state="parked")
    books.lose("Contacts", copy_of(customer).external_id, gone=True)

    resolve(command, outcome=Outcome.FAILED, actor=TESTER, reason="Nobody finds it there")
    work_off()
    stopped = copy_of(customer)
    pushing.export_again(stopped, actor=TESTER, reason="It has to be there")
    work_off()

    assert (stopped.state, stopped.external_id, stopped.made) == (CopyState.STOPPED, "", {})
    assert [contact["Name"] for contact in held(books, "Contacts")] == ["Halvorsen Marine AS"]
