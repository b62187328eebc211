"""The breaker and the limits on the page of a connection."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.models import User
from integrations.boundary import limits
from integrations.failures.categories import Category, Fault
from integrations.health import breaker
from integrations.journal.actor import ENGINE
from integrations.models import Breaker, Command, Connection, JournalEntry

pytestmark = pytest.mark.django_db
At = Callable[..., str]
OUTAGE = Fault(Category.OUTAGE, "http_503", "Stripe failed on its side (HTTP 503).")
NOTHING_GIVEN = {"per_minute": "", "per_day": "", "at_once": ""}


@pytest.fixture
def waiting(connection: Connection) -> Connection:
    """Return a connection whose breaker is open, with two commands behind it."""
    for number in range(2):
        Command.objects.create(
            tenant=connection.tenant, environment="test", connection=connection, operation_id=f"op-{number}",
            content_hash=b"", action="refund.create", resource="refund", summary=f"Refund {number}",
            asked_by="the tests", due_at=timezone.now() - timedelta(minutes=1),
        )  # fmt: skip
    for _ in range(breaker.FAILURES):
        breaker.note_fault(connection, OUTAGE)
    return connection


@pytest.mark.parametrize("role", ["support", "finance", "auditor", "administrator"])
@pytest.mark.parametrize("name", ["breaker_probe", "breaker_open", "breaker_close"])
def test_it_needs_operations_or_an_engineer(
    role: str, name: str, request: Any, waiting: Connection, at: At, client_of: Any
) -> None:
    answer = client_of(request.getfixturevalue(role)).post(at(name, waiting.pk), {"reason": "Because"})

    assert answer.status_code == 403
    assert Breaker.objects.get().changed_by == ""
    assert not JournalEntry.objects.filter(action="breaker.probe_asked").exists()


def test_the_page_says_what_waits_why_and_until_when(
    waiting: Connection, at: At, client_of: Any, operations: User, support: User
) -> None:
    page = client_of(operations).get(at("connection", waiting.pk)).content.decode()
    seen = client_of(support).get(at("connection_breaker", waiting.pk)).content.decode()

    for shown in (page, seen):
        assert "Breaker open for commands since" in shown
        assert "Stripe failed on its side (HTTP 503) (5 failures in 1 s)." in shown
        assert "2 commands</a>" in shown
        assert "Next probe" in shown
        assert "Reading goes on." in shown
    assert "Probe now with 1 command" in page
    assert "Close the breaker…" in page
    assert "commands wait" in page
    assert "Probe now" not in seen, "who may not is not offered it"


def test_a_closed_breaker_takes_no_place(connection: Connection, at: At, client_of: Any, operations: User) -> None:
    page = client_of(operations).get(at("connection", connection.pk)).content.decode()
    part = client_of(operations).get(at("connection_breaker", connection.pk)).content.decode()

    assert "Hold commands: open the breaker…" in page
    assert "for commands since" not in page
    assert "hx-get" not in part, "nothing is asked again once it is closed"


def test_a_probe_is_one_button(waiting: Connection, at: At, client_of: Any, operations: User) -> None:
    answer = client_of(operations).post(at("breaker_probe", waiting.pk), follow=True)

    allowed = breaker.allows(waiting)
    assert "The oldest command goes as a probe" in answer.content.decode()
    assert isinstance(allowed, breaker.Allowed)
    assert allowed.probe
    assert JournalEntry.objects.get(action="breaker.probe_asked").actor == "Operations"


def test_a_probe_of_a_closed_one_is_refused_in_words(
    connection: Connection, at: At, client_of: Any, operations: User
) -> None:
    answer = client_of(operations).post(at("breaker_probe", connection.pk), follow=True)

    assert "The breaker is closed already." in answer.content.decode()


def test_closing_asks_once_saying_how_many_go(waiting: Connection, at: At, client_of: Any, operations: User) -> None:
    client = client_of(operations)

    asked = client.get(at("breaker_close", waiting.pk)).content.decode()
    without = client.post(at("breaker_close", waiting.pk), {"reason": " "})
    assert Breaker.objects.get().state == "open"
    done = client.post(at("breaker_close", waiting.pk), {"reason": "They say it works"}, follow=True)

    assert "Close the breaker, send 2 commands" in asked
    assert "50 a second and 1,500 requests a minute" in asked
    assert without.status_code == 422
    assert "2 commands go on, oldest first." in done.content.decode()
    assert JournalEntry.objects.get(action="breaker.closed").reason == "They say it works"


def test_opening_asks_once_saying_how_many_wait(waiting: Connection, at: At, client_of: Any, operations: User) -> None:
    breaker.close_by_hand(waiting, actor=ENGINE, reason="For the test")
    client = client_of(operations)

    asked = client.get(at("breaker_open", waiting.pk)).content.decode()
    client.post(at("breaker_open", waiting.pk), {"reason": "Their books are closed"})
    page = client.get(at("connection", waiting.pk)).content.decode()

    assert "Open the breaker, hold 2 commands" in asked
    assert "by Operations" in page
    assert "“Their books are closed”" in page
    assert "It stays open until somebody closes it or has it probed." in page


# -- limits


def test_the_page_says_how_much_of_the_limits_is_used(
    connection: Connection, at: At, client_of: Any, support: User
) -> None:
    connection.limits = {"per_minute": 60, "per_day": 5000, "at_once": 5}
    connection.save(update_fields=["limits"])
    limits.ask(connection)

    page = client_of(support).get(at("connection", connection.pk)).content.decode()

    assert "Calls this minute: 0 of 60" in page
    assert "Calls, last 24 h: 1 of 5,000" in page
    assert "Calls under way: 1 of 5" in page
    assert "60, as agreed" in page


def test_what_is_not_limited_is_not_counted(connection: Connection, at: At, client_of: Any, support: User) -> None:
    page = client_of(support).get(at("connection", connection.pk)).content.decode()

    assert "Calls this minute: 0 of 1,500" in page
    assert "Calls, last 24 h" not in page


def test_limits_are_kept_with_who_why_and_what(connection: Connection, at: At, client_of: Any, engineer: User) -> None:
    client = client_of(engineer)

    client.post(
        at("connection_limits", connection.pk), NOTHING_GIVEN | {"per_minute": "600", "reason": "Another system"}
    )

    connection.refresh_from_db()
    assert connection.limits == {"per_minute": 600}
    entry = JournalEntry.objects.get(action="settings.changed")
    assert entry.data["changes"] == [["Requests a minute", "1,500", "600, as agreed"]]
    assert (entry.actor, entry.reason) == ("Engineer", "Another system")
    assert connection.history.first().limits == {"per_minute": 600}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "These are the limits already"),
        ({"per_minute": "0"}, "greater than or equal to 1"),
        ({"per_minute": "many"}, "whole number"),
        ({"per_minute": "60", "reason": ""}, "Give a reason"),
    ],
)
def test_limits_that_make_no_sense_are_refused(
    connection: Connection, at: At, client_of: Any, engineer: User, given: dict[str, str], said: str
) -> None:
    answer = client_of(engineer).post(
        at("connection_limits", connection.pk), NOTHING_GIVEN | {"reason": "Because"} | given
    )

    assert answer.status_code == 422
    assert said in answer.content.decode()
    connection.refresh_from_db()
    assert connection.limits == {}


def test_an_empty_limit_is_as_the_adapter_says_again(
    connection: Connection, at: At, client_of: Any, engineer: User
) -> None:
    connection.limits = {"per_minute": 60}
    connection.save(update_fields=["limits"])

    client_of(engineer).post(at("connection_limits", connection.pk), NOTHING_GIVEN | {"reason": "No longer"})

    connection.refresh_from_db()
    assert connection.limits == {}
    assert limits.limits_of(connection).per_minute == 1500


def test_what_waits_for_an_answer_long_ago_counts_no_more(connection: Connection) -> None:
    connection.limits = {"at_once": 1}
    limits.ask(connection, now=timezone.now() - timedelta(hours=1))

    assert limits.spent_of(connection).under_way == 0
