from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.health.freshness import Freshness, freshness_of, judge, worst
from integrations.models import Connection, Stream
from integrations.workflow.process import process_batch

NOW = timezone.now()


def stream(**fields: Any) -> Stream:
    """Return an unsaved stream whose first sync is done, of a connection that is 30 days old."""
    connection = Connection(created_at=NOW - timedelta(days=30))
    defaults: dict[str, Any] = {"fresh_within": 900, "first_sync_done_at": NOW - timedelta(days=29)}
    return Stream(connection=connection, **(defaults | fields))


@pytest.mark.parametrize(
    "polled, webhook, word, by",
    [
        (60, None, "fresh", "poll"),
        (900, None, "fresh", "poll"),
        (901, None, "late", "poll"),
        (3600, None, "late", "poll"),
        (3601, None, "very late", "poll"),
        (5000, 12, "fresh", "webhook"),
        (12, 5000, "fresh", "poll"),
        (None, 12, "fresh", "webhook"),
        (None, None, "very late", ""),
    ],
)
def test_the_newest_sight_counts(polled: int | None, webhook: int | None, word: str, by: str) -> None:
    def ago(seconds: int | None) -> Any:
        return None if seconds is None else NOW - timedelta(seconds=seconds)

    found = judge(stream(last_success_at=ago(polled)), ago(webhook), NOW)

    assert (found.word, found.by) == (word, by)


def test_paused_data_is_held_and_not_late() -> None:
    found = judge(stream(last_success_at=NOW - timedelta(days=1), paused_at=NOW), None, NOW)

    assert (found.word, found.late) == ("held", False)


def test_data_of_a_disabled_connection_is_held() -> None:
    held = stream(last_success_at=NOW - timedelta(days=1))
    held.connection.disabled_at = NOW

    assert judge(held, None, NOW).word == "held"


def test_before_its_first_sync_a_young_stream_is_not_late() -> None:
    young = stream(first_sync_done_at=None)
    young.connection.created_at = NOW - timedelta(minutes=5)

    assert judge(young, None, NOW).word == "first sync"


def test_a_stream_that_nothing_came_from_is_said() -> None:
    assert judge(stream(first_sync_done_at=None), None, NOW).word == "never"


def test_the_worst_stream_stands_for_all() -> None:
    fresh, late = Freshness(Stream(), "fresh", NOW), Freshness(Stream(), "late", NOW - timedelta(hours=1))
    later = Freshness(Stream(), "late", NOW - timedelta(hours=2))

    assert worst([fresh, late, later]) is later
    assert worst([]) is None


def test_a_webhook_counts_once_it_is_decided(connection: Connection, make_event: Any) -> None:
    Stream.objects.update(first_sync_done_at=NOW, last_success_at=NOW - timedelta(days=1))
    event = make_event()

    before = {each.stream.resource: each for each in freshness_of([connection], timezone.now())[connection.pk]}
    process_batch()
    after = {each.stream.resource: each for each in freshness_of([connection], timezone.now())[connection.pk]}

    assert before["customer"].word == "very late"
    assert (after["customer"].by, after["customer"].as_of) == ("webhook", event.received_at)
    assert after["invoice"].word == "very late"
