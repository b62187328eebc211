from typing import Any

import pytest

from integrations.failures import grouping
from integrations.failures.categories import Category, Fault
from integrations.models import Connection, JournalEntry, Problem, WorkState


@pytest.fixture
def problem(connection: Connection, make_event: Any) -> Problem:
    event = make_event(state=WorkState.PARKED)
    fault = Fault(Category.MAPPING, "missing:tax", "tax has no value")
    grouping.note([grouping.Failed(fault, connection, event=event, resource="invoice")])
    return Problem.objects.get()


def url(problem: Problem) -> str:
    return f"/northwind/test/problems/{problem.pk}/assign/"


def test_support_takes_it_on(client_of: Any, support: Any, problem: Problem) -> None:
    answer = client_of(support).post(url(problem), {"person": support.pk}, follow=True)

    problem.refresh_from_db()
    assert problem.assigned_to == support
    assert f"Support takes care of {problem}." in answer.content.decode()
    assert JournalEntry.objects.get(action="problem.assigned").actor_id == support.pk


def test_it_is_handed_to_somebody_else_and_back(client_of: Any, support: Any, engineer: Any, problem: Problem) -> None:
    client = client_of(support)
    client.post(url(problem), {"person": engineer.pk})

    client.post(url(problem), {"person": "nobody"})

    problem.refresh_from_db()
    assert problem.assigned_to is None
    assert JournalEntry.objects.filter(action="problem.assigned").count() == 2


def test_looking_at_the_question_changes_nothing(client_of: Any, support: Any, problem: Problem) -> None:
    answer = client_of(support).get(url(problem))

    assert b"Support (you)" in answer.content
    assert not JournalEntry.objects.filter(action="problem.assigned").exists()


def test_only_colleagues_who_may_act_are_offered(
    client_of: Any, support: Any, auditor: Any, stranger: Any, problem: Problem
) -> None:
    for person in (auditor, stranger):
        answer = client_of(support).post(url(problem), {"person": person.pk})
        assert answer.status_code == 422

    problem.refresh_from_db()
    assert problem.assigned_to is None


def test_an_auditor_may_not(client_of: Any, auditor: Any, problem: Problem) -> None:
    assert client_of(auditor).post(url(problem), {"person": auditor.pk}).status_code == 403


def test_who_has_it_already_is_told(client_of: Any, support: Any, problem: Problem) -> None:
    client = client_of(support)
    client.post(url(problem), {"person": support.pk})

    answer = client.post(url(problem), {"person": support.pk})

    assert answer.status_code == 422
    assert b"Support has it already." in answer.content
