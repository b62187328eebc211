"""What a piece of evidence means for belief, as a table: pure, by the provider's clock, never by arrival."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.boundary.mapping import Mapped
from integrations.canonical import KINDS
from integrations.failures.categories import Category
from integrations.models import DecisionWord
from integrations.workflow.decide import Belief, Candidate, Decision, decide, deletion

NEW, CHANGED, UNCHANGED = DecisionWord.NEW, DecisionWord.CHANGED, DecisionWord.UNCHANGED
STALE, UNEXPECTED, WAITING = DecisionWord.STALE, DecisionWord.UNEXPECTED, DecisionWord.WAITING


def at(minute: int) -> datetime:
    return datetime(2026, 3, 1, 12, minute, tzinfo=UTC)


def evidence(kind: str, state: str, minute: int, **data: Any) -> Candidate:
    return Candidate(KINDS[kind], state, Mapped(kind, state, data, (), ()), at(minute))


def belief(kind: str, state: str, minute: int, **data: Any) -> Belief:
    return Belief(state, {name: data.get(name) for name in KINDS[kind].fields}, at(minute))


@dataclass(frozen=True)
class Case:
    """Belief and evidence as (state, minute, fields), and what is to be decided, with words of the reason."""

    kind: str
    held: tuple[str, int, dict[str, Any]] | None
    seen: tuple[str, int, dict[str, Any]]
    word: str
    reason: str
    changes: tuple[Any, ...] = field(default=())


CASES = {
    "nothing is held": Case(
        "invoice", None, ("open", 5, {"total": 100}), NEW, "The first evidence of this record", (("total", None, 100),)
    ),
    "it is older": Case(
        "invoice", ("paid", 5, {}), ("open", 4, {}), STALE,
        "It happened at 2026-03-01 12:04:00 UTC, and we already hold 2026-03-01 12:05:00 UTC: "
        "the evidence is kept, belief stays",
    ),
    "it is older, and what it shows was never legal": Case(
        "invoice", ("void", 5, {}), ("paid", 4, {}), STALE, "belief stays"
    ),
    "it says the same": Case(
        "invoice", ("open", 5, {"total": 1}), ("open", 6, {"total": 1}), UNCHANGED, "It says what we already believe"
    ),
    "it says the same of the same instant": Case(
        "invoice", ("open", 5, {}), ("open", 5, {}), UNCHANGED, "It says what we already believe"
    ),
    "a legal step": Case(
        "invoice", ("open", 5, {}), ("paid", 6, {}), CHANGED, "open → paid", (("state", "open", "paid"),)
    ),
    "several legal steps at once": Case(
        "invoice", ("draft", 5, {}), ("void", 6, {}), CHANGED, "draft → void", (("state", "draft", "void"),)
    ),
    "a step and a field": Case(
        "invoice", ("open", 5, {"amount_paid": 0}), ("paid", 6, {"amount_paid": 100}), CHANGED,
        "open → paid, and 1 more field", (("state", "open", "paid"), ("amount_paid", 0, 100)),
    ),
    "fields alone": Case(
        "invoice", ("open", 5, {"tax": 1, "total": 2}), ("open", 6, {"tax": 3, "total": 4}), CHANGED,
        "Changes tax, total", (("tax", 1, 3), ("total", 2, 4)),
    ),
    "a field that becomes nothing": Case(
        "customer", ("active", 5, {"name": "A"}), ("active", 6, {"name": None}), CHANGED,
        "Changes name", (("name", "A", None),),
    ),
    "a field of which it does not speak stays": Case(
        "payment", ("succeeded", 5, {"amount_refunded": 7}), ("succeeded", 6, {}), UNCHANGED, "already believe"
    ),
    "an illegal step": Case(
        "invoice", ("paid", 5, {}), ("open", 6, {}), UNEXPECTED, "Invoice cannot go from paid to open: belief stays"
    ),
    "back from the dead": Case(
        "customer", ("deleted", 5, {}), ("active", 6, {}), UNEXPECTED, "Customer cannot go from deleted to active"
    ),
    "a deletion": Case(
        "customer", ("active", 5, {}), ("deleted", 6, {}), CHANGED, "active → deleted",
        (("state", "active", "deleted"),),
    ),
    "the same instant, and it can only come after": Case(
        "invoice", ("draft", 5, {}), ("open", 5, {}), CHANGED,
        "draft can become open and never the reverse, so this is the later one", (("state", "draft", "open"),),
    ),
    "the same instant, and it can only come before": Case(
        "invoice", ("open", 5, {}), ("draft", 5, {}), STALE,
        "draft can become open and never the reverse, so this is the earlier one: belief stays",
    ),
    "the same instant, two ways": Case(
        "payment", ("failed", 5, {}), ("processing", 5, {}), WAITING, "the provider is asked how it stands now"
    ),
    "the same instant, one state, other fields": Case(
        "customer", ("active", 5, {"name": "A"}), ("active", 5, {"name": "B"}), WAITING, "their order cannot be told"
    ),
    "the same instant, no way at all": Case(
        "invoice", ("paid", 5, {}), ("void", 5, {}), WAITING, "their order cannot be told"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_decision(case: Case) -> None:
    held = belief(case.kind, case.held[0], case.held[1], **case.held[2]) if case.held else None
    state, minute, data = case.seen

    decision = decide(held, evidence(case.kind, state, minute, **data))

    assert decision.word == case.word
    assert case.reason in decision.reason
    if case.word in (NEW, CHANGED):
        assert decision.changes == case.changes
    assert decision.ask_provider == (case.word == WAITING)
    assert bool(decision.fault) == (case.word == UNEXPECTED)


def test_an_illegal_step_is_a_business_rule_with_both_states_in_its_code() -> None:
    fault = decide(belief("invoice", "void", 5), evidence("invoice", "paid", 6)).fault

    assert fault
    assert (fault.category, fault.code, fault.field) == (Category.BUSINESS, "illegal:void:paid", "state")


def test_a_deletion_that_shows_no_object_keeps_what_was_believed() -> None:
    held = belief("customer", "active", 5, name="A", email="a@b.example")

    decision = decide(held, deletion("customer", at(6)))

    assert decision.word == CHANGED
    assert decision.data == held.data
    assert decision.changes == (("state", "active", "deleted"),)


def test_what_is_told_lies_over_what_was_believed() -> None:
    held = belief("payment", "succeeded", 5, amount=10, amount_refunded=3)

    decision = decide(held, evidence("payment", "succeeded", 6, amount=11))

    assert (decision.data["amount"], decision.data["amount_refunded"]) == (11, 3)


@pytest.mark.parametrize("kind", ["payment", "refund"])
@pytest.mark.parametrize("held", [None, "succeeded"])
def test_a_state_that_the_kind_does_not_have_is_never_believed(kind: str, held: str | None) -> None:
    before = belief(kind, held, 5) if held else None

    decision = decide(before, evidence(kind, "deleted", 6))

    assert decision.word == UNEXPECTED
    assert decision.fault
    assert decision.fault.category == Category.BUSINESS


@pytest.mark.parametrize("kind", KINDS)
def test_that_something_unknown_is_not_there_makes_no_record(kind: str) -> None:
    decision = decide(None, deletion(kind, at(6)))

    assert (decision.word, decision.fault) == (UNCHANGED, None)
    assert decision.reason == "It is not there, and we hold no record of it"


def test_evidence_read_by_other_rules_comes_after_itself() -> None:
    held = belief("customer", "active", 5, name="A")

    decision = decide(held, evidence("customer", "active", 5, name="B"), again=True)

    assert (decision.word, decision.changes) == (CHANGED, (("name", "A", "B"),))


def test_read_by_other_rules_it_still_takes_legal_steps_only() -> None:
    decision = decide(belief("invoice", "paid", 5), evidence("invoice", "open", 5), again=True)

    assert decision.word == UNEXPECTED


def test_only_new_and_changed_apply() -> None:
    assert {word for word in DecisionWord if Decision(word, "").applies} == {NEW, CHANGED}


def test_reads_by_a_clock_at_the_end_of_time_can_be_compared() -> None:
    """A provider may say that it is the last second of the year 9999."""
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    held, read = belief("invoice", "open", 5), evidence("invoice", "paid", 5)

    decision = decide(
        replace(held, seen_at=last, known_at=at(1)), replace(read, occurred_at=last, asked_at=at(2), received_at=at(3))
    )

    assert decision.word == CHANGED


@pytest.mark.parametrize("kind", KINDS)
def test_of_two_sights_of_one_instant_the_order_of_arrival_decides_nothing(kind: str) -> None:
    """For every pair of states: both orders end in the same belief, or both ask the provider."""
    for one in KINDS[kind].states:
        for two in KINDS[kind].states:
            ends = {after(kind, one, two), after(kind, two, one)}
            assert len(ends) == 1, (one, two, ends)


def after(kind: str, first: str, second: str) -> str:
    decision = decide(belief(kind, first, 5), evidence(kind, second, 5))
    return "asked" if decision.ask_provider else second if decision.applies else first
