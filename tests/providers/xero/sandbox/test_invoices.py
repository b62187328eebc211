"""Invoices: amounts in exact decimals, statuses that only go where Xero lets them."""

from decimal import Decimal
from typing import Any

import pytest

from tests.providers.xero.sandbox.conftest import Api, invoice_of

JSON = dict[str, Any]


def line(**more: Any) -> JSON:
    return {"Description": "Rope", "UnitAmount": 10, "AccountCode": "200", **more}


def amounts(invoice: JSON) -> list[Decimal]:
    return [Decimal(str(invoice[field])) for field in ("SubTotal", "TotalTax", "Total", "AmountDue")]


@pytest.mark.parametrize(
    "types, lines, expected",
    [
        ("NoTax", [line(Quantity=3, UnitAmount=33.33)], ["99.99", "0", "99.99"]),
        ("Exclusive", [line(TaxType="OUTPUT2", UnitAmount=19.99)], ["19.99", "4.00", "23.99"]),
        ("Exclusive", [line(TaxType="TAX001"), line(TaxType="NONE")], ["20", "1.90", "21.90"]),
        ("Exclusive", [line(TaxAmount=1.23)], ["10", "1.23", "11.23"]),
        ("Inclusive", [line(TaxType="TAX001", UnitAmount=119)], ["100", "19", "119"]),
        ("Inclusive", [line(TaxType="OUTPUT2", UnitAmount=9.99)], ["8.32", "1.67", "9.99"]),
        ("NoTax", [line(Quantity=2, DiscountRate=10)], ["18", "0", "18"]),
        ("NoTax", [line(UnitAmount=None, LineAmount=7.5)], ["7.5", "0", "7.5"]),
        ("NoTax", [line(Quantity=3, UnitAmount=0.335)], ["1.01", "0", "1.01"]),  # 1.005 is rounded half up
        ("NoTax", [line(), line(UnitAmount=-2.5)], ["7.5", "0", "7.5"]),
        ("NoTax", [line(UnitAmount="0.10"), line(UnitAmount=0.2)], ["0.30", "0", "0.30"]),
    ],
)
def test_totals_follow_from_the_lines(api: Api, types: str, lines: list[JSON], expected: list[str]) -> None:
    invoice = api.invoice(LineAmountTypes=types, LineItems=lines)

    subtotal, tax, total, due = amounts(invoice)
    assert [subtotal, tax, total] == [Decimal(word) for word in expected]
    assert due == total


def test_dates_come_in_both_formats(api: Api) -> None:
    made = api.invoice(Date="2026-11-02", DueDate="/Date(1796169600000+0000)/")

    assert (made["Date"], made["DateString"]) == ("/Date(1793577600000+0000)/", "2026-11-02T00:00:00")
    assert (made["DueDate"], made["DueDateString"]) == ("/Date(1796169600000+0000)/", "2026-12-02T00:00:00")
    assert made["UpdatedDateUTC"].startswith("/Date(")
    assert made["UpdatedDateUTCString"].endswith("Z")


def test_an_invoice_is_found_by_id_and_by_number(api: Api) -> None:
    made = api.invoice(InvoiceNumber="NW-1")

    assert api.get(f"Invoices/{made['InvoiceID']}")["Invoices"] == [made]
    assert api.get("Invoices/NW-1")["Invoices"] == [made]


def test_an_invoice_without_a_number_gets_one(api: Api) -> None:
    first, second = api.invoice(), api.invoice()

    assert first["InvoiceNumber"] != second["InvoiceNumber"]


def test_the_number_of_an_invoice_is_unique_until_it_is_voided(api: Api) -> None:
    made = api.invoice(InvoiceNumber="NW-1")
    element = invoice_of(made["Contact"]["ContactID"], InvoiceNumber="NW-1")

    assert api.refused("PUT", "Invoices", element) == ["Invoice # must be unique."]
    api.post(f"Invoices/{made['InvoiceID']}", {"Status": "VOIDED"})
    api.put("Invoices", element)


@pytest.mark.parametrize(
    "more, message",
    [
        ({"Type": "ACCPAY"}, "Type must be ACCREC"),
        ({"Contact": {}}, "A Contact must be specified"),
        ({"Contact": {"ContactID": "7e3a1c5e-0000-4000-8000-000000000000"}}, "could not be found"),
        ({"LineItems": []}, "One or more line items"),
        ({"LineItems": [line(Description="")]}, "Description must be specified"),
        ({"LineItems": [line(AccountCode=None)]}, "Account must be specified"),
        ({"LineItems": [line(AccountCode="999")]}, "Account code '999' is not a valid code"),
        ({"LineItems": [line(AccountCode="610")]}, "Account code '610' is not a valid code"),
        ({"LineItems": [line(UnitAmount="ten")]}, "UnitAmount must be a valid number"),
        ({"LineItems": [line(LineAmount=11)]}, "does not match the expected line total 10.00"),
        ({"LineItems": [line(UnitAmount=-1)]}, "must not be negative"),
        ({"LineItems": [line(TaxType="MOON")], "LineAmountTypes": "Exclusive"}, "TaxType code 'MOON'"),
        ({"LineItems": "none"}, "must be a list"),
        ({"DueDate": None}, "DueDate must be specified"),
        ({"DueDate": "tomorrow"}, "DueDate is not a valid date"),
        ({"CurrencyCode": "euro"}, "CurrencyCode"),
        ({"CurrencyCode": "eur"}, "not subscribed to currency eur"),
        ({"Status": "PAID"}, "Status 'PAID' is not valid"),
        ({"Status": "VOIDED"}, "Status 'VOIDED' is not valid"),
        ({"LineAmountTypes": "Some"}, "LineAmountTypes 'Some' is not valid"),
    ],
)
def test_an_invoice_that_breaks_a_rule_is_refused(api: Api, more: JSON, message: str) -> None:
    contact = api.contact()["ContactID"]

    [said] = api.refused("PUT", "Invoices", {**invoice_of(contact), **more})

    assert message in said
    assert api.get("Invoices")["Invoices"] == []


def test_every_wrong_line_is_named(api: Api) -> None:
    lines = [line(AccountCode="999"), line(), line(Description=None)]

    said = api.refused("PUT", "Invoices", {**invoice_of(api.contact()["ContactID"]), "LineItems": lines})

    assert len(said) == 2


def test_a_draft_needs_a_contact_only(api: Api) -> None:
    draft = api.put("Invoices", {"Type": "ACCREC", "Contact": {"Name": "Halvorsen Marine"}})

    assert (draft["Status"], draft["Total"], draft["LineItems"]) == ("DRAFT", 0, [])
    assert api.get("Contacts")["Contacts"][0]["Name"] == "Halvorsen Marine"


STEPS = [
    ("DRAFT", "SUBMITTED", True),
    ("DRAFT", "AUTHORISED", True),
    ("DRAFT", "DELETED", True),
    ("DRAFT", "VOIDED", False),
    ("DRAFT", "PAID", False),
    ("SUBMITTED", "DRAFT", True),
    ("SUBMITTED", "AUTHORISED", True),
    ("SUBMITTED", "DELETED", True),
    ("SUBMITTED", "VOIDED", False),
    ("AUTHORISED", "VOIDED", True),
    ("AUTHORISED", "DRAFT", False),
    ("AUTHORISED", "SUBMITTED", False),
    ("AUTHORISED", "DELETED", False),
    ("AUTHORISED", "PAID", False),
    ("VOIDED", "AUTHORISED", False),
    ("VOIDED", "VOIDED", False),
    ("DELETED", "DRAFT", False),
    ("DELETED", "AUTHORISED", False),
]


@pytest.mark.parametrize("before, after, legal", STEPS)
def test_a_status_goes_only_where_xero_lets_it(api: Api, before: str, after: str, legal: bool) -> None:
    first = {"VOIDED": "AUTHORISED", "DELETED": "DRAFT"}.get(before, before)
    made = api.invoice(Status=first)
    path = f"Invoices/{made['InvoiceID']}"
    if first != before:
        api.post(path, {"Status": before})

    if legal:
        assert api.post(path, {"Status": after})["Status"] == after
    else:
        assert api.refused("POST", path, {"Status": after}) == ["Invoice not of valid status for modification"]
        assert api.get(path)["Invoices"][0]["Status"] == before


def test_a_draft_is_approved_only_when_it_is_whole(api: Api) -> None:
    draft = api.put("Invoices", {"Type": "ACCREC", "Contact": {"Name": "Halvorsen Marine"}})
    path = f"Invoices/{draft['InvoiceID']}"

    assert api.refused("POST", path, {"Status": "AUTHORISED"})
    approved = api.post(path, {"Status": "AUTHORISED", "LineItems": [line(TaxType="NONE")], "DueDate": "2026-12-02"})

    assert (approved["Status"], approved["AmountDue"]) == ("AUTHORISED", 10)


def test_a_voided_invoice_has_nothing_due(api: Api) -> None:
    made = api.invoice(100)

    voided = api.post(f"Invoices/{made['InvoiceID']}", {"Status": "VOIDED"})

    assert (voided["AmountDue"], voided["Total"]) == (0, 100)


def test_an_invoice_over_nothing_is_paid_at_once(api: Api) -> None:
    made = api.invoice(0)

    assert (made["Status"], made["AmountDue"]) == ("PAID", 0)
    assert made["FullyPaidOnDate"] == made["Date"]


def test_a_discount_survives_an_approval(api: Api) -> None:
    made = api.invoice(Status="DRAFT", LineItems=[line(Quantity=2, DiscountRate=10)])

    approved = api.post(f"Invoices/{made['InvoiceID']}", {"Status": "AUTHORISED"})

    assert (approved["Total"], approved["IsDiscounted"]) == (18, True)


def test_an_unpaid_invoice_can_be_changed(api: Api) -> None:
    made = api.invoice(100)

    changed = api.post(f"Invoices/{made['InvoiceID']}", {"LineItems": [line(UnitAmount=55)]})

    assert (changed["Total"], changed["AmountDue"], changed["Status"]) == (55, 55, "AUTHORISED")


@pytest.mark.parametrize("paid", [40, 100])
def test_an_invoice_with_a_payment_takes_a_reference_but_no_other_amount(api: Api, paid: float) -> None:
    made = api.invoice(100)
    path = f"Invoices/{made['InvoiceID']}"
    api.pay(made, paid)

    changed = api.post(path, {"Reference": "PO 12", "DueDate": "2027-01-02"})
    said = api.refused("POST", path, {"LineItems": [line(UnitAmount=55)]})

    assert (changed["Reference"], changed["DueDateString"]) == ("PO 12", "2027-01-02T00:00:00")
    assert said == ["This document cannot be edited as it has a payment or credit note allocated to it."]
    assert api.get(path)["Invoices"][0]["Total"] == 100


def test_an_invoice_with_a_payment_cannot_be_voided(api: Api) -> None:
    made = api.invoice(100)
    api.pay(made, 40)

    assert api.refused("POST", f"Invoices/{made['InvoiceID']}", {"Status": "VOIDED"})


def test_post_finds_an_invoice_by_its_number(api: Api) -> None:
    made = api.invoice(InvoiceNumber="NW-1")

    changed = api.post("Invoices", {"InvoiceNumber": "NW-1", "Reference": "PO 12"})

    assert (changed["InvoiceID"], changed["Reference"]) == (made["InvoiceID"], "PO 12")


def test_an_unknown_id_is_refused_in_a_list_and_not_found_in_a_path(api: Api) -> None:
    nobody = "7e3a1c5e-0000-4000-8000-000000000000"

    assert api.refused("POST", "Invoices", {"InvoiceID": nobody, "Reference": "x"}) == ["Invoice could not be found"]
    assert api.ask("POST", f"Invoices/{nobody}", {"Reference": "x"}).status_code == 404


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b'"x"', b"[1]", b'{"Total": NaN}', b"\xff", b"[" * 100_000]
)
def test_a_body_that_is_no_invoice_is_refused(api: Api, body: bytes) -> None:
    answer = api.http.put("Invoices", content=body)

    assert answer.status_code == 400
    assert answer.json()["Type"] == "PostDataInvalidException"
