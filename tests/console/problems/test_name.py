from typing import Any

import pytest

from integrations.failures import grouping
from integrations.failures.categories import Category, Fault
from integrations.models import Connection, JournalEntry, Problem, WorkState


@pytest.fixture
def problem(connection: Connection, make_event: Any) -> Problem:
    event = make_event(state=WorkState.PARKED)
    fault = Fault(Category.UNKNOWN, "lock_timeout", "The provider answers 409")
    grouping.note([grouping.Failed(fault, connection, event=event, resource="refund")])
    return Problem.objects.get()


def url(problem: Problem) -> str:
    return f"/northwind/test/problems/{problem.pk}/name/"


def test_an_engineer_names_an_unknown(client_of: Any, engineer: Any, problem: Problem) -> None:
    answer = client_of(engineer).post(
        url(problem), {"category": "provider outage", "reason": "Their database locks"}, follow=True
    )

    problem.refresh_from_db()
    assert (problem.category, problem.owner) == ("provider outage", "operations")
    assert "“Their database locks”" in answer.content.decode()
    assert JournalEntry.objects.get(action="problem.named").reason == "Their database locks"


@pytest.mark.parametrize("role", ["support", "operations", "finance", "auditor"])
def test_nobody_else_may(client_of: Any, request: Any, problem: Problem, role: str) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.get(url(problem)).status_code == 403
    assert client.post(url(problem), {"category": "timeout", "reason": "x"}).status_code == 403


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"category": "provider outage"},
        {"category": "provider outage", "reason": "  "},
        {"reason": "It is so"},
        {"category": "unknown", "reason": "It is so"},
        {"category": "<script>", "reason": "It is so"},
        {"category": "provider outage", "reason": "x" * 501},
    ],
)
def test_half_an_answer_changes_nothing(client_of: Any, engineer: Any, problem: Problem, data: dict[str, str]) -> None:
    answer = client_of(engineer).post(url(problem), data)

    problem.refresh_from_db()
    assert (answer.status_code, problem.category) == (422, "unknown")


def test_a_known_failure_is_not_offered_a_name(
    client_of: Any, engineer: Any, connection: Connection, make_event: Any, problem: Problem
) -> None:
    Problem.objects.update(category="timeout")

    answer = client_of(engineer).post(url(problem), {"category": "provider outage", "reason": "I say so"})

    assert answer.status_code == 422
    assert b"only an unknown one can be named" in answer.content
    assert b"Correct the name" not in client_of(engineer).get(f"/northwind/test/problems/{problem.pk}/").content
