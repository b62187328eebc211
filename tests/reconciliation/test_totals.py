"""Control totals of a route: what the books are to know adds up to what is there, on its way, stopped and missing."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.models import Connection, Copy, CopyState, JournalEntry, Record, Route, Tenant
from integrations.reconciliation import copy_report, report
from integrations.reconciliation.totals import Line, missing, totals_of
from integrations.workflow.errors import Refusal
from tests.books import make_route
from tests.conftest import TESTER

pytestmark = pytest.mark.django_db

MakeRecord = Callable[..., Record]


@pytest.fixture
def route(connection: Connection, tenant: Tenant) -> Route:
    target = Connection.objects.create(tenant=tenant, environment="test", provider="xero", name="Books")
    return make_route(connection, target)


@pytest.fixture
def copied(route: Route, make_record: MakeRecord) -> Callable[..., Copy]:
    def make(kind: str, state: str, amount: int, copy: str, currency: str = "EUR", **more: Any) -> Copy:
        record = make_record(kind, state=state)
        Record.objects.filter(pk=record.pk).update(amount=amount, currency=currency)
        return Copy.objects.create(
            tenant=route.tenant, environment=route.environment, route=route, record=record, connection=route.target,
            state=copy, due_at=timezone.now(), **more,
        )  # fmt: skip

    return make


def summed(line: Line) -> dict[str, tuple[int, int]]:
    return {
        name: (part.number, part.amount)
        for name in ("ours", "there", "ahead", "stopped", "missing")
        if (part := getattr(line, name)).number
    }


def test_what_is_owed_or_has_moved_is_counted_where_it_stands(route: Route, copied: Callable[..., Copy]) -> None:
    copied("payment", "succeeded", 11_900, CopyState.EXPORTED)
    copied("payment", "succeeded", 500, CopyState.WAITING)
    copied("payment", "succeeded", 70, CopyState.STOPPED)
    copied("payment", "succeeded", 3, CopyState.NOT_NEEDED)
    copied("payment", "failed", 9_999, CopyState.NOT_NEEDED)

    (line,) = totals_of(route)

    assert summed(line) == {
        "ours": (4, 12_473), "there": (1, 11_900), "ahead": (1, 500), "stopped": (1, 70), "missing": (1, 3),
    }  # fmt: skip
    assert not line.complete


def test_currencies_are_never_added_up(route: Route, copied: Callable[..., Copy]) -> None:
    copied("refund", "succeeded", 100, CopyState.EXPORTED, "EUR")
    copied("refund", "succeeded", 100, CopyState.EXPORTED, "JPY")

    assert [(line.currency, line.there.amount, line.complete) for line in totals_of(route)] == [
        ("EUR", 100, True),
        ("JPY", 100, True),
    ]


def test_of_a_payment_what_was_collected_counts(route: Route, copied: Callable[..., Copy]) -> None:
    copy = copied("payment", "succeeded", 10_000, CopyState.EXPORTED)
    Record.objects.filter(pk=copy.record_id).update(data={"amount": 10_000, "amount_received": 6_000})

    (line,) = totals_of(route)

    assert line.there.amount == 6_000


def test_a_record_that_was_never_asked_to_be_exported_is_missing(route: Route, make_record: MakeRecord) -> None:
    record = make_record("invoice", state="paid")
    Record.objects.filter(pk=record.pk).update(amount=700, currency="EUR")

    (line,) = totals_of(route)

    assert summed(line) == {"ours": (1, 700), "missing": (1, 700)}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(st.tuples(st.sampled_from([None, *CopyState.values]), st.integers(1, 99), st.integers(-9, 9**15)))
)
def test_ours_is_what_the_parts_come_to(parts: list[tuple[str | None, int, int]]) -> None:
    line = Line("invoice", "EUR")

    for part in parts:
        line.add(*part)

    of = (line.there, line.ahead, line.stopped, line.missing)
    assert line.ours.number == sum(each.number for each in of)
    assert line.ours.amount == sum(each.amount for each in of)


def test_money_that_is_left_out_is_found_apart_from_what_came_to_nothing(
    route: Route, copied: Callable[..., Copy]
) -> None:
    collected = copied("payment", "succeeded", 3, CopyState.NOT_NEEDED, reason="It pays no invoice")
    copied("payment", "failed", 3, CopyState.NOT_NEEDED)

    assert list(missing(Copy.objects.all(), route.kinds)) == [collected]


def test_the_report_names_both_ids_and_is_journaled(route: Route, copied: Callable[..., Copy], tenant: Tenant) -> None:
    copy = copied("payment", "succeeded", 11_900, CopyState.EXPORTED, external_id="p-1", version=2)
    copy.record.references.create(
        connection=route.source,
        resource="payment_intent",
        external_id="pi_1",
        seen_at=timezone.now(),
        checked_at=timezone.now(),
    )

    made = report.make(tenant, "test", copy_report.table_of(route), told={}, actor=TESTER, reason="Month end")

    with made.file as file:
        (row,) = csv.DictReader(io.StringIO(file.read().decode()))
    assert (row["source_id"], row["target_id"], row["amount"], row["currency"]) == ("pi_1", "p-1", "119.00", "EUR")
    assert (row["export"], row["version"]) == ("Exported", "2")
    entry = JournalEntry.objects.get(action="export.made")
    assert (entry.data["rows"], entry.data["sha256"]) == (1, made.sha256)
    assert entry.reason == "Month end"


def test_a_report_without_a_reason_is_refused(route: Route, tenant: Tenant) -> None:
    with pytest.raises(Refusal, match="what the report is for"):
        report.make(tenant, "test", copy_report.table_of(route), told={}, actor=TESTER, reason=" ")
