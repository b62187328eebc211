"""What goes into the books, by the state of a record and of what it refers to."""

from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from integrations.providers.exporting import Ask, Await, Expected, Hold, Impossible, Made, Nothing, Part
from integrations.providers.xero.exporting import XeroExporter

EXPORTER = XeroExporter()
AT = "2026-11-20T09:15:00Z"

CUSTOMER = Part(
    1, "customer", "active", {"name": "Halvorsen Marine AS", "email": "ap@halvorsen.example", "currency": "EUR"},
    "Halvorsen Marine AS", source_id="cus_1",
)  # fmt: skip
CONTACT = replace(CUSTOMER, external_id="contact-1", made={"contact.create": Made("contact-1", {"name": "x"})})


def invoice(state: str = "open", **fields: Any) -> Part:
    data = {
        "number": "INV-1", "customer": "cus_1", "currency": "EUR", "subtotal": 10_000, "tax": 1_900, "total": 11_900,
        "issued_at": AT, "due_at": None, "paid_at": None, "created_at": AT,
    }  # fmt: skip
    return Part(2, "invoice", state, data | fields, "INV-1", source_id="in_1", links={"customer": CONTACT})


def in_the_books(part: Part, action: str, external_id: str = "object-1") -> Part:
    """Return a part after its planned action was accepted."""
    plan = EXPORTER.plan(part)
    assert isinstance(plan, Ask)
    assert plan.action == action
    made = {**part.made, action: Made(external_id, plan.content)}
    return replace(part, external_id=part.external_id or external_id, made=made)


def payment(state: str = "succeeded", **links: Part) -> Part:
    data = {"currency": "EUR", "amount": 11_900, "amount_received": 11_900, "collected_at": AT, "created_at": AT}
    return Part(3, "payment", state, data, "pi_1", source_id="pi_1", links=links)


def refund(state: str = "succeeded", **links: Part) -> Part:
    data = {"currency": "EUR", "amount": 2_500, "reason": "duplicate", "created_at": AT}
    return Part(4, "refund", state, data, "re_1", source_id="re_1", links=links)


def test_a_customer_becomes_a_contact_and_a_change_of_them_an_update() -> None:
    there = in_the_books(CUSTOMER, "contact.create")
    renamed = replace(there, data={**there.data, "name": "Halvorsen Offshore AS"})

    assert EXPORTER.plan(there) == Nothing()
    plan = EXPORTER.plan(renamed)
    assert isinstance(plan, Ask)
    assert (plan.action, plan.external_id) == ("contact.update", "object-1")
    assert plan.content["name"] == "Halvorsen Offshore AS"


def test_a_customer_without_a_name_is_called_by_their_id_and_not_by_their_address() -> None:
    """A name shows where an e-mail address may not: on the page of drift, and in its report."""
    plan = EXPORTER.plan(replace(CUSTOMER, data={**CUSTOMER.data, "name": " "}, label="ap@halvorsen.example"))

    assert isinstance(plan, Ask)
    assert plan.content["name"] == "cus_1"


def test_two_customers_of_one_name_become_two_contacts() -> None:
    plan = EXPORTER.plan(replace(CUSTOMER, namesake=True))

    assert isinstance(plan, Ask)
    assert plan.content["name"] == "Halvorsen Marine AS (cus_1)"


@pytest.mark.parametrize("state", ["open", "paid", "uncollectible"])
def test_an_issued_invoice_becomes_one_in_the_books(state: str) -> None:
    plan = EXPORTER.plan(invoice(state))

    assert isinstance(plan, Ask)
    assert plan.action == "invoice.create"
    assert plan.content == {
        "number": "INV-1", "customer": "contact-1", "currency": "EUR", "subtotal": 10_000, "tax": 1_900,
        "total": 11_900, "issued_at": AT, "due_at": AT, "state": "open",
    }  # fmt: skip


@pytest.mark.parametrize("state", ["draft", "void", "deleted"])
def test_what_was_never_issued_or_is_void_already_stays_out_of_the_books(state: str) -> None:
    assert isinstance(EXPORTER.plan(invoice(state)), Nothing)


@pytest.mark.parametrize("state", ["void", "deleted"])
def test_an_invoice_that_is_voided_here_is_voided_there_once(state: str) -> None:
    there = replace(in_the_books(invoice(), "invoice.create"), state=state)

    assert EXPORTER.plan(there) == Ask("invoice.void", {}, "object-1")
    assert isinstance(EXPORTER.plan(in_the_books(there, "invoice.void")), Nothing)
    assert isinstance(EXPORTER.plan(replace(there, shown_state="void")), Nothing)


def test_what_was_taken_off_before_tax_is_taken_off_the_net_amount() -> None:
    # 100.00 less a discount of 20.00, and 15.20 tax: the books add up 80.00 and 15.20.
    plan = EXPORTER.plan(invoice(subtotal=10_000, tax=1_520, total=9_520))

    assert isinstance(plan, Ask)
    assert plan.content["subtotal"] + plan.content["tax"] == plan.content["total"] == 9_520


@pytest.mark.parametrize(("currency", "total"), [("JPY", 11_901), ("KWD", 11_910)])
def test_currencies_without_and_with_three_decimals_keep_their_minor_units(currency: str, total: int) -> None:
    plan = EXPORTER.plan(invoice(currency=currency, subtotal=total, tax=0, total=total))

    assert isinstance(plan, Ask)
    assert plan.content["total"] == total


def test_a_third_decimal_is_never_rounded_away() -> None:
    plan = EXPORTER.plan(invoice(currency="KWD", subtotal=11_911, tax=0, total=11_911))

    assert isinstance(plan, Impossible)
    assert "11.911 KWD" in plan.reason


def test_a_negative_invoice_is_left_to_a_person() -> None:
    assert isinstance(EXPORTER.plan(invoice(subtotal=-500, tax=0, total=-500)), Impossible)


def test_what_refers_to_a_record_waits_until_that_is_in_the_books() -> None:
    waiting = replace(invoice(), links={"customer": CUSTOMER})

    assert EXPORTER.plan(waiting) == Await(CUSTOMER)
    assert EXPORTER.plan(payment(invoice=waiting)) == Await(waiting)
    assert EXPORTER.plan(refund(payment=payment(invoice=waiting))) == Await(payment(invoice=waiting))


def test_a_payment_of_an_invoice_is_entered_with_what_was_received_when_it_came_in() -> None:
    paid = in_the_books(invoice("paid", paid_at="2026-11-21T10:00:00Z"), "invoice.create")
    told = payment(invoice=paid)
    untold = replace(told, data={**told.data, "collected_at": None})

    times = {
        "the charge": EXPORTER.plan(told),
        "an event": EXPORTER.plan(replace(untold, entered_at="2026-11-20T23:00:00Z")),
        "the invoice": EXPORTER.plan(untold),
    }

    expected = {"invoice": "object-1", "currency": "EUR", "amount": 11_900}
    assert times == {
        "the charge": Ask("payment.create", expected | {"paid_at": AT}),
        "an event": Ask("payment.create", expected | {"paid_at": "2026-11-20T23:00:00Z"}),
        "the invoice": Ask("payment.create", expected | {"paid_at": "2026-11-21T10:00:00Z"}),
    }


def test_a_payment_waits_for_its_invoice_where_that_may_still_tell_when_it_came_in() -> None:
    paid = in_the_books(invoice(paid_at=None), "invoice.create")
    part = payment(invoice=paid)

    plan = EXPORTER.plan(replace(part, data={**part.data, "collected_at": None}))

    assert isinstance(plan, Await)
    assert plan.part == paid
    assert "when the money was collected" in plan.reason


def test_an_instalment_of_which_nobody_told_when_it_came_in_is_for_a_person() -> None:
    part = payment(invoice=in_the_books(invoice("paid", paid_at="2026-11-21T10:00:00Z"), "invoice.create"))

    plan = EXPORTER.plan(replace(part, data={**part.data, "amount_received": 5_900, "collected_at": None}))

    assert isinstance(plan, Impossible)
    assert plan.reason.startswith("Nobody has told when its money was collected.")


@pytest.mark.parametrize("state", ["pending", "requires_action", "processing", "failed", "canceled"])
def test_a_payment_that_brought_nothing_is_not_entered_and_says_why(state: str) -> None:
    plan = EXPORTER.plan(payment(state, invoice=invoice()))

    assert isinstance(plan, Nothing)
    assert plan.reason.startswith(("It failed", f"It is {state.replace('_', ' ')}"))


def test_a_payment_without_an_invoice_is_not_entered_nor_is_its_refund() -> None:
    assert isinstance(EXPORTER.plan(payment()), Nothing)
    assert isinstance(EXPORTER.plan(refund(payment=payment())), Nothing)


def test_a_refund_becomes_a_credit_note_that_is_then_paid_out() -> None:
    paid = in_the_books(payment(invoice=in_the_books(invoice("paid"), "invoice.create")), "payment.create", "pay-1")
    noted = in_the_books(refund(payment=paid), "credit_note.create", "note-1")

    plan = EXPORTER.plan(noted)

    assert isinstance(plan, Ask)
    assert plan.action == "credit_note.refund"
    assert (plan.content["credit_note"], plan.content["amount"]) == ("note-1", 2_500)
    assert EXPORTER.plan(in_the_books(noted, "credit_note.refund", "note-1")) == Nothing()


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_whatever_is_refunded_in_whatever_order_takes_back_exactly_the_tax(currency: str) -> None:
    chance, step = Random(7), 10 if currency == "KWD" else 1
    for _ in range(200):
        tax, net = step * chance.randrange(40), step * chance.randrange(1, 200)
        paid_for = in_the_books(
            invoice("paid", currency=currency, subtotal=net, tax=tax, total=net + tax), "invoice.create"
        )
        paid = in_the_books(payment(invoice=paid_for), "payment.create", "pay-1")
        cuts = sorted(chance.sample(range(1, (net + tax) // step), k=min(3, (net + tax) // step - 1)))
        bounds = [0, *(step * cut for cut in cuts), net + tax]
        parts = [
            replace(
                refund(payment=paid),
                record_id=10 + place,
                data={**refund().data, "currency": currency, "amount": b - a},
            )
            for place, (a, b) in enumerate(pairwise(bounds))
        ]

        for one in chance.sample(range(len(parts)), k=len(parts)):
            others = tuple(part for part in parts if part.record_id != parts[one].record_id)
            parts[one] = in_the_books(replace(parts[one], peers=others), "credit_note.create", f"note-{one}")

        told = [part.made["credit_note.create"].content for part in parts]
        assert sum(content["tax"] for content in told) == tax
        assert all(content["subtotal"] + content["tax"] == content["amount"] for content in told)
        assert all(content["tax"] % step == 0 for content in told)


# -- taken back


def paid_out() -> Part:
    """Return a refund whose credit note was paid out in the books."""
    paid = in_the_books(payment(invoice=in_the_books(invoice("paid"), "invoice.create")), "payment.create", "pay-1")
    noted = in_the_books(refund(payment=paid), "credit_note.create", "note-1")
    return in_the_books(noted, "credit_note.refund", "note-1")


def partly_paid() -> tuple[Part, Part]:
    """Return an invoice that was voided here, with a payment of ours on it in the books, and that payment."""
    there = replace(in_the_books(invoice(), "invoice.create"), state="void")
    paid = Part(
        3, "payment", "succeeded", {"currency": "EUR", "amount": 5_000, "amount_received": 5_000, "created_at": AT},
        "pi_1", external_id="pay-1", made={"payment.create": Made("pay-1", {})}, links={"invoice": there},
    )  # fmt: skip
    return replace(there, holds=(Hold("payment", "pay-1", "op-1", paid),)), paid


def test_a_refund_that_fails_after_it_was_paid_out_loses_its_payment_and_then_its_credit_note() -> None:
    failed = replace(paid_out(), state="failed", holds=(Hold("payment", "out-1", "op-1", paid_out()),))
    free = replace(in_the_books(failed, "credit_note.take_back"), holds=())

    assert EXPORTER.plan(replace(free, holds=failed.holds)) == EXPORTER.plan(free), "a deletion is asked for once"
    plans = [EXPORTER.plan(failed), EXPORTER.plan(free), EXPORTER.plan(in_the_books(free, "credit_note.void"))]

    why = "It failed after the books had paid it out"
    assert plans == [
        Ask("credit_note.take_back", {"payment": "out-1"}, "note-1", why),
        Ask("credit_note.void", {}, "note-1", why),
        Nothing(f"{why}. Its credit note is void there."),
    ]


@pytest.mark.parametrize("state", ["failed", "canceled"])
def test_a_refund_that_comes_to_nothing_before_it_was_paid_out_leaves_no_credit(state: str) -> None:
    paid = in_the_books(payment(invoice=in_the_books(invoice("paid"), "invoice.create")), "payment.create", "pay-1")
    noted = replace(in_the_books(refund(payment=paid), "credit_note.create", "note-1"), state=state)

    plan = EXPORTER.plan(noted)

    assert isinstance(plan, Ask)
    assert (plan.action, plan.external_id) == ("credit_note.void", "note-1")
    assert plan.reason.endswith("after the books had credited it")


def test_each_step_back_is_expected_to_show() -> None:
    steps = [paid_out()]
    for action in ("credit_note.take_back", "credit_note.void"):
        steps.append(replace(steps[-1], made={**steps[-1].made, action: Made("note-1", {})}))

    states = [expected.states for step in steps if (expected := EXPORTER.expected(step))]

    assert states == [{"succeeded"}, {"pending"}, {"canceled"}]


def test_a_credit_note_that_somebody_used_is_left_to_a_person() -> None:
    plan = EXPORTER.plan(replace(paid_out(), state="failed", holds=(Hold("allocation", "a-1"),)))

    assert isinstance(plan, Impossible)
    assert "somebody has put an allocation on it there" in plan.reason


def test_a_voided_invoice_waits_until_its_payments_are_gone() -> None:
    there, paid = partly_paid()
    deleted = replace(paid, made={**paid.made, "payment.delete": Made("pay-1", {})})

    assert EXPORTER.plan(there) == Await(paid, gone=True)
    assert EXPORTER.plan(replace(there, holds=(replace(there.holds[0], part=deleted),))) == Ask(
        "invoice.void", {}, "object-1"
    )


def test_the_payment_of_a_voided_invoice_is_deleted_and_says_why() -> None:
    _, paid = partly_paid()

    plan = EXPORTER.plan(paid)
    deleted = in_the_books(paid, "payment.delete")

    assert isinstance(plan, Ask)
    assert (plan.action, plan.external_id) == ("payment.delete", "pay-1")
    assert plan.reason == "Its invoice INV-1 was voided here, and the books void none with a payment on it"
    assert EXPORTER.plan(deleted) == Nothing(f"{plan.reason}. So it was deleted there.")
    expected = EXPORTER.expected(deleted)
    assert expected
    assert expected.states == {"canceled"}


def test_nobody_elses_payment_is_deleted() -> None:
    there, paid = partly_paid()
    theirs = Hold("payment", "pay-2")
    of_another = replace(paid, links={"invoice": replace(there, record_id=99)})

    for holds in ((theirs,), (*there.holds, theirs), (Hold("payment", "pay-1", "op-1", of_another),)):
        plan = EXPORTER.plan(replace(there, holds=holds))

        assert isinstance(plan, Impossible)
        assert "somebody has put a payment on it there" in plan.reason


def test_a_payment_that_was_paid_back_in_part_is_left_to_a_person() -> None:
    _, paid = partly_paid()

    plan = EXPORTER.plan(replace(paid, data={**paid.data, "amount_refunded": 100}))

    assert isinstance(plan, Impossible)
    assert "some of it was paid back" in plan.reason


def test_no_payment_is_entered_on_what_is_void() -> None:
    there, _ = partly_paid()

    assert isinstance(EXPORTER.plan(payment(invoice=there)), Nothing)


def test_what_is_deleted_holds_nothing() -> None:
    shown = {
        "Payments": [
            {"PaymentID": "p-1", "Reference": "op-1"}, {"PaymentID": "p-2", "Status": "DELETED"}, {"PaymentID": "p-3"},
        ],
        "CreditNotes": [{"CreditNoteID": "n-1"}],
        "Allocations": [{"AllocationID": "a-1", "IsDeleted": True}, {"AllocationID": "a-2"}],
    }  # fmt: skip

    assert EXPORTER.holds(shown) == (
        Hold("payment", "p-1", "op-1"), Hold("payment", "p-3"), Hold("credit_note", "n-1"), Hold("allocation", "a-2"),
    )  # fmt: skip
    assert EXPORTER.holds({}) == ()


def test_the_books_are_expected_to_show_what_was_sent_by_days() -> None:
    expected = EXPORTER.expected(in_the_books(invoice(), "invoice.create"))

    assert expected is not None
    assert expected.states == {"open", "paid"}
    assert expected.fields["total"] == 11_900
    assert expected.fields["issued_at"] == "2026-11-20T00:00:00Z"


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Pacific/Auckland"])
def test_a_day_that_was_left_otherwise_there_stays_that_day_wherever_that_is(zone: str) -> None:
    there = replace(in_the_books(invoice(), "invoice.create"), settings={"time_zone": zone})
    left = replace(there, kept={"due_at": "2026-12-31T00:00:00Z"}, data={**there.data, "number": "INV-1A"})

    plan = EXPORTER.plan(left)

    assert isinstance(plan, Ask)
    assert plan.written == {"number": "INV-1A"}
    expected = EXPORTER.expected(replace(left, made={**there.made, "invoice.update": Made("object-1", plan.content)}))
    assert expected
    assert expected.fields["due_at"] == "2026-12-31T00:00:00Z"


def test_nothing_is_expected_of_what_was_never_there() -> None:
    assert EXPORTER.expected(invoice()) is None
    assert isinstance(EXPORTER.expected(in_the_books(CUSTOMER, "contact.create")), Expected)
