from collections.abc import Callable
from typing import Any

import pytest

from console.models import User
from integrations.models import Connection, JournalEntry

pytestmark = pytest.mark.django_db
At = Callable[..., str]
SOUND = {
    "api_base": "https://api.stripe.com",
    "account": "Northwind",
    "page_size": "50",
    "timeout": "20",
    "reason": "Smaller pages",
}


@pytest.mark.parametrize("role", ["support", "operations", "finance", "auditor", "administrator"])
def test_it_needs_an_engineer(role: str, request: Any, connection: Connection, at: At, client_of: Any) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.get(at("connection_settings", connection.pk)).status_code == 403
    assert client.post(at("connection_settings", connection.pk), SOUND).status_code == 403


def test_the_form_is_made_from_what_the_adapter_needs(
    connection: Connection, at: At, client_of: Any, engineer: User
) -> None:
    page = client_of(engineer).get(at("connection_settings", connection.pk)).content.decode()

    assert "Address of the API" in page
    assert 'name="page_size" value="100" min="1" max="100"' in page


def test_it_is_kept_with_who_when_why_and_what(connection: Connection, at: At, client_of: Any, engineer: User) -> None:
    client = client_of(engineer)

    client.post(at("connection_settings", connection.pk), SOUND)

    connection.refresh_from_db()
    assert connection.settings["page_size"] == 50
    version = connection.history.first()
    assert (version.history_user, version.history_change_reason) == (engineer, "Smaller pages")
    entry = JournalEntry.objects.get(action="settings.changed")
    assert entry.data["changes"] == [["Account", "", "Northwind"], ["Objects per page", 100, 50]]
    page = client.get(at("connection", connection.pk)).content.decode()
    assert "<del>100</del> <ins>50</ins>" in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"page_size": "0"}, "greater than or equal to 1"),
        ({"page_size": "ten"}, "Enter a whole number"),
        ({"timeout": "0"}, "Input should be greater than 0"),
        ({"api_base": "http://evil.example"}, "Use https"),
        ({"api_base": "https://user:pw@api.stripe.com"}, "Give scheme, host and port only"),
        ({"account": "x" * 300}, "at most 200 characters"),
        ({"reason": ""}, "Give a reason"),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field(
    change: dict[str, str], said: str, connection: Connection, at: At, client_of: Any, engineer: User
) -> None:
    answer = client_of(engineer).post(at("connection_settings", connection.pk), SOUND | change)

    assert answer.status_code == 422
    assert said in answer.content.decode()
    connection.refresh_from_db()
    assert connection.settings["page_size"] == 100
    assert not JournalEntry.objects.filter(action="settings.changed").exists()


def test_the_same_again_changes_nothing(connection: Connection, at: At, client_of: Any, engineer: User) -> None:
    client = client_of(engineer)
    client.post(at("connection_settings", connection.pk), SOUND)

    again = client.post(at("connection_settings", connection.pk), SOUND)

    assert again.status_code == 422
    assert "Nothing was changed" in again.content.decode()


def test_an_older_version_can_be_proposed_again(connection: Connection, at: At, client_of: Any, engineer: User) -> None:
    client = client_of(engineer)
    first = connection.history.first().history_id
    client.post(at("connection_settings", connection.pk), SOUND)

    page = client.get(at("connection_settings", connection.pk), {"version": first}).content.decode()

    assert 'name="page_size" value="100"' in page
    assert "Saving restores them" in page


@pytest.mark.parametrize("version", ["0", "999999", "-1", "x", "9" * 30, "١"])
def test_a_version_that_is_none_is_not_there(
    version: str, connection: Connection, at: At, client_of: Any, engineer: User
) -> None:
    answer = client_of(engineer).get(at("connection_settings", connection.pk), {"version": version})

    assert answer.status_code == 404


def test_the_versions_of_another_connection_are_not_proposed(
    connection: Connection, other_connection: Connection, at: At, client_of: Any, engineer: User
) -> None:
    theirs = other_connection.history.first().history_id

    answer = client_of(engineer).get(at("connection_settings", connection.pk), {"version": theirs})

    assert answer.status_code == 404
