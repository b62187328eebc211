from typing import Any

import pytest

from integrations.models import Command, JournalEntry

PERSONAL = "ap@halvorsen.example"


@pytest.fixture
def url(commands_url: str, unknown: Command) -> str:
    return f"{commands_url}{unknown.pk}/reveal/"


def test_an_engineer_sees_it_once_and_the_journal_says_why(
    client_of: Any, engineer: Any, url: str, commands_url: str, unknown: Command
) -> None:
    client = client_of(engineer)

    answer = client.post(url, {"reason": "Stripe's support asks for the bytes"})
    again = client.get(f"{commands_url}{unknown.pk}/")

    assert PERSONAL in answer.context["tries"][0].sent.body
    assert "no-store" in answer["Cache-Control"]
    entry = JournalEntry.objects.get(action="payload.revealed")
    assert (entry.actor_id, entry.subject_type, entry.subject_id) == (engineer.pk, "command", unknown.pk)
    assert entry.reason == "Stripe's support asks for the bytes"
    assert again.context["hidden"] == 1


def test_without_a_reason_nothing_is_shown(client_of: Any, engineer: Any, url: str) -> None:
    answer = client_of(engineer).post(url, {"reason": " "})

    assert answer.status_code == 422
    assert PERSONAL not in answer.content.decode()
    assert not JournalEntry.objects.filter(action="payload.revealed").exists()


@pytest.mark.parametrize("role", ["support", "operations", "finance", "auditor"])
def test_other_roles_are_refused(request: pytest.FixtureRequest, client_of: Any, role: str, url: str) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.get(url).status_code == 403
    assert client.post(url, {"reason": "x"}).status_code == 403
