"""What is believed of a command's effect, and which step follows which."""

from collections.abc import Mapping

from integrations.boundary.client import UNREACHED
from integrations.failures.categories import Category, Fault
from integrations.models import Command, Outcome

#: A command that was answered by a refusal goes back to `submitted`: it had no effect, and may be sent again.
STEPS: Mapping[str, frozenset[str]] = {
    Outcome.SUBMITTED: frozenset({Outcome.SENT, Outcome.FAILED, Outcome.CANCELLED}),
    Outcome.SENT: frozenset({Outcome.SUBMITTED, Outcome.ACCEPTED, Outcome.CONFIRMED, Outcome.FAILED, Outcome.UNKNOWN}),
    Outcome.UNKNOWN: frozenset({Outcome.SENT, Outcome.SUBMITTED, Outcome.ACCEPTED, Outcome.CONFIRMED, Outcome.FAILED}),
    Outcome.ACCEPTED: frozenset({Outcome.CONFIRMED, Outcome.FAILED}),
    Outcome.FAILED: frozenset({Outcome.SUBMITTED, Outcome.UNKNOWN, Outcome.CONFIRMED, Outcome.CANCELLED}),
    # What was there may come to nothing later.
    Outcome.CONFIRMED: frozenset({Outcome.FAILED}),
    Outcome.CANCELLED: frozenset(),
}

#: Categories of answers by which a provider says that it did nothing.
REFUSALS = frozenset(
    {
        Category.AUTHENTICATION, Category.AUTHORIZATION, Category.VALIDATION, Category.RATE_LIMIT, Category.BUSINESS,
        Category.MAPPING, Category.DEPENDENCY, Category.STALE,
    }
)  # fmt: skip


#: Of these, what a provider refuses because of one command's data; the others that travelled with it may be fine.
ABOUT_ONE = frozenset({Category.VALIDATION, Category.BUSINESS, Category.DEPENDENCY, Category.STALE})


class IllegalStep(Exception):
    """A command's outcome does not go from one to the other."""


def follows(before: str, after: str) -> bool:
    """Say whether a command's outcome may go from one to the other, or stay what it is."""
    return after == before or after in STEPS[before]


def move(command: Command, outcome: str, reason: str) -> None:
    """Set what is believed of a command's effect, and why; the caller writes it. Raises `IllegalStep`."""
    if not follows(command.outcome, outcome):
        raise IllegalStep(f"{command.operation_id}: {command.outcome} → {outcome}")
    command.outcome, command.outcome_reason = outcome, reason


def had_no_effect(fault: Fault) -> bool:
    """Say whether a fault proves that the request did nothing: the provider refused it, or nothing of it left.

    Of anything else (no answer, an answer of 5xx, one that cannot be read, a conflict of keys) the effect is unknown.
    """
    return fault.category in REFUSALS or fault.code == UNREACHED
