from collections.abc import Callable
from typing import Any

import pytest

from console.models import User
from integrations.models import Connection, JournalEntry, Run, Stream

pytestmark = pytest.mark.django_db
At = Callable[..., str]


@pytest.mark.parametrize("role", ["support", "finance", "auditor", "administrator"])
def test_it_needs_operations_or_an_engineer(
    role: str, request: Any, connection: Connection, stream: Stream, at: At, client_of: Any
) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.post(at("stream_run", stream.pk)).status_code == 403
    assert client.post(at("connection_run", connection.pk)).status_code == 403
    assert not Run.objects.exists()


def test_reading_the_address_runs_nothing(stream: Stream, at: At, client_of: Any, operations: User) -> None:
    assert client_of(operations).get(at("stream_run", stream.pk)).status_code == 405
    assert not Run.objects.exists()


def test_it_asks_for_a_run_in_the_persons_name(stream: Stream, at: At, client_of: Any, operations: User) -> None:
    client_of(operations).post(at("stream_run", stream.pk))

    run = Run.objects.get()
    assert (run.stream, run.asked_by) == (stream, "Operations")
    assert JournalEntry.objects.get(action="stream.run_asked").actor_id == operations.pk


def test_one_that_is_under_way_is_not_doubled(stream: Stream, at: At, client_of: Any, operations: User) -> None:
    client = client_of(operations)
    client.post(at("stream_run", stream.pk))

    answer = client.post(at("stream_run", stream.pk), follow=True)

    assert Run.objects.count() == 1
    assert "under way already" in answer.content.decode()


def test_all_streams_run_but_the_paused(
    connection: Connection, stream: Stream, at: At, client_of: Any, operations: User
) -> None:
    client = client_of(operations)
    client.post(at("stream_pause", stream.pk), {"reason": "Closing"})

    client.post(at("connection_run", connection.pk))

    assert Run.objects.count() == 4
    assert not Run.objects.filter(stream=stream).exists()


def test_a_run_is_cancelled_once(stream: Stream, at: At, client_of: Any, operations: User) -> None:
    client = client_of(operations)
    client.post(at("stream_run", stream.pk))
    run = Run.objects.get()

    answer = client.post(at("run_cancel", run.pk), {"reason": "Wrong stream"})
    again = client.post(at("run_cancel", run.pk), {"reason": "Wrong stream"})

    run.refresh_from_db()
    assert answer.status_code == 302
    assert again.status_code == 422
    assert run.state == "dismissed"


def test_another_tenants_stream_is_not_there(
    other_connection: Connection, connection: Connection, at: At, client_of: Any, operations: User
) -> None:
    theirs = other_connection.streams.first()

    assert theirs
    assert client_of(operations).post(at("stream_run", theirs.pk)).status_code == 404
