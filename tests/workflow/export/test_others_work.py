"""What finance does in the books stays: an update writes what changed here, and nothing else."""

from typing import Any

import httpx
import pytest

from integrations.models import Command, Drift, Outcome, Record, Route
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.reconciliation.check import check_record
from tests.books import copy_of, held, work_off
from tests.conftest import TESTER
from tests.workflow.export.conftest import change, export_everything, leave_open, long_ago

pytestmark = pytest.mark.django_db(transaction=True)


def write_there(books: Sandbox, resource: str, **element: Any) -> None:
    """Change an object in the books, as somebody does who works there."""
    access, _ = books.tokens()
    answer = httpx.post(
        f"{books.url}/api.xro/2.0/{resource}",
        json={resource: [element]},
        headers={"authorization": f"Bearer {access}", "xero-tenant-id": books.tenant_id},
    )
    assert answer.status_code == 200, answer.text


@pytest.fixture
def recoded(route: Route, books: Sandbox, story: dict[str, Record]) -> Record:
    """An open invoice in the books, of which an accountant has put the line on another account."""
    leave_open(story["invoice"])
    export_everything({name: story[name] for name in ("customer", "invoice")})
    (line,) = held(books, "Invoices")[0]["LineItems"]
    write_there(
        books, "Invoices", InvoiceID=copy_of(story["invoice"]).external_id,
        LineItems=[line | {"AccountCode": "260", "Description": "Recoded by the accountant"}],
    )  # fmt: skip
    long_ago()
    return story["invoice"]


def test_another_due_date_leaves_a_line_as_an_accountant_has_put_it(
    route: Route, books: Sandbox, recoded: Record
) -> None:
    change(recoded, due_at="2026-12-18T09:15:00Z")
    work_off()
    check_record(recoded, at=route.target, actor=TESTER)
    work_off()

    (invoice,) = held(books, "Invoices")
    (line,) = invoice["LineItems"]
    assert invoice["DueDateString"] == "2026-12-18T00:00:00"
    assert (line["AccountCode"], line["Description"]) == ("260", "Recoded by the accountant")
    assert Command.objects.get(action="invoice.update").outcome == Outcome.CONFIRMED


def test_one_change_after_the_other_goes_out_each_by_itself(route: Route, books: Sandbox, recoded: Record) -> None:
    change(recoded, due_at="2026-12-18T09:15:00Z")
    work_off()
    long_ago()
    change(recoded, number="INV-1A")
    work_off()

    (invoice,) = held(books, "Invoices")
    assert (invoice["InvoiceNumber"], invoice["DueDateString"]) == ("INV-1A", "2026-12-18T00:00:00")
    assert invoice["LineItems"][0]["AccountCode"] == "260"
    changed = [command.content["changed"] for command in Command.objects.filter(action="invoice.update").order_by("pk")]
    assert changed == [["due_at"], ["number"]]


def test_another_amount_writes_the_lines(route: Route, books: Sandbox, recoded: Record) -> None:
    change(recoded, subtotal=20_000, tax=3_800, total=23_800, amount_due=23_800)
    work_off()

    (invoice,) = held(books, "Invoices")
    assert (invoice["Total"], invoice["TotalTax"]) == (238.0, 38.0)
    assert [line["AccountCode"] for line in invoice["LineItems"]] == ["200"]


def test_another_name_leaves_the_currency_of_a_contact_as_it_is_there(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    export_everything({"customer": story["customer"]})
    write_there(books, "Contacts", ContactID=copy_of(story["customer"]).external_id, DefaultCurrency="USD")
    long_ago()

    change(story["customer"], name="Halvorsen Offshore AS")
    work_off()

    (contact,) = held(books, "Contacts")
    assert (contact["Name"], contact["DefaultCurrency"]) == ("Halvorsen Offshore AS", "USD")


def test_an_address_that_is_taken_away_here_is_taken_away_there(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    export_everything({"customer": story["customer"]})
    long_ago()

    change(story["customer"], email=None)
    work_off()
    check_record(story["customer"], at=route.target, actor=TESTER)
    work_off()

    (contact,) = held(books, "Contacts")
    assert (contact["Name"], contact["EmailAddress"]) == ("Halvorsen Marine AS", "")
    assert Command.objects.get(action="contact.update").outcome == Outcome.CONFIRMED
    assert not Drift.objects.exists()


def test_an_address_that_stays_there_after_it_was_taken_away_is_a_difference(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    export_everything({"customer": story["customer"]})
    long_ago()
    change(story["customer"], email=None)
    work_off()

    books.alter("Contacts", copy_of(story["customer"]).external_id, EmailAddress="back@halvorsen.example")
    check_record(story["customer"], at=route.target, actor=TESTER)
    work_off()

    assert Drift.objects.get().theirs == "back@halvorsen.example"
