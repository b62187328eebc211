"""The thirteen categories of failure and what each asks of the engine and of people.

Policy is data: `workflow.work` reads it, nobody else decides about retries.
Source: the project's design, section "Failure categories".
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Literal


class Category(StrEnum):
    AUTHENTICATION = "authentication"
    AUTHORIZATION = "authorization"
    VALIDATION = "validation"
    CONTRACT = "contract mismatch"
    RATE_LIMIT = "rate limit"
    TIMEOUT = "timeout"
    DUPLICATE = "duplicate request"
    STALE = "stale data"
    DEPENDENCY = "missing dependency"
    OUTAGE = "provider outage"
    MAPPING = "mapping failure"
    BUSINESS = "business rule"
    UNKNOWN = "unknown"


Owner = Literal["nobody", "support", "operations", "finance", "engineer"]


@dataclass(frozen=True)
class Policy:
    """What the engine does by itself, and whom it asks for what.

    `next_step` is that for events; see `next_step` for other work. `tries` is how often work is tried before it
    parks (0: parks at once). `first_wait` and `longest_wait` are seconds of the exponential backoff with full jitter.
    """

    tries: int
    first_wait: float
    longest_wait: float
    owner: Owner
    next_step: str


POLICIES: dict[Category, Policy] = {
    Category.AUTHENTICATION: Policy(0, 0, 0, "operations", "Rotate the credential; the provider no longer accepts it."),
    Category.AUTHORIZATION: Policy(0, 0, 0, "operations", "Grant the missing scope at the provider, then replay."),
    Category.VALIDATION: Policy(0, 0, 0, "support", "Correct the data at its source, then replay."),
    Category.CONTRACT: Policy(
        0, 0, 0, "engineer", "Compare the payload with what the adapter expects, then adapt the mapping and replay."
    ),
    Category.RATE_LIMIT: Policy(12, 2, 300, "nobody", "Nothing to do: it waits as long as the provider asked."),
    Category.TIMEOUT: Policy(8, 2, 300, "nobody", "Nothing to do: it is tried again by itself."),
    Category.DUPLICATE: Policy(0, 0, 0, "nobody", "Nothing to do: the provider's first result is the result."),
    Category.STALE: Policy(0, 0, 0, "nobody", "Nothing to do: the evidence is kept, our belief is newer."),
    Category.DEPENDENCY: Policy(
        8, 15, 300, "support", "Find out why the record it refers to has not arrived, or check the connection now."
    ),
    Category.OUTAGE: Policy(10, 5, 600, "operations", "Wait for the provider; work is kept and drains by itself."),
    Category.MAPPING: Policy(0, 0, 0, "engineer", "Fix the mapping of the named field, then replay."),
    Category.BUSINESS: Policy(0, 0, 0, "finance", "Decide what is true, then correct the record or dismiss the event."),
    Category.UNKNOWN: Policy(3, 5, 60, "engineer", "Read the failure and give it a category."),
}


#: An event is replayed, a command is sent again, a run is run again: what is asked where the policy speaks of events.
_STEPS: dict[str, dict[Category, str]] = {
    "command": {
        Category.AUTHORIZATION: "Grant the missing scope at the provider, then send the command again.",
        Category.VALIDATION: (
            "Correct the record at its source and export it again, or cancel the command and ask anew; where only a "
            "setting at the provider was wrong, send the command again."
        ),
        Category.CONTRACT: "Compare the answer with what the adapter expects; then look for the effect.",
        Category.TIMEOUT: "Nothing to do: it is tried again, under the same operation id.",
        Category.DEPENDENCY: "Find out why what it refers to is not at the provider; once it is, the command goes out.",
        Category.MAPPING: "Fix what the named field is made of, then cancel the command and ask anew.",
        Category.BUSINESS: "Decide what is true, then send the command again, resolve it or cancel it.",
    },
    "run": {
        Category.AUTHORIZATION: "Grant the missing scope at the provider, then run it again.",
        Category.VALIDATION: "Find out what the provider refuses, correct the settings, then run it again.",
        Category.CONTRACT: "Compare the answer with what the adapter expects; then run it again.",
        Category.MAPPING: "Fix the mapping of the named field, then run it again.",
        Category.BUSINESS: "Decide what is true, then let the run go on or dismiss it.",
    },
    "delivery": {
        Category.AUTHORIZATION: "Have the receiver let us in, then replay the delivery.",
        Category.VALIDATION: "Find out what the receiver refuses, then replay the delivery.",
        Category.CONTRACT: "Find out what the receiver expects, then replay the delivery.",
        Category.MAPPING: "Find out what the receiver expects, then replay the delivery.",
        Category.BUSINESS: "Decide whether the receiver needs it, then replay the delivery or dismiss it.",
    },
}


def next_step(category: Category, work: str = "event") -> str:
    """Return what the owner of a category is asked to do about an event, a command, a run or a delivery."""
    return _STEPS.get(work, {}).get(category, POLICIES[category].next_step)


@dataclass(eq=False)
class Fault(Exception):
    """A classified thing that went wrong.

    `code` is short and stable (part of the fingerprint); `message` is one plain sentence without
    personal data; `field` and `value` name what offended (`value` is shown only redacted);
    `retry_after` is in seconds, as the provider asked. `owner` and `next_step` are given where they are others than
    those of the category.

    Not frozen: Python writes the traceback into an exception while it travels.
    """

    category: Category
    code: str
    message: str
    field: str = ""
    value: str = ""
    retry_after: float | None = None
    owner: Owner | None = None
    next_step: str = ""

    def __str__(self) -> str:
        return f"{self.category}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, part.name) for part in fields(self))


class NotYet(Fault):
    """Our own limits hold a request back that has not left: no failure and no try, only a wait of `retry_after`."""

    @classmethod
    def until(cls, seconds: float, why: str) -> "NotYet":
        """Return what says for how long (seconds) to wait, and why in words."""
        return cls(Category.RATE_LIMIT, "not_yet", why, retry_after=seconds)
