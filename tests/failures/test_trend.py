from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.failures import grouping, trend
from integrations.failures.categories import Category, Fault
from integrations.failures.trend import Trend, trends_of
from integrations.models import Connection, Failure, Problem

FAULT = Fault(Category.MAPPING, "missing:tax", "tax has no value")


@pytest.fixture
def problem(connection: Connection, make_event: Any, make_record: Any) -> Problem:
    """Three failures of two records: now, 2 hours and 2 days ago."""
    first, second = make_record(), make_record()
    now = timezone.now()
    for record, hours in ((first, 0), (second, 2), (second, 48)):
        event = make_event(record=record)
        grouping.note([grouping.Failed(FAULT, connection, event=event, record=record, resource="invoice")])
        Failure.objects.filter(event=event).update(at=now - timedelta(hours=hours, minutes=1))
    return Problem.objects.get()


def test_it_spreads_failures_over_the_last_day(problem: Problem) -> None:
    found = trends_of([problem.pk], timezone.now())[problem.pk]

    assert (found.hours[-1], found.hours[-3], sum(found.hours)) == (1, 1, 2)
    assert (found.events, found.runs, found.records, found.noun) == (3, 0, 2, "event")


def test_resolved_failures_touch_nothing_any_more(problem: Problem) -> None:
    grouping.resolve(Failure.objects.all(), "It went through")

    found = trends_of([problem.pk], timezone.now())[problem.pk]

    assert (found.events, found.records, sum(found.hours)) == (0, 0, 2)


def test_it_looks_at_the_newest_only(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trend, "NEWEST", 2)

    found = trends_of([problem.pk], timezone.now())[problem.pk]

    assert (found.events, found.capped) == (2, True)


def test_any_number_of_problems_is_one_query(problem: Problem) -> None:
    with CaptureQueriesContext(database) as queries:
        trends_of([problem.pk, problem.pk + 1, problem.pk + 2], timezone.now())

    assert len(queries) == 1


@pytest.mark.parametrize(
    "last_hours, word",
    [
        ([0, 0, 0, 0, 0, 9], "rising"),
        ([4, 4, 4, 4, 4, 4], ""),
        ([9, 9, 9, 1, 1, 1], "falling"),
        ([0, 0, 0, 0, 0, 2], ""),
        ([0, 0, 0, 0, 0, 0], ""),
    ],
)
def test_it_says_where_it_goes(last_hours: list[int], word: str) -> None:
    assert Trend(hours=[0] * 18 + last_hours).word == word
