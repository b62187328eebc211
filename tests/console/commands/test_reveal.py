from typing import Any

import pytest
from django.utils import timezone

from integrations.boundary.payloads import keep
from integrations.models import Attempt, Command, Connection, JournalEntry

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


def test_what_travelled_with_others_is_not_revealed_by_one_of_them(
    client_of: Any, engineer: Any, url: str, commands_url: str, unknown: Command, make_command: Any
) -> None:
    """An answer that refuses a whole batch names no place in it: it speaks of everybody's."""
    attempt = unknown.attempts.get()
    kept = keep(
        connection_id=unknown.connection_id, source="command", headers={}, at=timezone.now(),
        body=b'{"Elements": [{"email": "first@other.example"}, {"email": "second@other.example"}]}',
    )  # fmt: skip
    where = {"payload_id": kept.id, "payload_at": kept.at, "state": "answered", "status": 400}
    Attempt.objects.filter(pk=attempt.pk).update(**where)
    attempt.refresh_from_db()
    attempt.pk, attempt.command = None, make_command("op_beside")
    attempt.save()
    client = client_of(engineer)

    shown = client.post(url, {"reason": "Stripe's support asks for the bytes"})
    page = client.get(f"{commands_url}{unknown.pk}/")

    assert "@other.example" not in shown.content.decode()
    assert PERSONAL not in shown.content.decode()
    assert not page.context["reveal_act"]


def test_ones_own_part_of_what_travelled_is_revealed(
    client_of: Any, engineer: Any, url: str, unknown: Command, make_command: Any
) -> None:
    attempt = unknown.attempts.get()
    kept = keep(
        connection_id=unknown.connection_id, source="command", headers={}, at=timezone.now(),
        body=b'{"Elements": [{"email": "mine@other.example"}, {"email": "second@other.example"}]}',
    )  # fmt: skip
    Attempt.objects.filter(pk=attempt.pk).update(request_id=kept.id, request_at=kept.at, request_path="/Elements/0")
    attempt.refresh_from_db()
    attempt.pk, attempt.command, attempt.request_path = None, make_command("op_beside"), "/Elements/1"
    attempt.save()

    shown = client_of(engineer).post(url, {"reason": "Stripe's support asks for the bytes"}).content.decode()

    assert "mine@other.example" in shown
    assert "second@other.example" not in shown


@pytest.mark.parametrize(
    ("provider", "answer"),
    [
        ("xero", {"Invoices": [{"ValidationErrors": [{"Message": "The contact Ida Halvorsen is taken"}]}]}),
        ("xero", {"BatchPayments": [{"BankAccountName": "Ida Halvorsen", "Details": "Of Ida Halvorsen"}]}),
        ("stripe", {"error": {"code": "parameter_invalid", "message": "Ida Halvorsen is no customer"}}),
    ],
)
def test_what_providers_say_in_their_own_words_is_not_shown_unasked(
    client_of: Any, support: Any, commands_url: str, unknown: Command, make_try: Any, provider: str, answer: Any
) -> None:
    """Their messages quote what was sent. Ours beside them say what is wrong."""
    Connection.objects.filter(pk=unknown.connection_id).update(provider=provider)
    make_try(unknown, answer=answer, status=400, message="Stripe refused the request as invalid", category="validation")

    page = client_of(support).get(f"{commands_url}{unknown.pk}/").content.decode()

    assert "Halvorsen" not in page
    assert "refused the request as invalid" in page


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
