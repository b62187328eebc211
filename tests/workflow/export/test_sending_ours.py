"""Sending ours over what was changed in the books: what was shown goes out, over what was ticked, or nothing does."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Command, Copy, CopyState, Drift, DriftStatus, JournalEntry, Record, Route
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.reconciliation import pushing
from integrations.reconciliation.check import check_record
from integrations.reconciliation.resolve import push
from integrations.workflow.errors import Refusal
from tests.books import copy_of, held, work_off
from tests.conftest import TESTER
from tests.workflow.export.conftest import change, export_everything

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def exported(route: Route, story: dict[str, Record]) -> dict[str, Record]:
    """An open invoice and its customer, as they stand in the books."""
    story["invoice"].state = "open"
    story["invoice"].data |= {"paid_at": None, "amount_due": 11_900, "amount_paid": 0}
    story["invoice"].save()
    there = {name: story[name] for name in ("customer", "invoice")}
    export_everything(there)
    return there


def alter(books: Sandbox, record: Record, **fields: Any) -> None:
    books.alter("Contacts" if record.kind == "customer" else "Invoices", copy_of(record).external_id, **fields)


def look(record: Record, route: Route) -> None:
    check_record(record, at=route.target, actor=TESTER)
    work_off()


def change_later(record: Record, **fields: Any) -> None:
    """Change belief after what was seen so far."""
    record.refresh_from_db(fields=["open_drift"])
    record.updated_at = timezone.now() + timedelta(milliseconds=1)
    change(record, **fields)


def open_fields() -> dict[str, Any]:
    return dict(Drift.objects.filter(status=DriftStatus.OPEN).values_list("field", "theirs"))


def test_what_is_shown_is_the_next_action_with_what_the_record_says_now(
    route: Route, books: Sandbox, exported: dict[str, Record]
) -> None:
    alter(books, exported["customer"], Name="Halvorsen (by finance)")
    change_later(exported["customer"], name="Halvorsen Newest AS")
    work_off()
    drift = Drift.objects.get()

    (shown,) = pushing.outgoing([drift])
    push([drift], shown={shown.copy.pk: shown.digest}, actor=TESTER, reason="Ours is right")
    work_off()

    assert (drift.ours, drift.theirs) == ("Halvorsen Newest AS", "Halvorsen (by finance)")
    assert shown.said == "Update contact Halvorsen Newest AS in Books"
    sent = Command.objects.latest("pk")
    assert shown.content == {"name": "Halvorsen Newest AS"}
    assert (sent.action, sent.content["changed"], sent.content["name"]) == (
        "contact.update", ["name"], "Halvorsen Newest AS",
    )  # fmt: skip
    assert held(books, "Contacts")[0]["Name"] == "Halvorsen Newest AS"


def test_the_journal_keeps_what_goes_out_without_personal_values(
    route: Route, books: Sandbox, exported: dict[str, Record]
) -> None:
    alter(books, exported["customer"], EmailAddress="other@halvorsen.example")
    look(exported["customer"], route)

    push(Drift.objects.all(), actor=TESTER, reason="Ours is right")

    entry = JournalEntry.objects.get(action="drift.pushed")
    assert entry.summary.endswith("Update contact Halvorsen Marine AS in Books")
    assert entry.data["content"] == {"email": "personal"}


def test_nothing_is_sent_where_something_else_would_go_out_than_was_shown(
    route: Route, books: Sandbox, exported: dict[str, Record]
) -> None:
    alter(books, exported["invoice"], DueDate="2026-12-31")
    look(exported["invoice"], route)
    (shown,) = pushing.outgoing(list(Drift.objects.all()))
    change_later(exported["invoice"], state="void")

    with pytest.raises(Refusal, match=r"^It would void invoice INV-1 in Books now. Look again.$"):
        push(Drift.objects.all(), shown={shown.copy.pk: shown.digest}, actor=TESTER, reason="Ours is right")
    work_off()

    assert shown.said == "Update invoice INV-1 in Books"
    assert held(books, "Invoices")[0]["Status"] == "AUTHORISED"
    assert open_fields() == {"due_at": "2026-12-31T00:00:00Z"}


def test_a_change_after_the_decision_lets_nothing_go_out_either(
    route: Route, books: Sandbox, exported: dict[str, Record]
) -> None:
    alter(books, exported["invoice"], DueDate="2026-12-31")
    look(exported["invoice"], route)
    push(Drift.objects.all(), actor=TESTER, reason="Ours is right")

    change_later(exported["invoice"], state="void")
    work_off()

    assert held(books, "Invoices")[0]["Status"] == "AUTHORISED"
    assert open_fields() == {"due_at": "2026-12-31T00:00:00Z"}
    said = JournalEntry.objects.get(action="drift.not_pushed").summary
    assert said == "Ours was not sent. It would void invoice INV-1 in Books now. Look again."


def test_what_has_changed_there_since_it_was_ticked_is_shown_and_not_written_over(
    route: Route, books: Sandbox, exported: dict[str, Record]
) -> None:
    alter(books, exported["customer"], EmailAddress="other@halvorsen.example")
    look(exported["customer"], route)
    alter(books, exported["customer"], Name="Halvorsen Marine AS (legal name)")

    push(Drift.objects.all(), actor=TESTER, reason="They mistyped it")
    work_off()

    (contact,) = held(books, "Contacts")
    assert (contact["Name"], contact["EmailAddress"]) == (
        "Halvorsen Marine AS (legal name)",
        "other@halvorsen.example",
    )
    assert open_fields() == {"name": "Halvorsen Marine AS (legal name)", "email": "other@halvorsen.example"}
    assert "Ours was not sent" in JournalEntry.objects.filter(action="record.checked").latest("pk").summary


def test_what_they_took_back_meanwhile_is_no_difference_and_nothing_goes_out(
    route: Route, books: Sandbox, exported: dict[str, Record]
) -> None:
    alter(books, exported["customer"], EmailAddress="other@halvorsen.example")
    look(exported["customer"], route)
    alter(books, exported["customer"], EmailAddress="ap@halvorsen.example")
    sent = Command.objects.count()

    push(Drift.objects.all(), actor=TESTER, reason="They mistyped it")
    work_off()

    assert Drift.objects.get().status == DriftStatus.GONE
    assert Command.objects.count() == sent
    assert copy_of(exported["customer"]).state == CopyState.EXPORTED


def test_ours_is_sent_whole_so_all_that_differs_is_ticked(
    route: Route, books: Sandbox, exported: dict[str, Record]
) -> None:
    alter(books, exported["customer"], EmailAddress="other@halvorsen.example", Name="Halvorsen Offshore AS")
    look(exported["customer"], route)

    with pytest.raises(Refusal, match="differs in 1 more field at Books, and ours is sent whole"):
        push(Drift.objects.filter(field="email"), actor=TESTER, reason="They mistyped it")

    assert Drift.objects.filter(status=DriftStatus.OPEN).count() == 2


def test_a_look_from_before_the_decision_does_not_stand_for_the_one_after_it(
    route: Route, books: Sandbox, exported: dict[str, Record]
) -> None:
    alter(books, exported["customer"], EmailAddress="other@halvorsen.example")
    look(exported["customer"], route)
    asked = check_record(exported["customer"], at=route.target, actor=TESTER)
    push(Drift.objects.all(), actor=TESTER, reason="They mistyped it")
    Copy.objects.filter(record=exported["customer"]).update(
        push={**copy_of(exported["customer"]).push, "at": (timezone.now() + timedelta(days=1)).isoformat()}
    )

    work_off()

    asked.refresh_from_db()
    assert asked.state == "done"
    assert held(books, "Contacts")[0]["EmailAddress"] == "other@halvorsen.example"


def lost(books: Sandbox, exported: dict[str, Record], route: Route) -> None:
    """Void the invoice in the books, and find that out."""
    books.lose("Invoices", "INV-1")
    look(exported["invoice"], route)


def test_an_invoice_that_was_made_anew_is_voided_there_when_it_is_voided_here(
    route: Route, books: Sandbox, exported: dict[str, Record]
) -> None:
    lost(books, exported, route)
    push(Drift.objects.all(), actor=TESTER, reason="It is owed")
    work_off()
    anew = copy_of(exported["invoice"])

    change_later(exported["invoice"], state="void")
    work_off()

    assert (anew.state, anew.shown_state) == (CopyState.EXPORTED, "")
    assert [invoice["Status"] for invoice in held(books, "Invoices")] == ["VOIDED", "VOIDED"]


def test_what_is_void_here_and_open_there_differs_once_nothing_is_under_way(
    route: Route, books: Sandbox, exported: dict[str, Record]
) -> None:
    Record.objects.filter(pk=exported["invoice"].pk).update(state="void")

    look(exported["invoice"], route)

    drift = Drift.objects.get()
    assert (drift.field, drift.ours, drift.theirs) == ("state", "void", "open")
    (shown,) = pushing.outgoing([drift])
    assert shown.said == "Void invoice INV-1 in Books"


def test_what_is_void_on_both_sides_differs_no_more(route: Route, books: Sandbox, exported: dict[str, Record]) -> None:
    lost(books, exported, route)
    found = Drift.objects.get()

    change_later(exported["invoice"], state="void")
    work_off()

    assert (found.ours, found.theirs) == ("open", "void")
    assert Drift.objects.get().status == DriftStatus.GONE
    assert copy_of(exported["invoice"]).reason == "It is void here and there."
