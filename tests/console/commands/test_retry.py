from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Command, JournalEntry, WorkState

Maker = Callable[..., Command]


def retry(client: Any, url: str, command: Command) -> Any:
    return client.post(f"{url}{command.pk}/retry/", {"reason": "The provider is back"})


def test_a_waiting_one_is_due_now(
    client_of: Any, operations: Any, commands_url: str, make_command: Maker, quiet_broker: list[str]
) -> None:
    command = make_command(state=WorkState.WAITING, due_at=timezone.now() + timedelta(hours=1))

    answer = retry(client_of(operations), commands_url, command)

    assert answer.status_code == 302
    command.refresh_from_db()
    assert command.due_at <= timezone.now()
    assert JournalEntry.objects.get(action="command.hurried").reason == "The provider is back"


def test_a_parked_one_is_not_hurried(client_of: Any, operations: Any, commands_url: str, unknown: Command) -> None:
    answer = retry(client_of(operations), commands_url, unknown)

    assert answer.status_code == 422
    assert "only what waits can be hurried" in answer.content.decode()


@pytest.mark.parametrize("role", ["support", "finance", "auditor", "administrator"])
def test_other_roles_are_refused(
    request: pytest.FixtureRequest, client_of: Any, commands_url: str, unknown: Command, role: str
) -> None:
    assert retry(client_of(request.getfixturevalue(role)), commands_url, unknown).status_code == 403
