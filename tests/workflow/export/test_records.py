"""What becomes of a record that is exported: there once, in order, and never written over."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from integrations.boundary.payloads import keep
from integrations.models import (
    Command,
    Connection,
    Copy,
    CopyState,
    Drift,
    DriftStatus,
    Event,
    JournalEntry,
    Outcome,
    Record,
    Reference,
    Route,
    Run,
    RunKind,
    WorkState,
)
from integrations.models import Link as Tie
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.reconciliation import pushing
from integrations.reconciliation.check import check_record
from integrations.reconciliation.leaving_out import leave_out
from integrations.reconciliation.resolve import accept, push
from integrations.workflow import copies, export, sending
from integrations.workflow.errors import Refusal
from tests.books import copy_of, held, put, work_off
from tests.conftest import TESTER, in_thread
from tests.workflow.export.conftest import AT, MakeRecord, change, export_everything, long_ago

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_story_goes_into_the_books_each_part_after_what_it_refers_to(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    export_everything(story)

    assert set(Copy.objects.values_list("state", flat=True)) == {CopyState.EXPORTED}
    (invoice,), (note,) = held(books, "Invoices"), held(books, "CreditNotes")
    assert (invoice["Total"], invoice["TotalTax"], invoice["AmountPaid"]) == (119.0, 19.0, 119.0)
    assert (invoice["Status"], invoice["Contact"]["Name"]) == ("PAID", "Halvorsen Marine AS")
    assert (note["Total"], note["Status"]) == (25.0, "PAID")
    assert books.effects()["created"] == 5 == Command.objects.count()


def test_a_copy_says_from_which_version_it_was_exported_and_when(
    route: Route, story: dict[str, Record], target: Connection
) -> None:
    export_everything(story)

    copy = copy_of(story["invoice"])
    assert (copy.version, copy.resource) == (story["invoice"].version, "invoice")
    assert copy.exported_at
    reference = Reference.objects.get(record=story["invoice"], connection=target)
    assert reference.external_id == copy.external_id


def test_planned_again_nothing_goes_out_twice(route: Route, books: Sandbox, story: dict[str, Record]) -> None:
    export_everything(story)

    export_everything(story)

    assert books.effects()["created"] == 5


def test_a_record_waits_by_name_for_the_one_that_it_refers_to(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    copies.make_due([story["invoice"].pk], [story["invoice"].connection_id])

    export.plan_due(seconds=5)

    copy = copy_of(story["invoice"])
    assert (copy.state, copy.waits_on_id) == (CopyState.WAITING, story["customer"].pk)
    assert copy.reason == "Waits for customer Halvorsen Marine AS to be at Books."
    assert copy_of(story["customer"]).state in (CopyState.DUE, CopyState.WAITING)


def test_what_is_locked_when_what_it_waits_for_is_there_goes_on_all_the_same(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    """Evidence of it is being settled; its worker may wait for what planning holds, so planning waits for nobody."""
    copies.make_due([story["invoice"].pk], [route.source_id])
    export.plan_due(seconds=5)
    sending.send_next()
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        list(Copy.objects.filter(record=story["invoice"]).select_for_update(no_key=True))
        pool.submit(in_thread, partial(export.plan_due, seconds=5)).result()
    assert copy_of(story["customer"]).external_id
    assert copy_of(story["invoice"]).state == CopyState.WAITING

    Copy.objects.filter(state=CopyState.DUE).update(due_at=timezone.now())
    work_off()

    assert [copy_of(story[name]).state for name in ("customer", "invoice")] == [CopyState.EXPORTED] * 2


def test_what_is_older_than_the_route_goes_along_where_something_newer_needs_it(
    route: Route, story: dict[str, Record]
) -> None:
    Route.objects.update(since=timezone.now() - timedelta(hours=1))
    Record.objects.filter(pk=story["customer"].pk).update(occurred_at=timezone.now() - timedelta(days=9))

    copies.make_due([story["customer"].pk], [route.source_id])
    alone = Copy.objects.exists()
    Record.objects.exclude(pk=story["customer"].pk).update(occurred_at=timezone.now())
    export_everything({name: record for name, record in story.items() if name != "customer"})

    assert not alone
    assert copy_of(story["customer"]).state == CopyState.EXPORTED


def test_what_came_to_nothing_is_not_exported_and_says_why(route: Route, story: dict[str, Record]) -> None:
    story["payment"].state = "failed"
    story["payment"].save()

    export_everything(story)

    payment, refund = copy_of(story["payment"]), copy_of(story["refund"])
    assert (payment.state, refund.state) == (CopyState.NOT_NEEDED, CopyState.NOT_NEEDED)
    assert "nothing was collected" in payment.reason
    assert refund.reason == f"Its payment {story['payment'].label} is not exported."


def test_a_payment_that_succeeds_later_is_exported_then(route: Route, books: Sandbox, story: dict[str, Record]) -> None:
    story["payment"].state = "failed"
    story["payment"].save()
    export_everything(story)

    change(story["payment"], state="succeeded")
    work_off()

    assert held(books, "Invoices")[0]["AmountPaid"] == 119.0
    assert copy_of(story["refund"]).state == CopyState.EXPORTED


def test_an_invoice_voided_here_is_voided_there_after_a_look_at_it(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    story["invoice"].state = "open"
    story["invoice"].save()
    export_everything({name: story[name] for name in ("customer", "invoice")})
    long_ago()

    change(story["invoice"], state="void")
    work_off()

    assert held(books, "Invoices")[0]["Status"] == "VOIDED"
    assert copy_of(story["invoice"]).state == CopyState.EXPORTED
    assert Run.objects.filter(kind=RunKind.RESYNC, connection=route.target).exists()


def partly_paid(story: dict[str, Record], *amounts: int) -> list[Record]:
    """Let the invoice stay open with some payments on it, and export these; return the payments."""
    story["invoice"].state = "open"
    story["invoice"].save()
    paid = []
    for amount in amounts:
        payment = Record.objects.get(pk=story["payment"].pk)
        payment.pk, payment.label = None, f"pi_{amount}"
        payment.data = payment.data | {"amount": amount, "amount_received": amount, "amount_refunded": 0}
        payment.save()
        Tie.objects.create(record=payment, field="invoice", target=story["invoice"])
        paid.append(payment)
    export_everything({"customer": story["customer"], "invoice": story["invoice"]} | {p.label: p for p in paid})
    return paid


def asked_of(*records: Record) -> list[tuple[str, str, str]]:
    """Return what was asked for records, each as (action, operation id, what it was done to), in order."""
    rows = Command.objects.filter(record__in=records).order_by("pk")
    return list(rows.values_list("action", "operation_id", "external_id"))


def test_an_invoice_that_is_partly_paid_is_voided_once_its_payments_are_deleted(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    first, second = partly_paid(story, 2_000, 3_000)
    ids = {copy_of(payment).external_id for payment in (first, second)}
    long_ago()

    change(story["invoice"], state="void")
    work_off()

    *deleted, voided = [asked for asked in asked_of(first, second, story["invoice"]) if "create" not in asked[0]]
    assert [action for action, _, _ in deleted] == ["payment.delete"] * 2
    assert {external_id for _, _, external_id in deleted} == ids
    assert voided[0] == "invoice.void"
    assert len({operation for _, operation, _ in (*deleted, voided)}) == 3
    (invoice,) = held(books, "Invoices")
    assert (invoice["Status"], invoice["AmountPaid"]) == ("VOIDED", 0)
    states = [copy_of(record).state for record in (first, second, story["invoice"])]
    assert states == [CopyState.EXPORTED] * 3
    for record in (first, second, story["invoice"]):
        check_record(record, at=route.target, actor=TESTER)
    work_off()
    assert copy_of(first).shown_state == "canceled"
    assert copy_of(first).reason.endswith("was voided here, and the books void none with a payment on it. "
                                          "So it was deleted there.")  # fmt: skip
    assert not Drift.objects.exists()


def test_why_a_payment_is_deleted_stands_in_its_timeline(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    (payment,) = partly_paid(story, 2_000)

    change(story["invoice"], state="void")
    work_off()

    told = JournalEntry.objects.get(record_id=payment.pk, action="command.submitted", summary__contains="Delete")
    assert told.reason == f"Its invoice {story['invoice'].label} was voided here, and the books void none with a " + (
        "payment on it"
    )


def test_a_payment_that_was_left_out_stops_the_voiding_and_planning_comes_to_rest(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    (payment,) = partly_paid(story, 2_000)
    leave_out(copy_of(payment), actor=TESTER, reason="The bank books it")
    long_ago()

    change(story["invoice"], state="void")
    work_off()

    stopped = copy_of(story["invoice"])
    assert stopped.state == CopyState.STOPPED
    assert stopped.reason.startswith(f"Take payment {payment.label} off at Books first: it stands there. Left out by")
    assert not export.is_due()
    assert held(books, "Invoices")[0]["AmountPaid"] == 20.0


def test_a_payment_of_somebody_else_stops_the_voiding_and_nothing_is_deleted(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    (payment,) = partly_paid(story, 2_000)
    invoice = copy_of(story["invoice"]).external_id
    theirs = put(books, "Payments", {"Invoice": {"InvoiceID": invoice}, "Account": {"Code": "090"}, "Amount": 5})
    long_ago()

    change(story["invoice"], state="void")
    work_off()
    stopped = copy_of(story["invoice"])
    kept = held(books, "Invoices")[0]
    books.lose("Payments", theirs["PaymentID"])
    check_record(story["invoice"], at=route.target, actor=TESTER)
    work_off()

    assert stopped.state == CopyState.STOPPED
    assert stopped.reason == (
        "It is void here, but somebody has put a payment on it there. Take that off there, then export it again."
    )
    assert (kept["Status"], kept["AmountPaid"]) == ("AUTHORISED", 25.0)
    assert held(books, "Invoices")[0]["Status"] == "VOIDED"
    assert "payment.delete" in copy_of(payment).made


def test_a_payment_that_was_paid_back_keeps_its_invoice_for_a_person(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    (payment,) = partly_paid(story, 2_000)
    change(payment, amount_refunded=500)
    work_off()

    change(story["invoice"], state="void")
    work_off()

    assert copy_of(payment).state == CopyState.STOPPED
    assert copy_of(story["invoice"]).reason.endswith("whose export needs a person.")
    assert held(books, "Invoices")[0]["Status"] == "AUTHORISED"


def test_a_refund_that_fails_after_the_books_paid_it_out_is_taken_back_there(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    export_everything(story)
    long_ago()

    change(story["refund"], state="failed")
    work_off()

    (note,) = held(books, "CreditNotes")
    assert (note["Status"], note["Payments"]) == ("VOIDED", [])
    assert [action for action, _, _ in asked_of(story["refund"])] == [
        "credit_note.create", "credit_note.refund", "credit_note.take_back", "credit_note.void",
    ]  # fmt: skip
    copy = copy_of(story["refund"])
    assert copy.state == CopyState.EXPORTED
    assert copy.reason == "It failed after the books had paid it out. Its credit note is void there."
    assert not Drift.objects.exists()
    assert held(books, "Invoices")[0]["AmountPaid"] == 119.0


def test_every_step_back_is_seen_there(route: Route, books: Sandbox, story: dict[str, Record]) -> None:
    export_everything(story)
    change(story["refund"], state="failed")
    work_off()

    check_record(story["refund"], at=route.target, actor=TESTER)
    work_off()

    outcomes = Command.objects.filter(record=story["refund"]).values_list("outcome", flat=True)
    assert set(outcomes) == {Outcome.CONFIRMED}
    assert copy_of(story["refund"]).shown_state == "canceled"
    assert not Drift.objects.exists()


def test_what_we_did_there_since_a_look_is_looked_at_before_it_is_undone(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    export_everything(story)
    exported_at = copy_of(story["refund"]).exported_at or timezone.now()
    Copy.objects.filter(record=story["refund"]).update(
        compared_at=exported_at - timedelta(seconds=1), shown_state="pending", held_by=[]
    )

    change(story["refund"], state="failed")
    work_off()

    assert held(books, "CreditNotes")[0]["Status"] == "VOIDED"


def test_an_answer_that_is_lost_on_the_way_back_takes_nothing_back_twice(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    export_everything(story)
    books.set_faults({"kind": "cut_after", "on": "POST /api.xro/2.0/Payments/*", "times": 1})

    change(story["refund"], state="failed")
    work_off()
    lost = Command.objects.get(action="credit_note.take_back").outcome
    Command.objects.filter(state=WorkState.WAITING).update(due_at=timezone.now())
    work_off()

    assert lost == Outcome.UNKNOWN
    assert held(books, "CreditNotes")[0]["Status"] == "VOIDED"
    assert Command.objects.filter(action="credit_note.take_back").count() == 1


def test_a_credit_note_that_somebody_set_off_is_left_to_a_person(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    story["refund"].state = "pending"
    story["refund"].save()
    export_everything({name: story[name] for name in ("customer", "invoice", "payment")})
    books.set_faults({"kind": "error", "status": 400, "on": "PUT /api.xro/2.0/Payments"})
    change(story["refund"], state="succeeded")
    work_off()
    noted = copy_of(story["refund"])
    books.set_faults()
    other = put(books, "Invoices", bill_of(copy_of(story["customer"]).external_id))
    put(books, f"CreditNotes/{noted.external_id}/Allocations",
        {"Amount": 5, "Invoice": {"InvoiceID": other["InvoiceID"]}}, "Allocations")  # fmt: skip

    change(story["refund"], state="failed")
    pushing.export_again(copy_of(story["refund"]), actor=TESTER, reason="It failed")
    work_off()

    copy = copy_of(story["refund"])
    assert copy.state == CopyState.STOPPED
    assert "somebody has put an allocation on it there" in copy.reason
    assert held(books, "CreditNotes")[0]["Status"] == "AUTHORISED"


def bill_of(customer: str) -> dict[str, Any]:
    """Return an invoice that a person enters in the books."""
    line = {"Description": "By hand", "Quantity": 1, "UnitAmount": 50, "AccountCode": "200"}
    return {"Type": "ACCREC", "Contact": {"ContactID": customer}, "Status": "AUTHORISED", "Date": "2026-11-02",
            "DueDate": "2026-12-02", "LineAmountTypes": "NoTax", "LineItems": [line]}  # fmt: skip


def test_a_change_here_goes_there(route: Route, books: Sandbox, story: dict[str, Record]) -> None:
    export_everything({"customer": story["customer"]} | {"invoice": story["invoice"]})
    long_ago()

    change(story["customer"], name="Halvorsen Offshore AS")
    work_off()

    assert held(books, "Contacts")[0]["Name"] == "Halvorsen Offshore AS"
    assert not Drift.objects.exists()


def test_what_was_changed_there_is_not_written_over_and_opens_a_difference(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    export_everything(story)
    long_ago()
    books.alter("Contacts", copy_of(story["customer"]).external_id, EmailAddress="other@halvorsen.example")

    change(story["customer"], name="Halvorsen Offshore AS")
    work_off()

    copy, drift = copy_of(story["customer"]), Drift.objects.get()
    assert copy.state == CopyState.STOPPED
    assert copy.reason == "It was changed at Books in 1 field: nothing is written over it. Decide."
    assert (drift.field, drift.ours, drift.theirs) == ("email", "ap@halvorsen.example", "other@halvorsen.example")
    assert drift.connection_id == route.target_id
    assert held(books, "Contacts")[0]["EmailAddress"] == "other@halvorsen.example"
    story["customer"].refresh_from_db()
    assert story["customer"].data["email"] == "ap@halvorsen.example"


def test_a_person_may_send_ours_over_theirs(route: Route, books: Sandbox, story: dict[str, Record]) -> None:
    export_everything(story)
    books.alter("Contacts", copy_of(story["customer"]).external_id, EmailAddress="other@halvorsen.example")
    check_record(story["customer"], at=route.target, actor=TESTER)
    work_off()

    push(Drift.objects.all(), actor=TESTER, reason="They mistyped it")
    work_off()

    assert held(books, "Contacts")[0]["EmailAddress"] == "ap@halvorsen.example"
    assert Drift.objects.get().status == DriftStatus.PUSHED
    assert copy_of(story["customer"]).state == CopyState.EXPORTED


def test_what_was_voided_there_is_a_difference_and_never_belief(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    story["invoice"].state = "open"
    story["invoice"].save()
    export_everything({name: story[name] for name in ("customer", "invoice")})
    books.lose("Invoices", "INV-1")

    check_record(story["invoice"], at=route.target, actor=TESTER)
    work_off()

    drift = Drift.objects.get()
    assert (drift.field, drift.ours, drift.theirs) == ("state", "open", "void")
    assert copy_of(story["invoice"]).shown_state == "void"
    story["invoice"].refresh_from_db()
    assert (story["invoice"].state, story["invoice"].version) == ("open", 1)


def test_theirs_is_not_accepted_for_a_copy(route: Route, books: Sandbox, story: dict[str, Record]) -> None:
    export_everything(story)
    books.alter("Contacts", copy_of(story["customer"]).external_id, EmailAddress="other@halvorsen.example")
    check_record(story["customer"], at=route.target, actor=TESTER)
    work_off()

    with pytest.raises(Refusal, match="belief follows its own provider"):
        accept(Drift.objects.all(), actor=TESTER, reason="They know better")


def test_what_was_exported_is_locked_against_edits_here(
    route: Route, story: dict[str, Record], connection: Connection
) -> None:
    export_everything(story)
    invoice, now = story["invoice"], timezone.now()
    run = Run.objects.create(
        tenant=route.tenant, environment=route.environment, connection=connection, kind=RunKind.RECONCILE,
        due_at=now, asked_by="the tests", state=WorkState.DONE,
    )  # fmt: skip
    drift = Drift.objects.create(
        tenant=route.tenant, environment=route.environment, connection=connection, record=invoice, kind="invoice",
        resource="invoice", external_id="in_1", field="total", ours=11_900, theirs=9_900, run=run,
        first_seen_at=now, last_seen_at=now,
    )  # fmt: skip

    with pytest.raises(Refusal, match="Total of INV-1 is locked: exported to Books"):
        accept([drift], actor=TESTER, reason="They know better")

    locks = pushing.locks_of(Copy.objects.filter(record=invoice).select_related("connection"), invoice)
    assert {"total", "tax", "number"} <= locks.keys()
    assert "amount_paid" not in locks


def test_a_refused_command_stops_the_export_and_once_exported_again_it_goes_out(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    route.target.settings["sales_account"] = "999"
    route.target.save()
    export_everything({name: story[name] for name in ("customer", "invoice")})
    stopped = copy_of(story["invoice"])
    route.target.settings["sales_account"] = "200"
    route.target.save()

    pushing.export_again(stopped, actor=TESTER, reason="The account was wrong")
    work_off()

    assert stopped.state == CopyState.STOPPED
    assert "Create invoice INV-1 in Books" in stopped.reason
    assert copy_of(story["invoice"]).state == CopyState.EXPORTED
    assert Command.objects.filter(record=story["invoice"]).earliest("pk").outcome == Outcome.CANCELLED


def test_commands_of_one_action_travel_together(route: Route, make_record: MakeRecord, books: Sandbox) -> None:
    made = [make_record("customer", data={"name": f"Company {n}", "created_at": AT}) for n in range(60)]

    copies.make_due([record.pk for record in made], [route.source_id])
    work_off()

    assert len(held(books, "Contacts")) == 60
    assert Command.objects.values("key").distinct().count() == 2


def test_customers_of_one_name_become_two_contacts(route: Route, make_record: MakeRecord, books: Sandbox) -> None:
    made = [make_record("customer", data={"name": "Twin Ltd", "created_at": AT}) for _ in range(2)]

    copies.make_due([record.pk for record in made], [route.source_id])
    work_off()

    assert len({contact["Name"] for contact in held(books, "Contacts")}) == 2


def test_a_thin_webhook_about_what_we_put_there_is_done_with_the_look_that_it_asks_for(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    export_everything({"customer": story["customer"]})
    copy, now = copy_of(story["customer"]), timezone.now()
    item = {"resourceId": copy.external_id, "eventDateUtc": f"{now:%Y-%m-%dT%H:%M:%S}.000", "eventType": "UPDATE",
            "eventCategory": "CONTACT", "tenantId": books.tenant_id, "tenantType": "ORGANISATION"}  # fmt: skip
    body = json.dumps({"events": [item], "firstEventSequence": 1, "lastEventSequence": 1, "entropy": "X"}).encode()
    kept = keep(connection_id=route.target_id, source="webhook", body=body, headers={}, at=now)
    event = Event.objects.create(
        tenant=route.tenant, environment="test", connection=route.target, source="webhook", provider_event_id="1:x",
        event_type="CONTACT.UPDATE", resource="contact", external_id=copy.external_id, occurred_at=now,
        received_at=now, due_at=now, payload_id=kept.id, payload_at=kept.at, path="",
    )  # fmt: skip

    work_off()

    event.refresh_from_db()
    assert (event.state, event.decision) == (WorkState.DONE, "unchanged")


def test_what_is_exported_stands_in_the_timeline(route: Route, story: dict[str, Record]) -> None:
    export_everything(story)

    told = JournalEntry.objects.filter(record_id=story["invoice"].pk).values_list("action", flat=True)
    assert {"command.submitted", "command.answered"} <= set(told)
