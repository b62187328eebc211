from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.access import grant, revoke
from console.models import Grant, Role, User
from integrations.models import Connection, Event, JournalEntry, Stream, Tenant
from tests.conftest import connected

pytestmark = pytest.mark.django_db
At = Callable[..., str]
ACTS = ("connection_pause", "connection_resume", "connection_disable", "connection_enable")


@pytest.mark.parametrize("role", ["support", "finance", "auditor", "administrator"])
@pytest.mark.parametrize("name", ACTS)
def test_it_needs_operations_or_an_engineer(
    role: str, name: str, request: Any, connection: Connection, at: At, client_of: Any
) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.get(at(name, connection.pk)).status_code == 403
    assert client.post(at(name, connection.pk), {"reason": "Because"}).status_code == 403
    assert not JournalEntry.objects.filter(action__startswith="connection.p").exists()


def test_it_asks_saying_how_many_wait(
    connection: Connection, at: At, client_of: Any, operations: User, make_event: Callable[..., Event]
) -> None:
    make_event(), make_event()

    page = client_of(operations).get(at("connection_pause", connection.pk)).content.decode()

    assert "Pause Stripe, hold 2 events" in page
    connection.refresh_from_db()
    assert connection.paused_at is None


def test_it_pauses_with_a_reason_and_an_end(connection: Connection, at: At, client_of: Any, operations: User) -> None:
    until = (timezone.now() + timedelta(hours=2)).replace(second=0, microsecond=0)

    answer = client_of(operations).post(
        at("connection_pause", connection.pk), {"reason": "Their maintenance", "until": f"{until:%Y-%m-%dT%H:%M}"}
    )

    assert answer.status_code == 302
    connection.refresh_from_db()
    assert connection.paused_until == until
    entry = JournalEntry.objects.get(action="connection.paused")
    assert (entry.actor, entry.reason, entry.role) == ("Operations", "Their maintenance", "operations")
    assert entry.address == "127.0.0.1"
    assert entry.request_id.startswith("req_")


@pytest.mark.parametrize(
    "answer",
    [
        {"reason": ""},
        {"reason": "   "},
        {"reason": "x" * 501},
        {"reason": "Ok", "until": "yesterday"},
        {"reason": "Ok", "until": "2020-01-01T10:00"},
    ],
)
def test_a_bad_answer_is_asked_again_and_nothing_happens(
    answer: dict[str, str], connection: Connection, at: At, client_of: Any, operations: User
) -> None:
    response = client_of(operations).post(at("connection_pause", connection.pk), answer)

    assert response.status_code == 422
    assert answer["reason"][:10] in response.content.decode()
    connection.refresh_from_db()
    assert connection.paused_at is None


def test_pausing_twice_says_who_was_first(connection: Connection, at: At, client_of: Any, operations: User) -> None:
    client = client_of(operations)
    client.post(at("connection_pause", connection.pk), {"reason": "First"})

    second = client.post(at("connection_pause", connection.pk), {"reason": "Second"})

    assert second.status_code == 422
    assert "paused already, by Operations" in second.content.decode()


def test_it_resumes_and_the_history_says_both(connection: Connection, at: At, client_of: Any, operations: User) -> None:
    client = client_of(operations)
    client.post(at("connection_pause", connection.pk), {"reason": "Their maintenance"})
    client.post(at("connection_resume", connection.pk))

    page = client.get(at("connection", connection.pk)).content.decode()

    assert "<b>Operations</b> paused the connection" in page
    assert "<b>Operations</b> resumed the connection" in page
    assert "Their maintenance" in page


def test_a_stream_is_paused_by_itself(
    connection: Connection, stream: Stream, at: At, client_of: Any, operations: User
) -> None:
    client = client_of(operations)

    client.post(at("stream_pause", stream.pk), {"reason": "Closing the month"})

    stream.refresh_from_db()
    assert stream.paused_by == "Operations"
    assert "Closing the month" in client.get(at("connection", connection.pk)).content.decode()
    client.post(at("stream_resume", stream.pk))
    stream.refresh_from_db()
    assert stream.paused_at is None


def test_disabling_needs_a_reason_and_can_be_undone(
    connection: Connection, at: At, client_of: Any, operations: User
) -> None:
    client = client_of(operations)
    assert client.post(at("connection_disable", connection.pk), {"reason": ""}).status_code == 422

    client.post(at("connection_disable", connection.pk), {"reason": "Contract ended"})

    connection.refresh_from_db()
    assert connection.disabled_at
    assert "refused with 410" in client.get(at("connection", connection.pk)).content.decode()
    client.post(at("connection_enable", connection.pk), {"reason": "Contract renewed"})
    connection.refresh_from_db()
    assert connection.disabled_at is None


def test_a_role_at_one_connection_pauses_that_one_only(
    tenant: Tenant, connection: Connection, at: At, client_of: Any, support: User
) -> None:
    other = connected(tenant, "Stripe two")
    grant(support, Role.OPERATIONS, tenant, by="the tests", connection=connection)
    client = client_of(support)

    assert client.post(at("connection_pause", connection.pk), {"reason": "Mine"}).status_code == 302
    assert client.post(at("connection_pause", other.pk), {"reason": "Not mine"}).status_code == 403


def test_a_role_at_one_connection_hides_the_others(
    tenant: Tenant, connection: Connection, at: At, client_of: Any, support: User
) -> None:
    other = connected(tenant, "Stripe two")
    grant(support, Role.OPERATIONS, tenant, by="the tests", connection=connection)
    revoke(Grant.objects.get(user=support, connection=None), by="the tests", reason="Only one")
    client = client_of(support)

    assert client.get(at("connection", connection.pk)).status_code == 200
    assert client.post(at("connection_pause", other.pk), {"reason": "Hidden"}).status_code == 404
    assert "Stripe two" not in client.get(at("connections")).content.decode()


def test_a_question_comes_as_a_dialog_to_htmx_and_as_a_page_to_others(
    connection: Connection, at: At, client_of: Any, operations: User
) -> None:
    client = client_of(operations)

    dialog = client.get(at("connection_pause", connection.pk), headers={"HX-Request": "true"}).content.decode()
    page = client.get(at("connection_pause", connection.pk)).content.decode()

    assert dialog.lstrip().startswith("<dialog")
    assert page.lstrip().startswith("<!doctype html>")
