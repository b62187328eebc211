"""Contacts: names are unique, numbers find, archived ones hide."""

import pytest

from tests.providers.xero.sandbox.conftest import Api, invoice_of


def test_a_contact_is_found_by_id_and_by_number(api: Api) -> None:
    made = api.contact("Halvorsen Marine", ContactNumber="op-1", EmailAddress="ingrid@halvorsen.example")

    assert api.get(f"Contacts/{made['ContactID']}")["Contacts"] == [made]
    assert api.get("Contacts/op-1")["Contacts"] == [made]
    assert (made["ContactStatus"], made["EmailAddress"]) == ("ACTIVE", "ingrid@halvorsen.example")


@pytest.mark.parametrize("name", ["Halvorsen Marine", "halvorsen marine", " Halvorsen Marine "])
def test_the_name_of_a_contact_is_unique(api: Api, name: str) -> None:
    api.contact("Halvorsen Marine")

    [message] = api.refused("PUT", "Contacts", {"Name": name})

    assert "is already assigned to another contact" in message


def test_the_number_of_a_contact_is_unique(api: Api) -> None:
    api.contact("Halvorsen Marine", ContactNumber="op-1")

    [message] = api.refused("PUT", "Contacts", {"Name": "Somebody else", "ContactNumber": "op-1"})

    assert "op-1 is already assigned" in message


@pytest.mark.parametrize(
    "element, message",
    [
        ({}, "must be specified"),
        ({"Name": "  "}, "must be specified"),
        ({"Name": "N" * 256}, "maximum length of 255"),
        ({"Name": "A", "ContactNumber": "1" * 51}, "maximum length of 50"),
        ({"Name": "A", "EmailAddress": "nowhere"}, "Email address"),
        ({"Name": 12}, "must be a text"),
    ],
)
def test_a_contact_that_breaks_a_rule_is_refused(api: Api, element: dict[str, object], message: str) -> None:
    [said] = api.refused("PUT", "Contacts", element)

    assert message in said
    assert api.get("Contacts")["Contacts"] == []


def test_post_changes_what_it_names_and_leaves_the_rest(api: Api) -> None:
    made = api.contact("Halvorsen Marine", EmailAddress="old@halvorsen.example")

    changed = api.post(f"Contacts/{made['ContactID']}", {"EmailAddress": "new@halvorsen.example"})

    assert (changed["Name"], changed["EmailAddress"]) == ("Halvorsen Marine", "new@halvorsen.example")


@pytest.mark.parametrize("named_by", [{"ContactNumber": "op-1"}, {"Name": "Halvorsen Marine"}])
def test_post_finds_a_contact_by_its_number_or_its_name(api: Api, named_by: dict[str, str]) -> None:
    made = api.contact("Halvorsen Marine", ContactNumber="op-1")

    changed = api.post("Contacts", {**named_by, "EmailAddress": "new@halvorsen.example"})

    assert changed["ContactID"] == made["ContactID"]


def test_post_creates_a_contact_that_it_does_not_find(api: Api) -> None:
    assert api.post("Contacts", {"Name": "Halvorsen Marine"})["ContactStatus"] == "ACTIVE"


def test_a_renamed_contact_frees_its_name_and_takes_no_other(api: Api) -> None:
    made = api.contact("Old")
    api.contact("Taken")

    api.post(f"Contacts/{made['ContactID']}", {"Name": "New"})

    api.contact("Old")
    assert api.refused("POST", f"Contacts/{made['ContactID']}", {"Name": "Taken"})


def test_an_archived_contact_hides_frees_its_name_and_gets_no_invoice(api: Api) -> None:
    made = api.contact("Halvorsen Marine")

    api.post(f"Contacts/{made['ContactID']}", {"ContactStatus": "ARCHIVED"})

    assert api.get("Contacts")["Contacts"] == []
    assert len(api.get("Contacts", includeArchived="true")["Contacts"]) == 1
    assert api.refused("PUT", "Invoices", invoice_of(made["ContactID"])) == ["The contact is archived"]
    api.contact("Halvorsen Marine")


def test_a_contact_with_an_invoice_is_a_customer(api: Api) -> None:
    invoice = api.invoice()

    assert api.get(f"Contacts/{invoice['Contact']['ContactID']}")["Contacts"][0]["IsCustomer"] is True
    assert api.contact()["IsCustomer"] is False


@pytest.mark.parametrize("path", ["Contacts/nobody", "Invoices/nothing", "Payments/none", "Items", "Contacts/a/b"])
def test_what_is_not_there_is_not_found(api: Api, path: str) -> None:
    answer = api.ask("GET", path)

    assert answer.status_code == 404
    assert answer.text == "The resource you're looking for cannot be found"
