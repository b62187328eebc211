from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.health import rates
from integrations.health.rates import Count
from integrations.models import Attempt, Connection, Tally
from integrations.workflow.process import process_batch

NOW = datetime(2026, 11, 19, 14, 32, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "at, began",
    [
        (datetime(2026, 11, 19, 14, 32, 8, tzinfo=UTC), datetime(2026, 11, 19, 14, 30, tzinfo=UTC)),
        (datetime(2026, 11, 19, 14, 30, tzinfo=UTC), datetime(2026, 11, 19, 14, 30, tzinfo=UTC)),
        (datetime(2026, 11, 19, 23, 59, 59, 999999, tzinfo=UTC), datetime(2026, 11, 19, 23, 50, tzinfo=UTC)),
    ],
)
def test_it_counts_in_steps_of_ten_minutes(at: datetime, began: datetime) -> None:
    assert rates.step_of(at) == began


def test_counts_of_the_same_ten_minutes_add_up(connection: Connection) -> None:
    rates.count({connection.pk: Count(done=3, applied=2, failed=1)}, NOW)
    rates.count({connection.pk: Count(done=4, applied=1)}, NOW + timedelta(seconds=50))

    tally = Tally.objects.get()
    assert (tally.done, tally.applied, tally.failed) == (7, 3, 1)


def test_nothing_done_writes_no_row(connection: Connection) -> None:
    rates.count({connection.pk: Count()}, NOW)

    assert not Tally.objects.exists()


def test_the_last_hour_ends_now(connection: Connection) -> None:
    rates.count({connection.pk: Count(done=1)}, NOW)
    rates.count({connection.pk: Count(done=10)}, NOW - timedelta(minutes=50))
    rates.count({connection.pk: Count(done=100)}, NOW - timedelta(minutes=60))

    found = rates.rates_of([connection.pk], NOW)[connection.pk]

    assert (found.last_hour.done, found.hours[-2].done) == (11, 100)


def test_what_is_older_than_a_day_is_left_out(connection: Connection) -> None:
    rates.count({connection.pk: Count(done=1)}, NOW - timedelta(hours=23, minutes=50))
    rates.count({connection.pk: Count(done=10)}, NOW - timedelta(hours=24, minutes=10))

    found = rates.rates_of([connection.pk], NOW)[connection.pk]

    assert sum(hour.done for hour in found.hours) == found.hours[0].done == 1


def test_a_connection_without_work_has_a_day_of_zeros(connection: Connection) -> None:
    assert rates.rates_of([connection.pk], NOW)[connection.pk].series == [(0, 0)] * 24


def test_a_settled_batch_is_counted(connection: Connection, make_event: Any) -> None:
    make_event()
    make_event(event_type="customer.updated", obj={"id": "cus_0002", "object": "customer"})

    process_batch()

    found = rates.rates_of([connection.pk], timezone.now())[connection.pk].last_hour
    assert (found.done, found.applied, found.failed) == (1, 1, 1)


def test_the_latency_is_that_of_95_in_100(connection: Connection) -> None:
    now = timezone.now()
    Attempt.objects.bulk_create(
        Attempt(connection=connection, method="GET", url="u", latency_ms=10 * n, started_at=now - timedelta(minutes=1))
        for n in range(101)
    )
    Attempt.objects.create(
        connection=connection, method="GET", url="u", latency_ms=99_000, started_at=now - timedelta(hours=2)
    )

    assert rates.latencies_of([connection.pk], now) == {connection.pk: pytest.approx(0.95)}


def test_without_exchanges_there_is_no_latency(connection: Connection) -> None:
    assert rates.latencies_of([connection.pk], timezone.now()) == {}
