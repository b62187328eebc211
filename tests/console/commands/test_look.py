from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Command, JournalEntry, Outcome, WorkState

Maker = Callable[..., Command]


def look(client: Any, url: str, command: Command) -> Any:
    return client.post(f"{url}{command.pk}/look/", {"reason": "Finance asks whether it is there"})


def test_an_unknown_one_is_looked_for_before_anything_is_sent(
    client_of: Any, operations: Any, commands_url: str, unknown: Command
) -> None:
    look(client_of(operations), commands_url, unknown)

    unknown.refresh_from_db()
    assert (unknown.state, unknown.outcome) == (WorkState.READY, Outcome.UNKNOWN)
    assert unknown.key_since is None
    assert JournalEntry.objects.get(action="command.looked_for").actor_id == operations.pk


def test_the_question_names_what_is_looked_for_and_where(
    client_of: Any, operations: Any, commands_url: str, unknown: Command
) -> None:
    asked = client_of(operations).get(f"{commands_url}{unknown.pk}/look/").content.decode()

    assert "Look for 1 refund in Stripe?" in asked
    assert "if not, it goes out again under the same operation id" in asked


def test_for_an_accepted_one_it_says_that_nothing_is_sent(
    client_of: Any, operations: Any, commands_url: str, make_command: Maker
) -> None:
    command = make_command(outcome=Outcome.ACCEPTED, state=WorkState.WAITING, accepted_at=timezone.now())

    asked = client_of(operations).get(f"{commands_url}{command.pk}/look/").content.decode()

    assert "Nothing is sent." in asked


def test_what_never_left_is_not_looked_for(
    client_of: Any, operations: Any, commands_url: str, make_command: Maker
) -> None:
    command = make_command()

    assert look(client_of(operations), commands_url, command).status_code == 422
    offered = client_of(operations).get(f"{commands_url}{command.pk}/").context["acts"]
    assert "command_look" not in {act.name for act in offered}


@pytest.mark.parametrize("role", ["support", "finance", "auditor", "administrator"])
def test_other_roles_are_refused(
    request: pytest.FixtureRequest, client_of: Any, commands_url: str, unknown: Command, role: str
) -> None:
    assert look(client_of(request.getfixturevalue(role)), commands_url, unknown).status_code == 403
