from collections.abc import Callable
from typing import Any

import pytest

from integrations.models import Command, JournalEntry, Outcome, WorkState

Maker = Callable[..., Command]


def cancel(client: Any, url: str, command: Command, reason: str = "Asked for twice") -> Any:
    return client.post(f"{url}{command.pk}/cancel/", {"reason": reason})


@pytest.mark.parametrize(
    "fields", [{}, {"state": WorkState.WAITING}, {"outcome": Outcome.FAILED, "state": WorkState.PARKED}]
)
def test_what_had_no_effect_is_let_go(
    client_of: Any, operations: Any, commands_url: str, make_command: Maker, fields: dict[str, Any]
) -> None:
    command = make_command(**fields)

    assert cancel(client_of(operations), commands_url, command).status_code == 302

    command.refresh_from_db()
    assert (command.outcome, command.state) == (Outcome.CANCELLED, WorkState.DISMISSED)
    entry = JournalEntry.objects.get(action="command.cancelled")
    assert (entry.actor_id, entry.reason) == (operations.pk, "Asked for twice")


def test_what_may_have_had_its_effect_cannot_be_cancelled_and_says_why(
    client_of: Any, operations: Any, commands_url: str, unknown: Command
) -> None:
    client = client_of(operations)

    assert cancel(client, commands_url, unknown).status_code == 422
    offered = client.get(f"{commands_url}{unknown.pk}/").context["acts"]
    assert {act.name: act.why_not for act in offered}["command_cancel"].startswith("Only what surely had no effect")
    unknown.refresh_from_db()
    assert unknown.outcome == Outcome.UNKNOWN


def test_the_button_says_what_it_does_and_to_how_many(
    client_of: Any, operations: Any, commands_url: str, make_command: Maker
) -> None:
    asked = client_of(operations).get(f"{commands_url}{make_command().pk}/cancel/").content.decode()

    assert "Cancel 1 command" in asked
    assert "It is never sent, and Stripe stays as it is." in asked


@pytest.mark.parametrize("role", ["support", "finance", "auditor", "administrator"])
def test_other_roles_are_refused(
    request: pytest.FixtureRequest, client_of: Any, commands_url: str, unknown: Command, role: str
) -> None:
    assert cancel(client_of(request.getfixturevalue(role)), commands_url, unknown).status_code == 403
