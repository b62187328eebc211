"""Lists: pages, conditions, order, and what changed since."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.providers.xero.sandbox.harness import Sandbox
from tests.providers.xero.sandbox.conftest import Api


def names(answer: Any) -> list[str]:
    return [contact["Name"] for contact in answer["Contacts"]]


def test_a_page_has_a_hundred_unless_told_otherwise(api: Api) -> None:
    api.put("Contacts", [{"Name": f"C{number:03}"} for number in range(105)])

    first, second, third = (api.get("Contacts", page=page) for page in (1, 2, 3))

    assert first["pagination"] == {"page": 1, "pageSize": 100, "pageCount": 2, "itemCount": 105}
    assert names(first) + names(second) == [f"C{number:03}" for number in range(105)]
    assert names(third) == []
    assert len(names(api.get("Contacts", page=1, pageSize=1000))) == 105
    assert names(api.get("Contacts", page=3, pageSize=2)) == ["C004", "C005"]


def test_a_page_has_a_thousand_at_most(api: Api) -> None:
    assert api.get("Contacts", page=1, pageSize=1001)["pagination"]["pageSize"] == 1000


@pytest.mark.parametrize("query", [{"page": 0}, {"page": "x"}, {"pageSize": 0}, {"page": "1.5"}, {"page": -1}])
def test_a_page_is_a_number_from_one(api: Api, query: dict[str, Any]) -> None:
    answer = api.ask("GET", "Contacts", **query)

    assert (answer.status_code, answer.json()["Type"]) == (400, "QueryParseException")


def test_only_pages_and_single_objects_show_line_items(api: Api) -> None:
    made = api.invoice(100)
    api.pay(made, 40)

    listed, paged = api.get("Invoices")["Invoices"][0], api.get("Invoices", page=1)["Invoices"][0]

    assert (listed["LineItems"], listed["Payments"]) == ([], [])
    assert (len(paged["LineItems"]), len(paged["Payments"])) == (1, 1)
    assert listed["AmountDue"] == 60


def test_only_what_changed_since_is_listed(api: Api, sandbox: Sandbox) -> None:
    api.contact("Early")
    changed = api.contact("Changed")
    sandbox.set_clock(skew=3600)
    since = (datetime.now(UTC) + timedelta(minutes=30)).isoformat()
    api.post(f"Contacts/{changed['ContactID']}", {"AccountNumber": "7"})
    api.contact("Late")

    assert names(api.get("Contacts", since=since)) == ["Changed", "Late"]


def test_the_very_moment_counts_as_since(api: Api) -> None:
    made = api.contact("Now")
    at = datetime.fromtimestamp(int(made["UpdatedDateUTC"][6:19]) / 1000, UTC)

    assert names(api.get("Contacts", since=at.isoformat())) == ["Now"]
    assert names(api.get("Contacts", since=(at + timedelta(milliseconds=1)).isoformat())) == []


def test_a_payment_changes_its_invoice(api: Api, sandbox: Sandbox) -> None:
    made = api.invoice(100)
    sandbox.set_clock(skew=3600)
    since = (datetime.now(UTC) + timedelta(minutes=30)).isoformat()

    api.pay(made, 40)

    assert len(api.get("Invoices", since=since)["Invoices"]) == 1


@pytest.mark.parametrize("since", ["2026-11-21T10:00:00", "2026-11-21T10:00:00Z", "Sat, 21 Nov 2026 10:00:00 GMT"])
def test_since_is_read_in_every_usual_format(api: Api, since: str) -> None:
    assert api.ask("GET", "Contacts", since=since).status_code == 200


def test_since_must_be_a_date(api: Api) -> None:
    assert api.ask("GET", "Contacts", since="yesterday").status_code == 400


CONDITIONS = [
    ('Name=="Beta"', ["Beta"]),
    ('Name=="beta"', []),
    ('Name!="Beta"', ["Alpha", "Gamma"]),
    ('Name=="Alpha" OR Name=="Gamma"', ["Alpha", "Gamma"]),
    ('Name == "Alpha" && ContactNumber == "1"', ["Alpha"]),
    ('Name=="Alpha" AND ContactNumber=="2"', []),
    ('(Name=="Alpha" OR Name=="Beta") AND ContactNumber=="2"', ["Beta"]),
    ('Name=="Gamma" || Name=="Alpha" AND ContactNumber=="2"', ["Gamma"]),
    ("ContactNumber==null", ["Gamma"]),
    ("ContactNumber!=null", ["Alpha", "Beta"]),
    ('Name.Contains("a") AND Name.StartsWith("B")', ["Beta"]),
    ('Name.EndsWith("mma")', ["Gamma"]),
    ('Name>="Beta"', ["Beta", "Gamma"]),
    ("UpdatedDateUTC>DateTime(2020,1,1)", ["Alpha", "Beta", "Gamma"]),
    ("UpdatedDateUTC<DateTime(2020,1,1,12,0,0)", []),
]


@pytest.mark.parametrize("where, expected", CONDITIONS)
def test_a_condition_filters(api: Api, where: str, expected: list[str]) -> None:
    api.put("Contacts", [{"Name": "Alpha", "ContactNumber": "1"}, {"Name": "Beta", "ContactNumber": "2"}])
    api.contact("Gamma")

    assert names(api.get("Contacts", where=where)) == expected


def test_conditions_look_into_related_objects(api: Api) -> None:
    mine, other = api.invoice(100, Reference="op-1"), api.invoice(200, Reference="op-2")
    payment = api.pay(mine, 40)
    contact = mine["Contact"]["ContactID"]

    def found(resource: str, where: str) -> list[str]:
        return [one[f"{resource[:-1]}ID"] for one in api.get(resource, where=where)[resource]]

    assert found("Invoices", 'Reference=="op-1"') == [mine["InvoiceID"]]
    assert found("Invoices", f'Contact.ContactID==Guid("{contact.upper()}")') == [mine["InvoiceID"]]
    assert found("Invoices", "AmountDue>100.5") == [other["InvoiceID"]]
    assert found("Invoices", "Date==DateTime(2026,11,02) AND Total==200") == [other["InvoiceID"]]
    assert found("Payments", f'Invoice.InvoiceID==Guid("{mine["InvoiceID"]}")') == [payment["PaymentID"]]
    assert found("Payments", f'Invoice.InvoiceNumber=="{mine["InvoiceNumber"]}"') == [payment["PaymentID"]]
    assert found("Payments", f'Invoice.InvoiceID==Guid("{other["InvoiceID"]}")') == []


WRONG = [
    "Name",
    "Name==",
    '=="x"',
    'Colour=="red"',
    'Name=="x" AND',
    '(Name=="x"',
    'Name=="x")',
    "Name==x",
    "Name>5",
    "UpdatedDateUTC>DateTime(2020,13,1)",
    'Name.Contains("x"',
    'Name=="x" "y"',
    "Name==;",
    "(" * 500,
]


@pytest.mark.parametrize("where", WRONG)
def test_a_condition_that_cannot_be_understood_is_refused(api: Api, where: str) -> None:
    api.contact("Alpha")

    answer = api.ask("GET", "Contacts", where=where)

    assert (answer.status_code, answer.json()["Type"]) == (400, "QueryParseException")


def test_a_list_comes_in_the_order_that_is_asked_for(api: Api) -> None:
    api.put("Contacts", [{"Name": name, "AccountNumber": rank} for name, rank in (("B", "1"), ("A", "2"), ("C", "1"))])

    assert names(api.get("Contacts")) == ["B", "A", "C"]
    assert names(api.get("Contacts", order="Name")) == ["A", "B", "C"]
    assert names(api.get("Contacts", order="Name DESC")) == ["C", "B", "A"]
    assert names(api.get("Contacts", order="AccountNumber, Name DESC")) == ["C", "B", "A"]
    assert api.ask("GET", "Contacts", order="Colour").status_code == 400


def test_a_list_is_filtered_by_ids_numbers_contacts_and_statuses(api: Api) -> None:
    first, second, third = api.invoice(1), api.invoice(2), api.invoice(3, Status="DRAFT")

    def found(**query: str) -> list[float]:
        return [invoice["Total"] for invoice in api.get("Invoices", **query)["Invoices"]]

    assert found(IDs=f"{first['InvoiceID']},{third['InvoiceID'].upper()}") == [1, 3]
    assert found(InvoiceNumbers=f"{second['InvoiceNumber']},none") == [2]
    assert found(ContactIDs=third["Contact"]["ContactID"]) == [3]
    assert found(Statuses="DRAFT,VOIDED") == [3]
    assert found(searchTerm=second["InvoiceNumber"].lower()) == [2]


def test_ids_must_be_ids(api: Api) -> None:
    answer = api.ask("GET", "Invoices", IDs="INV-1")

    assert (answer.status_code, answer.json()["Type"]) == (400, "QueryParseException")


def test_contacts_that_are_archived_come_by_their_ids_only_if_they_are_asked_for(api: Api, sandbox: Sandbox) -> None:
    made = api.contact("Gone")
    sandbox.lose("Contacts", made["ContactID"])

    assert names(api.get("Contacts", IDs=made["ContactID"])) == []
    assert names(api.get("Contacts", IDs=made["ContactID"], includeArchived="true")) == ["Gone"]


def test_lists_without_such_a_filter_pay_no_heed_to_it(api: Api) -> None:
    note, other = api.credit_note(), api.credit_note()

    assert len(api.get("CreditNotes", IDs=note["CreditNoteID"])["CreditNotes"]) == 2
    assert len(api.get("Contacts", Statuses="ARCHIVED")["Contacts"]) == 2
    assert other["CreditNoteID"] != note["CreditNoteID"]


def test_every_answer_has_a_correlation_id_and_a_date(api: Api) -> None:
    first, second = api.ask("GET", "Contacts"), api.ask("GET", "Contacts/nobody")

    assert len(first.headers["Xero-Correlation-Id"]) == 36
    assert first.headers["Xero-Correlation-Id"] != second.headers["Xero-Correlation-Id"]
    assert second.headers["Date"].endswith("GMT")
