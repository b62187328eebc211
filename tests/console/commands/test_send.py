from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Breaker, BreakerState, Command, Connection, JournalEntry, Outcome, WorkState

Maker = Callable[..., Command]


def send(client: Any, url: str, command: Command, reason: str = "They say that it never came") -> Any:
    return client.post(f"{url}{command.pk}/send/", {"reason": reason})


def test_an_unknown_one_goes_out_again_under_its_own_id(
    client_of: Any, operations: Any, commands_url: str, unknown: Command
) -> None:
    answer = send(client_of(operations), commands_url, unknown)

    assert answer.status_code == 302
    unknown.refresh_from_db()
    assert (unknown.state, unknown.operation_id, unknown.key) == (WorkState.READY, "op_unknown", "op_unknown")
    assert unknown.outcome == Outcome.UNKNOWN
    entry = JournalEntry.objects.get(action="command.sent_again")
    assert (entry.actor_id, entry.reason) == (operations.pk, "They say that it never came")


def test_a_refused_one_is_submitted_anew(
    client_of: Any, operations: Any, commands_url: str, make_command: Maker
) -> None:
    command = make_command(outcome=Outcome.FAILED, state=WorkState.PARKED, category="validation")

    send(client_of(operations), commands_url, command)

    command.refresh_from_db()
    assert (command.outcome, command.state, command.tries) == (Outcome.SUBMITTED, WorkState.READY, 0)


def test_the_question_says_what_is_safe(client_of: Any, operations: Any, commands_url: str, unknown: Command) -> None:
    asked = client_of(operations).get(f"{commands_url}{unknown.pk}/send/").content.decode()

    assert "under op_unknown" in asked
    assert "It never happens twice." in asked
    assert "Send 1 command again" in asked


def test_it_needs_a_reason(client_of: Any, operations: Any, commands_url: str, unknown: Command) -> None:
    assert send(client_of(operations), commands_url, unknown, reason=" ").status_code == 422

    unknown.refresh_from_db()
    assert unknown.state == WorkState.PARKED


@pytest.mark.parametrize("outcome", [Outcome.CONFIRMED, Outcome.ACCEPTED, Outcome.CANCELLED])
def test_what_had_its_effect_is_not_sent_again(
    client_of: Any, operations: Any, commands_url: str, make_command: Maker, outcome: str
) -> None:
    state = WorkState.WAITING if outcome == Outcome.ACCEPTED else WorkState.DONE
    command = make_command(outcome=outcome, state=state, sent_at=timezone.now())

    answer = send(client_of(operations), commands_url, command)

    assert answer.status_code == 422
    command.refresh_from_db()
    assert command.state == state


def test_what_a_worker_has_is_left_to_it(
    client_of: Any, operations: Any, commands_url: str, make_command: Maker
) -> None:
    command = make_command(outcome=Outcome.UNKNOWN, state=WorkState.LEASED, sent_at=timezone.now())

    answer = send(client_of(operations), commands_url, command)

    assert answer.status_code == 422
    assert "on its way right now" in answer.content.decode()


@pytest.mark.parametrize("role", ["support", "finance", "auditor", "administrator"])
def test_other_roles_are_refused(
    request: pytest.FixtureRequest, client_of: Any, commands_url: str, unknown: Command, role: str
) -> None:
    assert send(client_of(request.getfixturevalue(role)), commands_url, unknown).status_code == 403


def test_a_paused_connection_says_why_it_cannot_be_pressed(
    client_of: Any, operations: Any, commands_url: str, unknown: Command, connection: Connection
) -> None:
    Connection.objects.filter(pk=connection.pk).update(paused_at=timezone.now())

    offered = client_of(operations).get(f"{commands_url}{unknown.pk}/").context["acts"]

    assert {act.name: act.why_not for act in offered}["command_send"] == "Stripe is paused"


def test_an_open_breaker_says_why_and_when_the_next_probe_comes(
    client_of: Any, operations: Any, commands_url: str, unknown: Command, connection: Connection
) -> None:
    Breaker.objects.create(
        connection=connection, state=BreakerState.OPEN, probe_at=timezone.now() + timedelta(seconds=52)
    )
    Command.objects.filter(pk=unknown.pk).update(state=WorkState.WAITING)

    context = client_of(operations).get(f"{commands_url}{unknown.pk}/").context

    assert {act.name: act.why_not for act in context["acts"]}["command_send"] == "The breaker of Stripe is open"
    assert context["next_try"][0] == "after the next probe"


def test_a_closed_breaker_holds_nothing_back(
    client_of: Any, operations: Any, commands_url: str, unknown: Command, connection: Connection
) -> None:
    Breaker.objects.create(connection=connection, state=BreakerState.CLOSED)

    offered = client_of(operations).get(f"{commands_url}{unknown.pk}/").context["acts"]

    assert {act.name: act.why_not for act in offered}["command_send"] == ""
