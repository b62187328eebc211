from typing import Any

import pytest

from integrations.models import Event, JournalEntry
from tests.conftest import customer_object


@pytest.fixture
def event(tell: Any) -> Event:
    made: Event = tell(
        "customer.created", customer_object(email="ap@halvorsen.example", client_secret="cs_shown_to_nobody")
    )
    return made


@pytest.fixture
def url(events_url: str, event: Event) -> str:
    return f"{events_url}{event.pk}/reveal/"


def test_an_engineer_sees_the_payload_once_and_the_journal_says_why(
    client_of: Any, engineer: Any, url: str, event: Event
) -> None:
    client = client_of(engineer)

    answer = client.post(url, {"reason": "The customer asks what Stripe sent"})
    again = client.get(f"/northwind/test/events/{event.pk}/")

    assert answer.status_code == 200
    assert answer.context["shown"].payload["data"]["object"]["email"] == "ap@halvorsen.example"
    assert "no-store" in answer["Cache-Control"]
    entry = JournalEntry.objects.get(action="payload.revealed")
    assert (entry.actor_id, entry.reason) == (engineer.pk, "The customer asks what Stripe sent")
    assert again.context["shown"].hidden > 0


def test_secrets_stay_hidden_even_then(client_of: Any, engineer: Any, url: str) -> None:
    answer = client_of(engineer).post(url, {"reason": "Looking"})

    assert "cs_shown_to_nobody" not in answer.content.decode()


def test_bytes_that_cannot_be_read_can_be_revealed(client_of: Any, engineer: Any, events_url: str, tell: Any) -> None:
    cut, binary = tell(body=b'{"email": "a@b.exam'), tell(body=bytes([255, 254, 1]))
    client = client_of(engineer)

    text = client.post(f"{events_url}{cut.pk}/reveal/", {"reason": "Looking"}).context["shown"].text
    bits = client.post(f"{events_url}{binary.pk}/reveal/", {"reason": "Looking"}).context["shown"].text

    assert text == '{"email": "a@b.exam'
    assert bits == "ff fe 01"


def test_without_a_reason_nothing_is_shown(client_of: Any, engineer: Any, url: str) -> None:
    answer = client_of(engineer).post(url, {"reason": "  "})

    assert answer.status_code == 422
    assert "ap@halvorsen.example" not in answer.content.decode()
    assert not JournalEntry.objects.filter(action="payload.revealed").exists()


def test_looking_at_the_question_reveals_nothing(client_of: Any, engineer: Any, url: str) -> None:
    answer = client_of(engineer).get(url)

    assert "ap@halvorsen.example" not in answer.content.decode()
    assert not JournalEntry.objects.filter(action="payload.revealed").exists()


@pytest.mark.parametrize("role", ["support", "operations", "finance", "auditor"])
def test_other_roles_are_refused(request: pytest.FixtureRequest, client_of: Any, role: str, url: str) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.get(url).status_code == 403
    assert client.post(url, {"reason": "x"}).status_code == 403
    assert not JournalEntry.objects.filter(action="payload.revealed").exists()
