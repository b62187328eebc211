from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.health import backlog
from integrations.models import Connection, WorkState


def test_it_counts_by_state_and_knows_the_oldest(connection: Connection, make_event: Any) -> None:
    oldest = timezone.now() - timedelta(hours=3)
    make_event(state=WorkState.PARKED, received_at=oldest)
    make_event(state=WorkState.PARKED)
    make_event(state=WorkState.WAITING)
    make_event(state=WorkState.DONE)
    make_event(state=WorkState.DISMISSED)

    found = backlog.backlogs_of([connection.pk])[connection.pk]

    assert (found.total, found.parts, found.oldest_at) == (3, [("parked", 2), ("waiting", 1)], oldest)
    assert not found.capped


def test_counting_ends_at_a_limit(connection: Connection, make_event: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MOST", 2)
    for _ in range(4):
        make_event(state=WorkState.HELD)

    found = backlog.backlogs_of([connection.pk])[connection.pk]

    assert (found.of(WorkState.HELD), found.capped) == (2, True)


def test_another_connection_does_not_count(
    connection: Connection, other_connection: Connection, make_event: Any
) -> None:
    make_event(on=other_connection)

    assert backlog.backlogs_of([connection.pk])[connection.pk].total == 0
