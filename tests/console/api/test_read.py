"""`GET /api/v1/commands/`: what was asked for, and what is believed of it."""

from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from console.api.paging import NewestFirst
from console.models import User
from integrations.models import Command, Connection, Outcome, WorkState
from tests.conftest import connected
from tests.console.api.conftest import Ask

pytestmark = pytest.mark.django_db


def make(connection: Connection, operation_id: str, **fields: Any) -> Command:
    defaults = {"action": "refund.create", "resource": "refund", "content_hash": b"0" * 32, "due_at": timezone.now()}
    return Command.objects.create(
        tenant=connection.tenant, environment=connection.environment, connection=connection, operation_id=operation_id,
        **(defaults | fields),
    )  # fmt: skip


@pytest.mark.parametrize("key", ["op_1", "op/with/slashes", "12"])
def test_one_is_found_by_its_operation_id(get: Ask, support: User, connection: Connection, key: str) -> None:
    make(connection, key)

    assert get(support, f"{key}/").json()["operation_id"] == key


def test_one_is_found_by_its_number(get: Ask, support: User, connection: Connection) -> None:
    command = make(connection, "op_1")

    assert get(support, f"{command.pk}/").json()["operation_id"] == "op_1"


@pytest.mark.parametrize("key", ["nothing", "99999999999999999999", "%00", "0", "x" * 200])
def test_what_is_not_there_is_404(get: Ask, support: User, key: str) -> None:
    answer = get(support, f"{key}/")

    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


def test_commands_of_others_are_not_there(get: Ask, support: User, other_connection: Connection) -> None:
    theirs = make(other_connection, "op_theirs")

    assert get(support, "op_theirs/").status_code == 404
    assert get(support, f"{theirs.pk}/").status_code == 404
    assert get(support).json()["results"] == []


def test_pages_are_walked_by_their_cursor(
    get: Ask, support: User, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NewestFirst, "page_size", 2)
    for number in range(5):
        make(connection, f"op_{number}")
    found, query = list[str](), dict[str, str]()

    for _ in range(3):
        page = get(support, **query).json()
        found += [each["operation_id"] for each in page["results"]]
        query = {"cursor": (page["next"] or "cursor=").split("cursor=")[1].replace("%3D", "=")}

    assert found == ["op_4", "op_3", "op_2", "op_1", "op_0"]
    assert page["next"] is None


@pytest.mark.parametrize("cursor", ["x", "é", "cD1hYmM=", "cD0tMQ==", "bz0x", "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5"])
def test_a_cursor_that_is_not_ours_is_refused(get: Ask, support: User, cursor: str) -> None:
    assert get(support, cursor=cursor).status_code in (200, 400, 404)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"outcome": "unknown"}, ["op_unknown"]),
        ({"state": "done"}, ["op_done"]),
        ({"action": "refund.create"}, ["op_done", "op_unknown"]),
        ({"action": "other"}, []),
    ],
)
def test_filters_narrow(
    get: Ask, support: User, connection: Connection, query: dict[str, str], expected: list[str]
) -> None:
    make(connection, "op_unknown", outcome=Outcome.UNKNOWN, state=WorkState.PARKED)
    make(connection, "op_done", outcome=Outcome.CONFIRMED, state=WorkState.DONE)

    assert [each["operation_id"] for each in get(support, **query).json()["results"]] == expected


def test_a_connection_narrows_by_its_public_id(get: Ask, support: User, connection: Connection) -> None:
    make(connection, "op_here")
    make(connected(connection.tenant, "Other"), "op_other")

    found = get(support, connection=str(connection.public_id)).json()["results"]

    assert [each["operation_id"] for each in found] == ["op_here"]


@pytest.mark.parametrize("query", [{"outcome": "fine"}, {"connection": "x"}, {"record": "0"}, {"colour": "red"}])
def test_a_filter_that_cannot_be_read_is_said(get: Ask, support: User, query: dict[str, str]) -> None:
    answer = get(support, **query)

    assert answer.status_code == 400
    assert set(query) <= set(answer.json()["errors"])


@pytest.mark.parametrize(("role", "sees"), [("support", False), ("auditor", False), ("engineer", True)])
def test_personal_content_is_masked(
    request: pytest.FixtureRequest, get: Ask, connection: Connection, role: str, sees: bool
) -> None:
    make(connection, "op_1", action="customer.update", resource="customer", content={"email": "ap@halvorsen.example"})

    answer = get(request.getfixturevalue(role), "op_1/")

    assert ("ap@halvorsen.example" in answer.content.decode()) == sees


def test_the_description_holds_no_guess(capsys: pytest.CaptureFixture[str], db: None) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")

    assert "submitCommand" in capsys.readouterr().out
