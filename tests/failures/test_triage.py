from typing import Any

import pytest

from console.models import User
from integrations.failures import grouping, triage
from integrations.failures.categories import POLICIES, Category, Fault
from integrations.journal.actor import Actor
from integrations.models import Connection, Failure, JournalEntry, Problem, WorkState
from integrations.workflow.errors import Refusal

UNNAMED = Fault(Category.UNKNOWN, "lock_timeout", "The provider answers 409 with lock_timeout")
KNOWN = Fault(Category.TIMEOUT, "timeout", "No answer within 20 s")


def actor(user: User) -> Actor:
    return Actor(user.pk, user.name, "engineer")


@pytest.fixture
def fail(connection: Connection, make_event: Any, make_record: Any) -> Any:
    """Return a function that makes an event of a record fail, and gives its problem."""

    def make(fault: Fault, number: int = 1) -> Problem:
        for _ in range(number):
            record = make_record(stuck_since="2026-11-19T14:00Z", stuck_category=fault.category, waits_for="a person")
            event = make_event(state=WorkState.PARKED, category=fault.category, record=record)
            grouping.note([grouping.Failed(fault, connection, event=event, record=record, resource="customer")])
        return Problem.objects.latest("pk")

    return make


def test_an_assigned_problem_names_who_has_it(fail: Any, support: User, engineer: User) -> None:
    problem = fail(UNNAMED)

    triage.assign(problem, user=support, actor=actor(engineer))

    problem.refresh_from_db()
    entry = JournalEntry.objects.get(action="problem.assigned")
    assert problem.assigned_to == support
    assert (entry.summary, entry.actor_id) == (f"Engineer gave {problem} to Support", engineer.pk)


def test_it_can_be_given_back_to_its_role(fail: Any, support: User) -> None:
    problem = fail(UNNAMED)
    triage.assign(problem, user=support, actor=actor(support))

    triage.assign(problem, user=None, actor=actor(support))

    problem.refresh_from_db()
    assert problem.assigned_to is None
    assert JournalEntry.objects.latest("id").summary.endswith("to nobody, it waits for engineer again")


def test_assigning_it_twice_to_one_person_is_refused(fail: Any, support: User) -> None:
    problem = fail(UNNAMED)
    triage.assign(problem, user=support, actor=actor(support))

    with pytest.raises(Refusal, match="Support has it already"):
        triage.assign(problem, user=support, actor=actor(support))


def test_a_named_problem_gets_its_owner_and_next_step(fail: Any, engineer: User) -> None:
    problem = fail(UNNAMED)

    triage.name(problem, category=Category.OUTAGE, actor=actor(engineer), reason="It is their database")

    problem.refresh_from_db()
    policy = POLICIES[Category.OUTAGE]
    assert (problem.category, problem.owner, problem.next_step) == ("provider outage", policy.owner, policy.next_step)
    assert JournalEntry.objects.get(action="problem.named").reason == "It is their database"


def test_what_waits_follows_its_name(fail: Any, engineer: User) -> None:
    problem = fail(UNNAMED, 2)

    triage.name(problem, category=Category.BUSINESS, actor=actor(engineer), reason="It is a rule")

    for failure in problem.failures.select_related("event", "record"):
        assert failure.event
        assert failure.record
        assert failure.category == failure.event.category == failure.record.stuck_category == "business rule"
        assert failure.record.waits_for == "a decision"


def test_what_fails_the_same_way_later_has_the_name(fail: Any, engineer: User) -> None:
    problem = fail(UNNAMED)
    triage.name(problem, category=Category.BUSINESS, actor=actor(engineer), reason="It is a rule")

    again = fail(UNNAMED)

    assert again == problem
    assert Failure.objects.latest("pk").category == "business rule"


def test_a_name_can_be_corrected(fail: Any, engineer: User) -> None:
    problem = fail(UNNAMED)
    triage.name(problem, category=Category.BUSINESS, actor=actor(engineer), reason="It is a rule")

    triage.name(problem, category=Category.OUTAGE, actor=actor(engineer), reason="It was their database")

    problem.refresh_from_db()
    assert problem.category == "provider outage"


@pytest.mark.parametrize(
    "category, reason, says",
    [
        ("provider outage", " ", "Give a reason"),
        ("unknown", "Why not", "named categories"),
        ("no such thing", "Why not", "named categories"),
        ("", "Why not", "named categories"),
    ],
)
def test_a_name_needs_a_category_and_a_reason(fail: Any, engineer: User, category: str, reason: str, says: str) -> None:
    problem = fail(UNNAMED)

    with pytest.raises(Refusal, match=says):
        triage.name(problem, category=category, actor=actor(engineer), reason=reason)

    problem.refresh_from_db()
    assert problem.category == "unknown"


def test_what_the_engine_knows_is_not_renamed(fail: Any, engineer: User) -> None:
    problem = fail(KNOWN)

    with pytest.raises(Refusal, match="only an unknown one"):
        triage.name(problem, category=Category.OUTAGE, actor=actor(engineer), reason="I say so")
