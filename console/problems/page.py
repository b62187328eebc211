"""What the page of one problem shows: its sentence, samples of its failures, what it affects, its history."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from django.http import QueryDict

from console import newest, wording
from console.access import seen_records
from console.models import User
from console.newest import Newest
from console.overview.words import asked
from console.values import name_of
from integrations.boundary.redaction import mask
from integrations.canonical import KINDS
from integrations.failures.categories import Category
from integrations.failures.trend import Trend
from integrations.models import Failure, JournalEntry, Mapping, MappingState, Problem
from integrations.providers import get_adapter

SAMPLES: Final = 3
LOOKED_AT: Final = 50
SIZE: Final = 25
HISTORY: Final = 30
#: What can have failed, with what it is called by.
SUBJECTS: Final = (
    "event", "run__stream", "command", "delivery__message", "delivery__subscription", "copy__connection",
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """One failure as people may see it: the value is taken out where it is personal."""

    failure: Failure
    personal: bool

    @property
    def field(self) -> str:
        return name_of(self.failure.field) if self.failure.field else ""

    @cached_property
    def value(self) -> str:
        """What offended; masked where its field is personal and the reader may not see such."""
        hidden = not self.personal and sensitive(self.failure.connection.provider, self.failure.field)
        return mask(self.failure.value) if hidden else self.failure.value

    @property
    def masked(self) -> bool:
        return self.value != self.failure.value

    @property
    def difference(self) -> Iterator[tuple[str, str, str]]:
        """(where, what the mapping expects, what is there) for each difference of the object's shape."""
        for row in self.failure.difference:
            if isinstance(row, list | tuple) and len(row) == 3:
                where, expected, found = (str(part) for part in row)
                yield where or "the object", expected, found


def sensitive(provider: str, field: str) -> bool:
    """Say whether a field, ours or the provider's, holds personal or secret data."""
    name = field.rpartition(".")[2].rpartition("/")[2]
    theirs = {key.rpartition(".")[2] for key in get_adapter(provider).sensitive_fields}
    return name in theirs or any(name in kind.sensitive for kind in KINDS.values())


def samples(problem: Problem, user: User, *, personal: bool) -> list[Sample]:
    """Return the newest failures of a problem that differ in what they say; most say the same."""
    rows = problem.failures.select_related(*SUBJECTS, "connection").order_by("-id")
    rows = rows.prefetch_related(seen_records(user))[:LOOKED_AT]
    found: dict[str, Sample] = {}
    for failure in rows:
        found.setdefault(f"{failure.message}\n{failure.value}\n{failure.difference}", Sample(failure, personal))
    return list(found.values())[:SAMPLES]


def rules_of(problem: Problem, found: Sequence[Sample]) -> Mapping | None:
    """Return the rules in force that a problem of mapping asks to be fixed, as its newest failure names them."""
    event = next((sample.failure.event for sample in found if sample.failure.event), None)
    if problem.category != Category.MAPPING or event is None:
        return None
    rules = Mapping.objects.filter(connection=problem.connection, state=MappingState.PUBLISHED)
    return rules.filter(resource=event.resource).defer("rules").first()


def affected(problem: Problem, query: QueryDict, user: User) -> Newest[Failure]:
    """Return one page of what failed, the newest first: what is open; of a resolved problem, what it was."""
    rows = problem.failures.select_related(*SUBJECTS).prefetch_related(seen_records(user))
    if problem.open_count:
        rows = rows.filter(resolved_at__isnull=True)
    return newest.page(rows, query, SIZE)


def history(problem: Problem) -> list[JournalEntry]:
    """Return what people did with the problem, the newest first."""
    rows = JournalEntry.objects.filter(subject_type="problem", subject_id=problem.pk)
    return list(rows.order_by("-id")[:HISTORY])


def sentence(problem: Problem, trend: Trend, now: datetime) -> str:
    """Say how much waits, since when, and who is asked."""
    name = problem.connection.name
    if not problem.open_count:
        return (
            f"Resolved: nothing fails so at {name} any more. It came {wording.count(problem.count, 'time')}, "
            f"the last {wording.ago(problem.last_seen_at, now)}."
        )
    items = wording.count(problem.open_count, trend.noun)
    of = f" of {wording.count(trend.records, 'record')}" if trend.records and not trend.capped else ""
    verb = "waits" if problem.open_count == 1 else "wait"
    since = wording.ago(problem.first_seen_at, now)
    return f"{items}{of} {verb} at {name}; it was first seen {since}. {_whom(problem)}"


def _whom(problem: Problem) -> str:
    if problem.assigned_to:
        return f"{problem.assigned_to.name} takes care of it."
    if problem.owner == "nobody":
        return "The engine goes on by itself."
    who = asked(problem.owner)
    return f"{who.capitalize()} {'are' if who.endswith('s') and who != 'operations' else 'is'} asked."
