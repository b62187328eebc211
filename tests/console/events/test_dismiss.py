from typing import Any

import pytest

from integrations.models import Event, JournalEntry, Record, WorkState


@pytest.fixture
def url(events_url: str, parked: Event) -> str:
    return f"{events_url}{parked.pk}/dismiss/"


def test_a_dismissed_event_frees_its_record_and_keeps_the_evidence(
    client_of: Any, operations: Any, url: str, parked: Event
) -> None:
    answer = client_of(operations).post(url, {"reason": "Stripe corrected it itself"}, follow=True)

    parked.refresh_from_db()
    assert parked.state == WorkState.DISMISSED
    assert Record.objects.get(kind="invoice").stuck_since is None
    assert JournalEntry.objects.get(action="event.dismissed").reason == "Stripe corrected it itself"
    assert "A person dismissed it; the evidence stays." in answer.content.decode()


def test_it_needs_a_reason(client_of: Any, operations: Any, url: str, parked: Event) -> None:
    answer = client_of(operations).post(url, {"reason": ""})

    assert answer.status_code == 422
    assert "Give a reason" in answer.content.decode()
    parked.refresh_from_db()
    assert parked.state == WorkState.PARKED


def test_what_is_done_cannot_be_dismissed(client_of: Any, operations: Any, url: str, parked: Event) -> None:
    Event.objects.filter(pk=parked.pk).update(state=WorkState.DONE)

    answer = client_of(operations).post(url, {"reason": "Why not"})

    assert answer.status_code == 422
    assert "Only parked or waiting work can be dismissed" in answer.content.decode()


def test_the_question_says_what_stays(client_of: Any, operations: Any, url: str) -> None:
    text = client_of(operations).get(url, HTTP_HX_REQUEST="true").content.decode()

    assert "Dismiss invoice.updated?" in text
    assert "Dismiss 1 event" in text
    assert "Leave it parked" in text


@pytest.mark.parametrize("role", ["support", "finance", "auditor"])
def test_roles_without_it_are_refused(
    request: pytest.FixtureRequest, client_of: Any, role: str, url: str, parked: Event
) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.get(url).status_code == 403
    assert client.post(url, {"reason": "x"}).status_code == 403
    parked.refresh_from_db()
    assert parked.state == WorkState.PARKED
