"""What refers to an object that was made anew in the books goes on with the new one."""

import pytest

from integrations.models import Command, CopyState, Drift, Outcome, Record, Route
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.reconciliation.check import check_record
from integrations.reconciliation.resolve import push
from tests.books import copy_of, held, work_off
from tests.conftest import TESTER
from tests.workflow.export.conftest import change, export_everything

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def refused(route: Route, books: Sandbox, story: dict[str, Record]) -> dict[str, Record]:
    """A paid invoice that was voided in the books before its payment came, so that the payment was refused."""
    story["invoice"].state = "open"
    story["invoice"].save()
    export_everything({name: story[name] for name in ("customer", "invoice")})
    books.lose("Invoices", "INV-1")
    change(story["invoice"], state="paid")
    export_everything({"payment": story["payment"]})
    return story


def test_a_payment_that_was_refused_says_that_its_invoice_is_not_open_there(refused: dict[str, Record]) -> None:
    payment = copy_of(refused["payment"])

    assert payment.state == CopyState.STOPPED
    assert "what it is for is not open there" in payment.reason


def test_the_payment_goes_on_once_its_invoice_was_made_anew(
    route: Route, books: Sandbox, refused: dict[str, Record]
) -> None:
    check_record(refused["invoice"], at=route.target, actor=TESTER)
    work_off()

    push(Drift.objects.filter(status="open"), actor=TESTER, reason="It was paid")
    work_off()

    assert sorted((each["Status"], each["AmountPaid"]) for each in held(books, "Invoices")) == [
        ("PAID", 119.0),
        ("VOIDED", 0.0),
    ]
    assert copy_of(refused["payment"]).state == CopyState.EXPORTED
    first, second = Command.objects.filter(action="payment.create").order_by("pk")
    assert (first.outcome, second.outcome) == (Outcome.CANCELLED, Outcome.ACCEPTED)
    assert first.operation_id != second.operation_id


def test_a_payment_that_was_refused_for_itself_stays_for_a_person(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    export_everything({name: story[name] for name in ("customer", "invoice")})
    route.target.settings["payment_account"] = "999"
    route.target.save()
    export_everything({"payment": story["payment"]})

    export_everything({"invoice": story["invoice"]})

    assert copy_of(story["payment"]).state == CopyState.STOPPED
    assert Command.objects.filter(action="payment.create").count() == 1


def test_a_refund_that_failed_after_its_payout_was_refused_leaves_no_credit_there(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    export_everything({name: story[name] for name in ("customer", "invoice", "payment")})
    route.target.settings["payment_account"] = "999"
    route.target.save()
    export_everything({"refund": story["refund"]})
    stopped = copy_of(story["refund"]).state

    change(story["refund"], state="failed")
    work_off()

    assert stopped == CopyState.STOPPED
    assert [note["Status"] for note in held(books, "CreditNotes")] == ["VOIDED"]
    assert copy_of(story["refund"]).state == CopyState.EXPORTED
    check_record(story["refund"], at=route.target, actor=TESTER)
    work_off()
    assert not Drift.objects.exists()
