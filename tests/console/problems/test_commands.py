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
