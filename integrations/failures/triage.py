"""What people do with a problem: take it on, hand it over, and give an unknown failure its name."""

from typing import Any

from django.db import transaction

from integrations.failures import grouping
from integrations.failures.categories import POLICIES, Category
from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import Command, Event, JournalEntry, Problem, Record
from integrations.workflow import stuck
from integrations.workflow.errors import Refusal, require_reason


@transaction.atomic
def assign(problem: Problem, *, user: Any, actor: Actor) -> None:
    """Say who takes care of a problem; `user` None gives it back to its role. Raises `Refusal`."""
    held = _locked(problem)
    if held.assigned_to_id == (user.pk if user else None):
        whose = f"{user.name} has it" if user else "Nobody has it"
        raise Refusal(f"{whose} already.")
    before = held.assigned_to.name if held.assigned_to else ""
    Problem.objects.filter(pk=held.pk).update(assigned_to=user)
    whom = ("themselves" if user.pk == actor.id else user.name) if user else f"nobody, it waits for {held.owner} again"
    write_act(
        held,
        "problem.assigned",
        f"{actor.name} gave {held} to {whom}",
        actor=actor,
        data={"from": before, "to": user.name if user else ""},
    )


@transaction.atomic
def name(problem: Problem, *, category: str, actor: Actor, reason: str) -> None:
    """Give an unknown problem its category, and with it an owner and a next step.

    Its failures and the work that waits for them follow, as does whatever fails the same way from now
    on. A name once given by a person may be corrected by one. Raises `Refusal`.
    """
    held = _locked(problem)
    require_reason(reason, "who meets this failure next will read it.")
    if category not in set(Category) - {Category.UNKNOWN}:
        raise Refusal("Choose one of the named categories.")
    if category == held.category:
        raise Refusal(f"It is called {category} already.")
    if not can_be_named(held):
        raise Refusal(f"The engine knows this failure as {held.category}; only an unknown one can be named.")
    grouping.name_unknown(held, Category(category))
    _carry_over(held, category)
    owner = POLICIES[Category(category)].owner
    write_act(
        held,
        "problem.named",
        f"{actor.name} named {held} {category}, it was {held.category}; its owner is {owner}",
        actor=actor,
        outcome=category,
        reason=reason,
        data={"changes": [["category", held.category, category], ["owner", held.owner, owner]], "code": held.code},
    )


def can_be_named(problem: Problem) -> bool:
    """Say whether people may choose a problem's category: it is unknown, or was until somebody named it."""
    if problem.category == Category.UNKNOWN:
        return True
    return JournalEntry.objects.filter(subject_type="problem", subject_id=problem.pk, action="problem.named").exists()


def _carry_over(problem: Problem, category: str) -> None:
    """Let open work and stuck records say the new category too."""
    failures = problem.failures.filter(resolved_at__isnull=True)
    Event.objects.filter(pk__in=failures.filter(event__isnull=False).values("event_id")).update(category=category)
    Command.objects.filter(pk__in=failures.filter(command__isnull=False).values("command_id")).update(category=category)
    stuck.recompute(
        Record.objects.filter(pk__in=failures.values("record_id"), stuck_since__isnull=False).values_list(
            "pk", flat=True
        )
    )


def _locked(problem: Problem) -> Problem:
    return Problem.objects.select_for_update(of=("self",), no_key=True).select_related("assigned_to").get(pk=problem.pk)
