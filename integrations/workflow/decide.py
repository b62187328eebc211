"""Decide what a piece of evidence means for what we believe. Pure: no database, no clock.

Order does not matter: evidence is compared by the provider's own time, never by arrival. One thing that clock
cannot tell: at which moment of a request a read looked. Within that time a read comes after what had arrived
before it was asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from math import ceil
from typing import Any

from integrations.boundary.mapping import Mapped
from integrations.canonical import DELETED, KINDS
from integrations.canonical.kind import Kind
from integrations.failures.categories import Category, Fault
from integrations.models.event import DecisionWord

Change = tuple[str, Any, Any]


_LONGEST_READ = 3600


class Order(Enum):
    """Which came later at the provider: the evidence, or what belief stands on."""

    OLDER = auto()
    NEWER = auto()
    UNKNOWN = auto()


@dataclass(frozen=True)
class Belief:
    """What we hold: state, data, and the provider's clock at the newest evidence behind it.

    By our clock: `known_at` that evidence arrived, and `asked_at` it was asked for where it is a read, which then
    looked at most `lag` before `seen_at`.
    """

    state: str
    data: Mapping[str, Any]
    seen_at: datetime
    known_at: datetime | None = None
    asked_at: datetime | None = None
    lag: timedelta = timedelta(0)


@dataclass(frozen=True)
class Candidate:
    """What the evidence would make of it. `mapped` is None for a deletion that shows no object.

    `received_at` and `asked_at` are our clock; only a read was asked for.
    """

    kind: Kind
    state: str
    mapped: Mapped | None
    occurred_at: datetime
    received_at: datetime | None = None
    asked_at: datetime | None = None

    @property
    def lag(self) -> timedelta:
        """How long before `occurred_at` a read may have looked."""
        return lag_of(self.asked_at, self.received_at)

    def over(self, data: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the data that belief would have: this evidence over what was believed."""
        if self.mapped is None:
            return dict(data or {})
        return self.mapped.over(data)


@dataclass(frozen=True)
class Decision:
    """What becomes of the evidence: a word, the reason in words, and what changes in belief.

    `fault` is set where it fails; `ask_provider` where the order cannot be told from here.
    """

    word: str
    reason: str
    changes: tuple[Change, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    fault: Fault | None = None
    ask_provider: bool = False

    @property
    def applies(self) -> bool:
        """Whether belief changes."""
        return self.word in (DecisionWord.NEW, DecisionWord.CHANGED)


def decide(belief: Belief | None, candidate: Candidate, *, again: bool = False) -> Decision:
    """Return the decision; see `DecisionWord` for the words.

    `again`: it is the very evidence that belief stands on, read by other rules, so it comes after itself.
    """
    data = candidate.over(belief.data if belief else None)
    if belief is None and candidate.mapped is None:
        return Decision(DecisionWord.UNCHANGED, "It is not there, and we hold no record of it")
    if candidate.state not in candidate.kind.states:
        return _illegal(belief.state if belief else "", candidate)
    if belief is None:
        changes = tuple((name, None, value) for name, value in data.items() if value is not None)
        return Decision(DecisionWord.NEW, "The first evidence of this record", changes, data)
    order = order_of(belief, candidate)
    if order is Order.OLDER:
        return Decision(DecisionWord.STALE, f"{_why_older(belief, candidate)}: the evidence is kept, belief stays")
    changes = differences(belief, candidate.state, data)
    if not changes:
        return Decision(DecisionWord.UNCHANGED, "It says what we already believe")
    legal = candidate.kind.can_become(belief.state, candidate.state)
    if order is Order.UNKNOWN and not again:
        return _same_instant(belief, candidate, changes, data)
    if not legal:
        return _illegal(belief.state, candidate)
    return Decision(DecisionWord.CHANGED, _what_changed(belief, candidate, changes), changes, data)


def order_of(belief: Belief, candidate: Candidate) -> Order:
    """Tell which came later at the provider, the evidence or what belief stands on."""
    if candidate.occurred_at < belief.seen_at - belief.lag:
        return Order.OLDER
    if candidate.occurred_at - candidate.lag > belief.seen_at:
        return Order.NEWER
    if belief.asked_at and candidate.received_at and candidate.received_at <= belief.asked_at:
        return Order.OLDER
    if candidate.asked_at and belief.known_at and belief.known_at <= candidate.asked_at:
        return Order.NEWER
    return Order.UNKNOWN


def lag_of(asked_at: datetime | None, received_at: datetime | None) -> timedelta:
    """Return for how long a read may have looked before the time on its answer, whose clock ticks in seconds."""
    if asked_at is None or received_at is None:
        return timedelta(0)
    return timedelta(seconds=1 + min(max(ceil((received_at - asked_at).total_seconds()), 0), _LONGEST_READ))


def _why_older(belief: Belief, candidate: Candidate) -> str:
    if candidate.occurred_at < belief.seen_at - belief.lag:
        return f"It happened at {_clock(candidate.occurred_at)}, and we already hold {_clock(belief.seen_at)}"
    return f"It had arrived before we read the object at {_clock(belief.seen_at)}, so the read is the later one"


def differences(belief: Belief, state: str, data: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return (field, before, after) for each field that would change; the state comes first."""
    changed: list[Change] = [("state", belief.state, state)] if belief.state != state else []
    changed += [(name, belief.data.get(name), value) for name, value in data.items() if belief.data.get(name) != value]
    return tuple(changed)


def _same_instant(belief: Belief, candidate: Candidate, changes: tuple[Change, ...], data: dict[str, Any]) -> Decision:
    """Providers' clocks tick in seconds. Where states can only follow in one direction, that is the order."""
    onward = candidate.kind.can_become(belief.state, candidate.state)
    back = candidate.kind.can_become(candidate.state, belief.state)
    moment = _moment(belief, candidate)
    if onward and not back:
        return Decision(
            DecisionWord.CHANGED,
            f"{_what_changed(belief, candidate, changes)}. {moment}; {belief.state} can become "
            f"{candidate.state} and never the reverse, so this is the later one",
            changes,
            data,
        )
    if back and not onward:
        return Decision(
            DecisionWord.STALE,
            f"{moment}; {candidate.state} can become {belief.state} and never the reverse, "
            "so this is the earlier one: belief stays",
        )
    return Decision(
        DecisionWord.WAITING,
        f"{moment} and differ, so their order cannot be told from here: the provider is asked how it stands now",
        ask_provider=True,
    )


def _illegal(before: str, candidate: Candidate) -> Decision:
    step = f"go from {before} to {candidate.state}" if before else f"be {candidate.state}"
    message = f"{candidate.kind.title} cannot {step}"
    return Decision(
        DecisionWord.UNEXPECTED,
        f"{message}: belief stays",
        fault=Fault(
            Category.BUSINESS, f"illegal:{before}:{candidate.state}", message, field="state", value=candidate.state
        ),
    )


def _what_changed(belief: Belief, candidate: Candidate, changes: tuple[Change, ...]) -> str:
    fields = [name for name, _, _ in changes if name != "state"]
    if belief.state != candidate.state:
        others = f", and {len(fields)} more {'field' if len(fields) == 1 else 'fields'}" if fields else ""
        return f"{belief.state} → {candidate.state}{others}"
    return f"Changes {', '.join(name.replace('_', ' ') for name in fields)}"


def _moment(belief: Belief, candidate: Candidate) -> str:
    if candidate.occurred_at == belief.seen_at:
        return f"Both are of {_clock(candidate.occurred_at)}"
    near = f"{_clock(candidate.occurred_at)} and {_clock(belief.seen_at)}"
    return f"They are of {near}, within the time that a read took"


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def deletion(
    kind: str, occurred_at: datetime, received_at: datetime | None = None, asked_at: datetime | None = None
) -> Candidate:
    """Return the candidate of evidence that says only that the object is gone."""
    return Candidate(KINDS[kind], DELETED, None, occurred_at, received_at, asked_at)
