"""A closed period: nothing that lies in it is entered, changed or taken back."""

from typing import Any

import pytest

from integrations.providers.xero.sandbox.harness import Sandbox
from tests.providers.xero.sandbox.conftest import Api, invoice_of, payment_of

CLOSED = "The document date cannot be before the period lock date, currently set at 31-Oct-2026"


def close(sandbox: Sandbox, until: str | None = "2026-10-31") -> None:
    sandbox.control("PUT", "organisation", {"period_lock_date": until})


@pytest.mark.parametrize("day, refused", [("2026-10-31", [CLOSED]), ("2026-11-01", None)])
def test_the_lock_date_itself_is_closed_and_the_day_after_it_is_open(
    api: Api, sandbox: Sandbox, day: str, refused: list[str] | None
) -> None:
    close(sandbox)

    element = invoice_of(api.contact()["ContactID"], Date=day)

    if refused:
        assert api.refused("PUT", "Invoices", element) == refused
    else:
        assert api.put("Invoices", element)["Status"] == "AUTHORISED"


def test_a_draft_can_be_of_a_closed_period_and_not_be_approved(api: Api, sandbox: Sandbox) -> None:
    close(sandbox)

    draft = api.invoice(Status="DRAFT", Date="2026-10-02")

    assert api.refused("POST", f"Invoices/{draft['InvoiceID']}", {"Status": "AUTHORISED"}) == [CLOSED]


def test_what_was_entered_before_the_books_were_closed_stays_as_it_is(api: Api, sandbox: Sandbox) -> None:
    invoice = api.invoice(Date="2026-10-02")
    paid = api.invoice(Date="2026-10-02")
    payment = api.pay(paid, 10, Date="2026-10-03")
    close(sandbox)

    assert api.refused("POST", f"Invoices/{invoice['InvoiceID']}", {"Status": "VOIDED"}) == [CLOSED]
    assert api.refused("POST", f"Payments/{payment['PaymentID']}", {"Status": "DELETED"}) == [CLOSED]


def test_an_old_invoice_is_paid_on_a_day_that_is_open(api: Api, sandbox: Sandbox) -> None:
    invoice: Any = api.invoice(100, Date="2026-10-02")
    close(sandbox)

    told = {"Invoice": {"InvoiceID": invoice["InvoiceID"]}}

    assert api.refused("PUT", "Payments", payment_of(told, 40, Date="2026-10-31")) == [CLOSED]
    assert api.pay(invoice, 100, Date="2026-11-02")["Status"] == "AUTHORISED"


def test_the_organisation_names_its_lock_date_until_the_books_are_opened(api: Api, sandbox: Sandbox) -> None:
    close(sandbox)
    closed = api.get("Organisation")["Organisations"][0]
    close(sandbox, None)

    assert closed["PeriodLockDate"] == "/Date(1793404800000+0000)/"
    assert "PeriodLockDate" not in api.get("Organisation")["Organisations"][0]
    assert api.invoice(Date="2026-10-02")["Status"] == "AUTHORISED"
