"""Payments and credit notes: what is due, to the cent, and when a document is PAID."""

from typing import Any

import pytest

from tests.providers.xero.sandbox.conftest import Api, payment_of

JSON = dict[str, Any]


def look(api: Api, document: JSON) -> Any:
    resource = "Invoices" if document["Type"] == "ACCREC" else "CreditNotes"
    found_id = document.get("InvoiceID") or document["CreditNoteID"]
    return api.get(f"{resource}/{found_id}")[resource][0]


def test_an_invoice_is_paid_with_its_last_cent(api: Api) -> None:
    invoice = api.invoice(100.30)

    api.pay(invoice, 100.29)
    nearly = look(api, invoice)
    api.pay(invoice, 0.01, Date="2026-11-05")
    paid = look(api, invoice)

    assert (nearly["Status"], nearly["AmountDue"], nearly["AmountPaid"]) == ("AUTHORISED", 0.01, 100.29)
    assert (paid["Status"], paid["AmountDue"], paid["AmountPaid"]) == ("PAID", 0, 100.3)
    assert paid["FullyPaidOnDate"] == "/Date(1793836800000+0000)/"
    assert [payment["Amount"] for payment in paid["Payments"]] == [100.29, 0.01]


def test_a_payment_shows_its_invoice_and_account(api: Api) -> None:
    invoice = api.invoice(100, InvoiceNumber="NW-1")

    payment = api.pay(invoice, 40, Reference="op-7")

    assert (payment["Status"], payment["PaymentType"], payment["Reference"]) == ("AUTHORISED", "ACCRECPAYMENT", "op-7")
    assert payment["Invoice"]["InvoiceNumber"] == "NW-1"
    assert payment["Account"]["Code"] == "090"
    assert api.get(f"Payments/{payment['PaymentID']}")["Payments"] == [payment]


def test_an_invoice_is_named_by_its_number_too(api: Api) -> None:
    api.invoice(100, InvoiceNumber="NW-1")

    api.put("Payments", payment_of({"Invoice": {"InvoiceNumber": "NW-1"}}, 40))
    api.put("Payments", payment_of({"InvoiceNumber": "NW-1"}, 60))

    assert api.get("Invoices/NW-1")["Invoices"][0]["Status"] == "PAID"


@pytest.mark.parametrize(
    "more, message",
    [
        ({"Amount": 100.01}, "exceeds the amount outstanding"),
        ({"Amount": 0}, "greater than zero"),
        ({"Amount": -5}, "greater than zero"),
        ({"Amount": 1.005}, "two decimals"),
        ({"Amount": None}, "Amount must be a valid number"),
        ({"Account": {"Code": "200"}}, "payments to it are not enabled"),
        ({"Account": {"Code": "999"}}, "Account could not be found"),
        ({"Account": None}, "Account could not be found"),
        ({"Invoice": None}, "must be for an invoice or a credit note"),
        ({"Invoice": {"InvoiceNumber": "none"}}, "Invoice could not be found"),
        ({"Date": "soon"}, "Date is not a valid date"),
    ],
)
def test_a_payment_that_breaks_a_rule_is_refused(api: Api, more: JSON, message: str) -> None:
    invoice = api.invoice(100)
    element = payment_of({"Invoice": {"InvoiceID": invoice["InvoiceID"]}}, 100)

    [said] = api.refused("PUT", "Payments", {**element, **more})

    assert message in said
    assert look(api, invoice)["AmountDue"] == 100


@pytest.mark.parametrize("status", ["DRAFT", "SUBMITTED", "VOIDED"])
def test_only_an_authorised_invoice_is_paid(api: Api, status: str) -> None:
    invoice = api.invoice(100, Status="AUTHORISED" if status == "VOIDED" else status)
    if status == "VOIDED":
        api.post(f"Invoices/{invoice['InvoiceID']}", {"Status": "VOIDED"})

    said = api.refused("PUT", "Payments", payment_of({"Invoice": {"InvoiceID": invoice["InvoiceID"]}}, 10))

    assert said == ["Payments can only be made against Authorised documents"]


def test_a_deleted_payment_opens_its_invoice_again(api: Api) -> None:
    invoice = api.invoice(100)
    payment = api.pay(invoice, 100)

    deleted = api.post(f"Payments/{payment['PaymentID']}", {"Status": "DELETED"})
    opened = look(api, invoice)

    assert deleted["Status"] == "DELETED"
    assert (opened["Status"], opened["AmountDue"], opened["Payments"]) == ("AUTHORISED", 100, [])
    assert "FullyPaidOnDate" not in opened
    assert [found["Status"] for found in api.get("Payments")["Payments"]] == ["DELETED"]
    assert api.post(f"Invoices/{invoice['InvoiceID']}", {"Status": "VOIDED"})["Status"] == "VOIDED"


def test_a_payment_is_deleted_once_and_changed_never(api: Api) -> None:
    payment = api.pay(api.invoice(100), 100)
    path = f"Payments/{payment['PaymentID']}"

    assert api.refused("POST", path, {"Amount": 5}) == ["Payments cannot be changed: Status must be DELETED"]
    api.post(path, {"Payments": [{"Status": "DELETED"}]})
    assert api.refused("POST", path, {"Status": "DELETED"}) == ["This payment has already been deleted"]


def test_a_credit_note_is_paid_back(api: Api) -> None:
    note = api.credit_note(50, CreditNoteNumber="CN-7")
    named = {"CreditNote": {"CreditNoteID": note["CreditNoteID"]}}

    refund = api.put("Payments", payment_of(named, 20, Reference="op-9"))
    partly = look(api, note)
    api.put("Payments", payment_of(named, 30))
    wholly = look(api, note)

    assert refund["PaymentType"] == "ARCREDITPAYMENT"
    assert (refund["Invoice"]["Type"], refund["Invoice"]["InvoiceNumber"]) == ("ACCRECCREDIT", "CN-7")
    assert (partly["Status"], partly["RemainingCredit"]) == ("AUTHORISED", 30)
    assert (wholly["Status"], wholly["RemainingCredit"]) == ("PAID", 0)
    said = api.refused("PUT", "Payments", payment_of(named, 1))
    assert said == ["Payment amount exceeds the amount outstanding on this document"]


def test_a_credit_note_with_a_refund_cannot_be_voided_until_the_refund_is_deleted(api: Api) -> None:
    note = api.credit_note(50)
    path = f"CreditNotes/{note['CreditNoteID']}"
    refund = api.put("Payments", payment_of({"CreditNote": {"CreditNoteID": note["CreditNoteID"]}}, 20))

    assert api.refused("POST", path, {"Status": "VOIDED"})
    api.post(f"Payments/{refund['PaymentID']}", {"Status": "DELETED"})
    voided = api.post(path, {"Status": "VOIDED"})

    assert (voided["Status"], voided["RemainingCredit"]) == ("VOIDED", 0)


def test_the_number_of_a_credit_note_is_unique(api: Api) -> None:
    note = api.credit_note(50, CreditNoteNumber="CN-7")
    element = {"Type": "ACCRECCREDIT", "Contact": note["Contact"], "CreditNoteNumber": "CN-7"}

    assert api.refused("PUT", "CreditNotes", element) == ["Credit Note # must be unique."]
    assert api.get("CreditNotes/CN-7")["CreditNotes"] == [note]


def test_a_credit_note_is_used_for_an_invoice_of_the_same_contact(api: Api) -> None:
    invoice = api.invoice(100)
    contact = {"ContactID": invoice["Contact"]["ContactID"]}
    note = api.credit_note(30, Contact=contact)
    body = {"Amount": 30, "Date": "2026-11-04", "Invoice": {"InvoiceID": invoice["InvoiceID"]}}

    answer = api.ask("PUT", f"CreditNotes/{note['CreditNoteID']}/Allocations", body)

    assert answer.json()["Allocations"][0]["Amount"] == 30
    credited = look(api, invoice)
    assert (credited["AmountCredited"], credited["AmountDue"], credited["Status"]) == (30, 70, "AUTHORISED")
    assert credited["CreditNotes"][0]["AppliedAmount"] == 30
    used = look(api, note)
    assert (used["Status"], used["RemainingCredit"]) == ("PAID", 0)
    assert api.refused("POST", f"Invoices/{invoice['InvoiceID']}", {"Status": "VOIDED"})


@pytest.mark.parametrize(
    "amount, message", [(31, "exceeds the amount outstanding"), (10, "must be of the same contact")]
)
def test_a_credit_note_is_used_for_nothing_else(api: Api, amount: float, message: str) -> None:
    invoice, note = api.invoice(100), api.credit_note(30)
    body = {"Amount": amount, "Invoice": {"InvoiceID": invoice["InvoiceID"]}}

    [said] = api.refused("PUT", f"CreditNotes/{note['CreditNoteID']}/Allocations", body)

    assert message in said
    assert look(api, invoice)["AmountDue"] == 100


def test_the_accounts_that_payments_need_are_there(api: Api) -> None:
    codes = [account["Code"] for account in api.get("Accounts")["Accounts"]]

    assert {"090", "200", "880"} <= set(codes)
    assert api.get("Accounts/090")["Accounts"][0]["Type"] == "BANK"
