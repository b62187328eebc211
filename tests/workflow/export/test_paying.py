"""What is paid on an invoice is compared with the books, once its payments are through there."""

from typing import Any

import httpx
import pytest

from console.drift.showing import at_stake
from integrations.models import CopyState, Drift, DriftStatus, Record, Route
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.reconciliation.check import check_record
from integrations.reconciliation.resolve import push
from integrations.workflow import copies
from integrations.workflow.errors import Refusal
from tests.books import copy_of, held, work_off
from tests.conftest import TESTER
from tests.workflow.export.conftest import change, export_everything

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owed(route: Route, story: dict[str, Record]) -> Record:
    """An open invoice in the books."""
    invoice = story["invoice"]
    invoice.state = "open"
    invoice.data |= {"paid_at": None, "amount_due": 11_900, "amount_paid": 0}
    invoice.save()
    export_everything({"customer": story["customer"], "invoice": invoice})
    return invoice


def look(record: Record, route: Route) -> dict[str, tuple[Any, Any]]:
    """Check a record in the books; return what differs."""
    check_record(record, at=route.target, actor=TESTER)
    work_off()
    found = Drift.objects.filter(record=record, status=DriftStatus.OPEN)
    return {drift.field: (drift.ours, drift.theirs) for drift in found}


def pay_by_hand(books: Sandbox, record: Record, amount: float) -> None:
    access, _ = books.tokens()
    payment = {"Invoice": {"InvoiceID": copy_of(record).external_id}, "Account": {"Code": "090"}, "Amount": amount}
    headers = {"authorization": f"Bearer {access}", "xero-tenant-id": books.tenant_id}
    httpx.put(f"{books.url}/api.xro/2.0/Payments", headers=headers, json=payment).raise_for_status()


def stake() -> int | None:
    rows = list(Drift.objects.filter(status=DriftStatus.OPEN))
    return at_stake(rows[0].record, rows)


def test_what_is_paid_here_without_a_payment_is_open_there_with_all_of_it_at_stake(route: Route, owed: Record) -> None:
    change(owed, state="paid", amount_paid=11_900)
    work_off()

    assert look(owed, route) == {"state": ("paid", "open"), "amount_due": (0, 11_900)}
    assert stake() == 11_900


def test_what_was_paid_there_by_hand_differs_by_what_was_paid(route: Route, books: Sandbox, owed: Record) -> None:
    pay_by_hand(books, owed, 50.0)

    assert look(owed, route) == {"amount_due": (11_900, 6_900)}
    assert stake() == 5_000


def test_a_payment_that_is_to_come_is_no_difference_and_none_once_it_is_there(
    route: Route, owed: Record, story: dict[str, Record]
) -> None:
    change(owed, state="paid", amount_paid=11_900)
    work_off()
    copies.make_due([story["payment"].pk], [owed.connection_id])

    before = look_while_waiting(owed, route)
    work_off()

    assert (before, look(owed, route)) == ({}, {})
    assert copy_of(story["payment"]).state == CopyState.EXPORTED


def look_while_waiting(record: Record, route: Route) -> dict[str, tuple[Any, Any]]:
    from integrations.workflow import process, sync

    check_record(record, at=route.target, actor=TESTER)
    while sync.perform_next() or process.process_batch():
        pass
    return dict.fromkeys(Drift.objects.filter(record=record).values_list("field", flat=True), (None, None))


def test_an_invoice_that_has_not_heard_of_its_payment_yet_is_not_compared(
    route: Route, owed: Record, story: dict[str, Record]
) -> None:
    export_everything({"payment": story["payment"]})

    assert look(owed, route) == {}


def test_a_payment_that_was_deleted_there_is_missed_in_what_is_due(
    route: Route, books: Sandbox, owed: Record, story: dict[str, Record]
) -> None:
    change(owed, state="paid", amount_paid=11_900)
    export_everything({"payment": story["payment"]})
    (payment,) = held(books, "Payments")
    books.control("DELETE", f"objects/Payments/{payment['PaymentID']}")

    assert look(owed, route) == {"state": ("paid", "open"), "amount_due": (0, 11_900)}


def test_where_payments_are_not_exported_nobody_compares_them(route: Route, owed: Record) -> None:
    Route.objects.update(kinds=["customer", "invoice"])
    change(owed, state="paid", amount_paid=11_900)
    work_off()

    assert look(owed, route) == {}


def test_money_is_not_sent_by_sending_the_invoice(route: Route, owed: Record) -> None:
    change(owed, state="paid", amount_paid=11_900)
    work_off()
    look(owed, route)

    with pytest.raises(Refusal, match="What is paid on it follows from its payments"):
        push(Drift.objects.all(), actor=TESTER, reason="They owe it")
