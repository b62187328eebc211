"""What a person ignores in the books stays as it is there, until one of the sides changes."""

import pytest

from integrations.models import CopyState, Drift, DriftStatus, Record, Route
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.reconciliation.check import check_record
from integrations.reconciliation.resolve import ignore
from tests.books import copy_of, held, work_off
from tests.conftest import TESTER
from tests.workflow.export.conftest import change, export_everything, long_ago

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def invoice(route: Route, books: Sandbox, story: dict[str, Record]) -> Record:
    """An open invoice whose due date was moved in the books, and was ignored."""
    found = story["invoice"]
    found.state = "open"
    found.data |= {"paid_at": None, "amount_due": 11_900, "amount_paid": 0}
    found.save()
    export_everything({"customer": story["customer"], "invoice": found})
    books.alter("Invoices", copy_of(found).external_id, DueDate="2026-12-31")
    look(found, route)
    ignore(Drift.objects.all(), actor=TESTER, reason="They agreed on it")
    work_off()
    return found


def look(record: Record, route: Route) -> list[str]:
    """Check the record in the books; return the fields that differ."""
    check_record(record, at=route.target, actor=TESTER)
    work_off()
    return list(Drift.objects.filter(status=DriftStatus.OPEN).values_list("field", flat=True))


def test_what_is_as_it_was_ignored_does_not_open_again(route: Route, invoice: Record) -> None:
    assert look(invoice, route) == []
    assert look(invoice, route) == []


def test_it_opens_again_once_theirs_changes(route: Route, books: Sandbox, invoice: Record) -> None:
    books.alter("Invoices", copy_of(invoice).external_id, DueDate="2027-01-31")

    assert look(invoice, route) == ["due_at"]


@pytest.mark.parametrize("looked_at_long_ago", [False, True])
def test_it_opens_again_once_ours_changes_and_nothing_is_written(
    route: Route, books: Sandbox, invoice: Record, looked_at_long_ago: bool
) -> None:
    if looked_at_long_ago:
        long_ago()

    change(invoice, due_at="2026-12-24T09:15:00Z")
    work_off()

    drift = Drift.objects.get(status=DriftStatus.OPEN)
    assert (drift.ours, drift.theirs) == ("2026-12-24T00:00:00Z", "2026-12-31T00:00:00Z")
    assert held(books, "Invoices")[0]["DueDateString"] == "2026-12-31T00:00:00"
    assert copy_of(invoice).state == CopyState.STOPPED


@pytest.mark.parametrize("looked_at_long_ago", [False, True])
def test_a_change_of_another_field_leaves_it_as_it_is_there(
    route: Route, books: Sandbox, invoice: Record, looked_at_long_ago: bool
) -> None:
    if looked_at_long_ago:
        long_ago()

    change(invoice, number="INV-1a")
    work_off()
    again = look(invoice, route)

    (there,) = held(books, "Invoices")
    assert (there["InvoiceNumber"], there["DueDateString"]) == ("INV-1a", "2026-12-31T00:00:00")
    assert (again, copy_of(invoice).state) == ([], CopyState.EXPORTED)


def test_also_after_it_was_sent_as_it_stood_a_change_of_ours_opens_it(
    route: Route, books: Sandbox, invoice: Record
) -> None:
    change(invoice, number="INV-1a")
    work_off()

    change(invoice, due_at="2026-12-24T09:15:00Z")
    work_off()

    assert held(books, "Invoices")[0]["DueDateString"] == "2026-12-31T00:00:00"
    assert Drift.objects.get(status=DriftStatus.OPEN).field == "due_at"


def test_a_void_goes_out_beside_it(route: Route, books: Sandbox, invoice: Record) -> None:
    long_ago()

    change(invoice, state="void")
    work_off()

    assert held(books, "Invoices")[0]["Status"] == "VOIDED"
    assert copy_of(invoice).state == CopyState.EXPORTED


def test_what_stopped_for_it_goes_on_once_it_is_ignored(route: Route, books: Sandbox, story: dict[str, Record]) -> None:
    export_everything({"customer": story["customer"]})
    books.alter("Contacts", copy_of(story["customer"]).external_id, EmailAddress="other@halvorsen.example")
    long_ago()
    change(story["customer"], name="Halvorsen Offshore AS")
    work_off()
    stopped = copy_of(story["customer"]).state

    ignore(Drift.objects.filter(status=DriftStatus.OPEN), actor=TESTER, reason="They know it better")
    work_off()

    (contact,) = held(books, "Contacts")
    assert stopped == CopyState.STOPPED
    assert (contact["Name"], contact["EmailAddress"]) == ("Halvorsen Offshore AS", "other@halvorsen.example")


def test_what_was_voided_there_and_left_so_is_not_written_to(route: Route, books: Sandbox, invoice: Record) -> None:
    books.lose("Invoices", "INV-1")
    look(invoice, route)
    ignore(Drift.objects.filter(status=DriftStatus.OPEN), actor=TESTER, reason="They will not ask for it")
    work_off()

    change(invoice, number="INV-1a")
    work_off()

    assert copy_of(invoice).reason == "It is void there, and was left so."
    assert held(books, "Invoices")[0]["InvoiceNumber"] == "INV-1"
