"""Days in the books are those of the organisation's time zone, in what is written and in what is compared."""

from collections.abc import Callable

import pytest
from django.test import Client

from console.models import User
from integrations.configuration import settings as connection_settings
from integrations.models import Command, Connection, Drift, Outcome, Record, Route
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.reconciliation.check import check_record
from tests.books import held, work_off
from tests.conftest import TESTER
from tests.workflow.export.conftest import change, export_everything, leave_open, long_ago

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def in_auckland(target: Connection) -> Connection:
    connection_settings.change(target, values={"time_zone": "pacific/auckland"}, actor=TESTER, reason="It is there")
    target.refresh_from_db()
    return target


def test_the_evening_of_a_month_in_utc_is_the_next_month_where_it_is_morning(
    in_auckland: Connection, route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    # 1 December, 01:30 in Auckland.
    at = {"issued_at": "2026-11-30T12:30:00Z", "paid_at": "2026-11-30T12:40:00Z"}
    story["invoice"].data |= at
    story["invoice"].save()
    story["payment"].data |= {"collected_at": "2026-11-30T12:40:00Z"}
    story["payment"].save()
    story["refund"].data |= {"created_at": "2026-12-04T11:00:00Z"}
    story["refund"].save()

    export_everything(story)

    (invoice,), (note,) = held(books, "Invoices"), held(books, "CreditNotes")
    assert (invoice["DateString"], invoice["DueDateString"]) == ("2026-12-01T00:00:00", "2026-12-01T00:00:00")
    assert invoice["FullyPaidOnDate"] == "/Date(1796083200000+0000)/"
    assert note["DateString"] == "2026-12-05T00:00:00"


def test_what_was_written_by_that_zone_is_compared_and_confirmed_by_it(
    in_auckland: Connection, route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    leave_open(story["invoice"], issued_at="2026-11-30T12:30:00Z")
    export_everything({name: story[name] for name in ("customer", "invoice")})
    long_ago()

    change(story["invoice"], due_at="2026-12-14T11:30:00Z")
    work_off()
    check_record(story["invoice"], at=in_auckland, actor=TESTER)
    work_off()

    assert held(books, "Invoices")[0]["DueDateString"] == "2026-12-15T00:00:00"
    assert not Drift.objects.exists()
    assert Command.objects.get(action="invoice.update").outcome == Outcome.CONFIRMED


def test_a_change_within_one_day_there_is_none(
    in_auckland: Connection, route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    leave_open(story["invoice"], issued_at="2026-11-30T09:00:00Z")
    export_everything({name: story[name] for name in ("customer", "invoice")})

    # The 30th in Auckland still, where it ends at 11:00 UTC.
    change(story["invoice"], issued_at="2026-11-30T10:59:00Z")
    work_off()

    assert not Command.objects.filter(action="invoice.update").exists()


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "+13:00"])
def test_a_time_zone_that_does_not_exist_is_refused_in_words(target: Connection, name: str) -> None:
    with pytest.raises(connection_settings.BadSettings) as refused:
        connection_settings.change(target, values={"time_zone": name}, actor=TESTER, reason="A try")

    assert "its IANA name, such as Pacific/Auckland" in refused.value.faults["time_zone"]


def test_the_time_zone_stands_in_the_settings_form(
    client_of: Callable[[User], Client], engineer: User, target: Connection
) -> None:
    page = client_of(engineer).get(f"/northwind/test/connections/{target.pk}/settings/").content.decode()

    assert "Time zone" in page
    assert 'value="UTC"' in page
