"""Every failure has a category, a next step and a role that owns it: the table of the design, as data."""

import pickle

import pytest

from console.models import Role
from integrations.failures.categories import POLICIES, Category, Fault, next_step
from integrations.models.failure import CATEGORIES, Failure, Problem
from integrations.workflow import stuck


def test_there_are_thirteen_categories_and_each_has_a_policy() -> None:
    assert len(Category) == 13
    assert set(POLICIES) == set(Category)
    assert {value for value, _ in CATEGORIES} == {category.value for category in Category}


@pytest.mark.parametrize(
    ("category", "owner", "retried"),
    [
        (Category.AUTHENTICATION, "operations", False),
        (Category.AUTHORIZATION, "operations", False),
        (Category.VALIDATION, "support", False),
        (Category.CONTRACT, "engineer", False),
        (Category.RATE_LIMIT, "nobody", True),
        (Category.TIMEOUT, "nobody", True),
        (Category.DUPLICATE, "nobody", False),
        (Category.STALE, "nobody", False),
        (Category.DEPENDENCY, "support", True),
        (Category.OUTAGE, "operations", True),
        (Category.MAPPING, "engineer", False),
        (Category.BUSINESS, "finance", False),
        (Category.UNKNOWN, "engineer", True),
    ],
)
def test_each_asks_its_role_and_is_retried_or_not(category: Category, owner: str, retried: bool) -> None:
    policy = POLICIES[category]

    assert policy.owner == owner
    assert bool(policy.tries) == retried


@pytest.mark.parametrize("category", Category)
def test_each_says_in_words_what_comes_next(category: Category) -> None:
    policy = POLICIES[category]

    assert policy.next_step.endswith(".")
    assert policy.next_step[0].isupper()
    assert policy.owner == "nobody" or policy.owner in Role.values
    if policy.owner == "nobody":
        assert policy.next_step.startswith("Nothing to do")


@pytest.mark.parametrize("category", [category for category in Category if POLICIES[category].tries])
def test_waits_grow_up_to_a_ceiling(category: Category) -> None:
    policy = POLICIES[category]

    assert policy.tries > 1
    assert 0 < policy.first_wait < policy.longest_wait


def test_unknown_is_tried_a_few_times_only() -> None:
    assert POLICIES[Category.UNKNOWN].tries <= 3


def test_the_database_holds_every_category() -> None:
    longest = max(len(category) for category in Category)

    for model in (Problem, Failure):
        assert (model._meta.get_field("category").max_length or 0) >= longest


@pytest.mark.parametrize("category", Category)
def test_a_stuck_record_says_in_words_what_it_waits_for(category: Category) -> None:
    handled_by_itself = {Category.DUPLICATE, Category.STALE}
    by_field = {Category.DEPENDENCY, Category.MAPPING}

    assert category in stuck.WAITS_FOR or category in handled_by_itself | by_field


def test_a_fault_crosses_processes() -> None:
    fault = Fault(Category.MAPPING, "missing:total", "There is no total", "total", "7", 3.5)

    again = pickle.loads(pickle.dumps(fault))

    assert (again.category, again.code, again.message, again.field, again.value, again.retry_after) == (
        Category.MAPPING, "missing:total", "There is no total", "total", "7", 3.5,
    )  # fmt: skip


@pytest.mark.parametrize("category", list(Category))
@pytest.mark.parametrize(("work", "foreign"), [("command", "replay"), ("run", "replay"), ("event", "command")])
def test_the_next_step_speaks_of_the_work_that_failed(category: Category, work: str, foreign: str) -> None:
    said = next_step(category, work)

    assert foreign not in said.lower()
    assert said.endswith(".")


def test_an_event_is_replayed_a_command_sent_again_and_a_run_run_again() -> None:
    said = {work: next_step(Category.AUTHORIZATION, work) for work in ("event", "command", "run", "delivery")}

    assert said["event"].endswith("then replay.")
    assert said["command"].endswith("send the command again.")
    assert said["run"].endswith("run it again.")
    assert said["delivery"].endswith("replay the delivery.")
