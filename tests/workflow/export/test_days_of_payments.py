"""A payment is booked on the day on which its money was collected, whichever evidence comes first."""

from collections.abc import Callable

import pytest

from integrations.models import Cause, CopyState, Event, Link, Record, Route, Transition, WorkState
from integrations.providers.xero.sandbox.harness import Sandbox
from tests.books import copy_of, held, work_off
from tests.workflow.export.conftest import MakeRecord, change, export_everything, leave_open

pytestmark = pytest.mark.django_db(transaction=True)
MakeEvent = Callable[..., Event]
NOV_18 = "/Date(1794960000000+0000)/"


def days_of(books: Sandbox) -> dict[float, str]:
    """Return on which day each payment stands in the books, by its amount."""
    return {payment["Amount"]: payment["Date"] for payment in held(books, "Payments")}


def test_two_instalments_keep_their_own_days(
    route: Route, books: Sandbox, story: dict[str, Record], make_record: MakeRecord
) -> None:
    money = {"currency": "EUR", "created_at": "2026-10-29T09:15:00Z"}
    story["payment"].data |= money | {
        "amount": 5_900, "amount_received": 5_900, "collected_at": "2026-10-30T09:15:00Z"}  # fmt: skip
    story["payment"].save()
    second = make_record("payment", data=money | {
        "amount": 6_000, "amount_received": 6_000, "collected_at": "2026-11-18T09:15:00Z"})  # fmt: skip
    Link.objects.create(record=second, field="invoice", target=story["invoice"])

    export_everything({name: story[name] for name in ("customer", "invoice", "payment")} | {"second": second})

    assert days_of(books) == {59.0: "/Date(1793318400000+0000)/", 60.0: NOV_18}


def test_a_payment_that_settles_before_its_invoice_waits_for_its_day(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    leave_open(story["invoice"])
    story["payment"].data |= {"created_at": "2026-10-31T10:00:00Z", "collected_at": None}
    story["payment"].save()
    export_everything({name: story[name] for name in ("customer", "invoice", "payment")})
    copy = copy_of(story["payment"])
    assert (copy.state, held(books, "Payments")) == (CopyState.WAITING, [])
    assert copy.reason == "Waits until its provider or its invoice tells when the money was collected."

    change(story["invoice"], state="paid", paid_at="2026-11-18T09:15:00Z", amount_due=0, amount_paid=11_900)
    work_off()

    assert days_of(books) == {119.0: NOV_18}
    assert copy_of(story["payment"]).state == CopyState.EXPORTED


@pytest.mark.parametrize(("exact", "booked"), [(False, {119.0: NOV_18}), (True, {})])
def test_an_event_tells_the_day_and_a_look_later_on_does_not(
    route: Route,
    books: Sandbox,
    story: dict[str, Record],
    make_event: MakeEvent,
    exact: bool,
    booked: dict[float, str],
) -> None:
    leave_open(story["invoice"])
    story["payment"].data |= {"created_at": "2026-10-31T10:00:00Z", "collected_at": None}
    story["payment"].save()
    event = make_event(state=WorkState.DONE, exact=exact)
    Transition.objects.create(
        record=story["payment"], version=1, from_state="processing", to_state="succeeded", cause=Cause.EVENT,
        cause_id=event.pk, occurred_at="2026-11-18T11:00:00Z", at="2026-11-18T11:00:01Z",
    )  # fmt: skip

    export_everything({name: story[name] for name in ("customer", "invoice", "payment")})

    assert days_of(books) == booked
