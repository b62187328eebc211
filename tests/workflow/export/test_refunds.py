"""The tax in refunds: the books credit net and tax as the invoice bore them, to the cent."""

from typing import Any

import pytest

from integrations.models import Link, Record, Route
from integrations.providers.xero.sandbox.harness import Sandbox
from tests.books import held, work_off
from tests.workflow.export.conftest import AT, MakeRecord, change, export_everything

pytestmark = pytest.mark.django_db(transaction=True)


def made_of(books: Sandbox) -> dict[str, list[dict[str, Any]]]:
    """Return the credit notes in the books, and their lines."""
    notes = held(books, "CreditNotes")
    return {"notes": notes, "lines": [line for note in notes for line in note["LineItems"]]}


def refunds_of(make_record: MakeRecord, payment: Record, *amounts: int) -> list[Record]:
    """Make refunds of a payment that succeeded, without exporting them."""
    made = []
    for amount in amounts:
        refund = make_record("refund", data={"currency": "EUR", "amount": amount, "reason": None, "created_at": AT})
        Link.objects.create(record=refund, field="payment", target=payment)
        made.append(refund)
    return made


def test_a_refund_takes_back_tax_as_its_invoice_bore_it(route: Route, books: Sandbox, story: dict[str, Record]) -> None:
    export_everything(story)

    (note,), (line,) = made_of(books).values()
    assert (note["Total"], note["SubTotal"], note["TotalTax"]) == (25.0, 21.01, 3.99)
    assert (line["TaxType"], line["AccountCode"]) == ("OUTPUT", "200")
    assert line["Description"] == "Refund of INV-1: duplicate"


def test_all_refunds_of_an_invoice_take_back_its_net_and_its_tax_exactly(
    route: Route, books: Sandbox, story: dict[str, Record], make_record: MakeRecord
) -> None:
    story["refund"].data |= {"amount": 3_967}
    story["refund"].save()
    one, two = refunds_of(make_record, story["payment"], 3_966, 3_967)

    # The one in the middle comes last.
    export_everything({**story, "two": two})
    export_everything({"one": one})

    notes = made_of(books)["notes"]
    assert sorted(note["Total"] for note in notes) == [39.66, 39.67, 39.67]
    assert round(sum(note["TotalTax"] for note in notes), 2) == 19.0
    assert round(sum(note["SubTotal"] for note in notes), 2) == 100.0
    assert {note["Status"] for note in notes} == {"PAID"}


def test_a_refund_that_failed_leaves_its_tax_to_the_next(
    route: Route, books: Sandbox, story: dict[str, Record], make_record: MakeRecord
) -> None:
    export_everything(story)
    change(story["refund"], state="failed")
    work_off()
    (whole,) = refunds_of(make_record, story["payment"], 11_900)

    export_everything({"whole": whole})

    (note,) = [note for note in made_of(books)["notes"] if note["Status"] == "PAID"]
    assert (note["SubTotal"], note["TotalTax"]) == (100.0, 19.0)


def test_a_refund_of_an_invoice_without_tax_takes_none_back(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    story["invoice"].data |= {"subtotal": 11_900, "tax": 0}
    story["invoice"].save()

    export_everything(story)

    (note,), (line,) = made_of(books).values()
    assert (note["SubTotal"], note["TotalTax"], line["TaxType"]) == (25.0, 0.0, "NONE")
