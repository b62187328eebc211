"""Contacts of one name: the books take no two, whatever the capitals, and whichever source they come from."""

import pytest

from integrations.models import Connection, Copy, CopyState, Record, Route, Tenant
from integrations.providers.xero.sandbox.harness import Sandbox
from tests.books import held, make_route
from tests.conftest import connected
from tests.workflow.export.conftest import AT, MakeRecord, export_everything

pytestmark = pytest.mark.django_db(transaction=True)


def customer(make_record: MakeRecord, name: str, external_id: str, on: Connection | None = None) -> Record:
    return make_record("customer", external_id=external_id, data={"name": name, "created_at": AT}, on=on)


def names_in(books: Sandbox) -> set[str]:
    return {contact["Name"] for contact in held(books, "Contacts")}


def test_names_that_differ_in_capitals_and_spaces_only_are_told_apart(
    route: Route, books: Sandbox, make_record: MakeRecord
) -> None:
    names = ("Acme Ltd", "ACME ltd", " acme Ltd ")
    made = [customer(make_record, name, f"cus_{place}") for place, name in enumerate(names)]

    export_everything({str(record.pk): record for record in made})

    assert names_in(books) == {"Acme Ltd", "ACME ltd (cus_1)", "acme Ltd (cus_2)"}
    assert set(Copy.objects.values_list("state", flat=True)) == {CopyState.EXPORTED}


def test_customers_of_two_sources_are_told_apart_and_who_came_first_keeps_the_name(
    tenant: Tenant, route: Route, target: Connection, books: Sandbox, make_record: MakeRecord
) -> None:
    other = connected(tenant, name="Second shop")
    make_route(other, target, "customer")
    early = customer(make_record, "Acme Ltd", "cus_a")
    late = customer(make_record, "Acme Ltd", "cus_b", on=other)

    # The record that is older comes later.
    export_everything({"late": late})
    export_everything({"early": early})

    assert names_in(books) == {"Acme Ltd", "Acme Ltd (cus_a)"}
