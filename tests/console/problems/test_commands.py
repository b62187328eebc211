"""Problems of commands: what failed on its way out."""

from typing import Any

import pytest

from integrations.failures import grouping, triage
from integrations.failures.categories import Category, Fault
from integrations.journal.actor import Actor
from integrations.models import Command, Problem
from tests.console.commands.conftest import make_command, make_try, unknown

__all__ = ["make_command", "make_try", "unknown"]


@pytest.fixture
def problem(unknown: Command) -> Problem:
    fault = Fault(Category.UNKNOWN, "who_knows", "Stripe said something new")
    grouping.note([grouping.Failed(fault, unknown.connection, command=unknown, resource="refund")])
    return Problem.objects.get()


def test_its_page_names_the_commands_and_leads_to_them(
    client_of: Any, support: Any, problem: Problem, unknown: Command
) -> None:
    text = client_of(support).get(f"/northwind/test/problems/{problem.pk}/").content.decode()

    assert "1 command waits at Stripe" in text
    assert f"/northwind/test/commands/{unknown.pk}/" in text
    assert "unknown outcome" in text


def test_a_name_given_to_it_is_that_of_the_commands_too(problem: Problem, unknown: Command) -> None:
    triage.name(problem, category=Category.BUSINESS, actor=Actor(None, "the tests"), reason="They told us so")

    unknown.refresh_from_db()
    assert unknown.category == "business rule"
    problem.refresh_from_db()
    assert problem.next_step == "Decide what is true, then send the command again, resolve it or cancel it."


def test_a_refused_command_is_not_to_be_replayed(unknown: Command) -> None:
    fault = Fault(Category.VALIDATION, "content:number", "The number is taken")

    grouping.note([grouping.Failed(fault, unknown.connection, command=unknown, resource="refund")])

    step = Problem.objects.get().next_step
    assert "send the command again" in step
    assert "replay" not in step


def test_the_names_that_may_be_given_say_what_is_asked_about_commands(
    client_of: Any, engineer: Any, problem: Problem
) -> None:
    page = client_of(engineer).get(f"/northwind/test/problems/{problem.pk}/name/").content.decode()

    assert "send the command again" in page
    assert "then replay" not in page
