"""The weather between the provider and us: which fault strikes what, and when.

Rules are data. Each has its own random numbers, derived from the seed and its place in the list,
so that the same traffic meets the same faults whatever other rules do.
"""

import random
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

JSON = dict[str, Any]


class Kind(StrEnum):
    """What can go wrong."""

    # in the body, on both ways
    MALFORMED = "malformed"
    NOT_UTF8 = "not_utf8"
    INCOMPLETE = "incomplete"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_STATUS = "unknown_status"
    CHANGED = "changed"
    HUGE = "huge"
    # API: before the provider acts
    RATE_LIMIT = "rate_limit"
    SERVER_ERROR = "server_error"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    TIMEOUT = "timeout"
    SLOW = "slow"
    CUT = "cut"
    # API: after the provider has acted
    CUT_AFTER = "cut_after"
    TIMEOUT_AFTER = "timeout_after"
    # webhooks
    DROP = "drop"
    DUPLICATE = "duplicate"
    DELAY = "delay"
    SHUFFLE = "shuffle"
    OUT_OF_ORDER = "out_of_order"
    UNKNOWN_TYPE = "unknown_type"
    BAD_SIGNATURE = "bad_signature"
    OLD_SIGNATURE = "old_signature"


BODY = frozenset(
    {
        Kind.MALFORMED,
        Kind.NOT_UTF8,
        Kind.INCOMPLETE,
        Kind.WRONG_TYPE,
        Kind.UNKNOWN_STATUS,
        Kind.CHANGED,
        Kind.HUGE,
    }
)
BEFORE = frozenset(
    {
        Kind.RATE_LIMIT,
        Kind.SERVER_ERROR,
        Kind.UNAUTHORIZED,
        Kind.FORBIDDEN,
        Kind.TIMEOUT,
        Kind.SLOW,
        Kind.CUT,
    }
)
API = BODY | BEFORE | {Kind.CUT_AFTER, Kind.TIMEOUT_AFTER}
WEBHOOK = frozenset(Kind) - (API - BODY)


class Rule(BaseModel):
    """One fault and what it strikes.

    `on` is a shell pattern: of `METHOD /v1/path` for the API, of the event type for webhooks.
    `where` names fields of the event's object (dots go deeper) that must have these values.
    The rule leaves the first `skip` that match alone, strikes with `probability`, and at most
    `times` (none: no end), and only in the seconds `from_second` to `until_second` after the start.

    `seconds` is the lateness (delay, duplicate, slow), the width of a shuffle, or the longest wait
    (out_of_order, timeout); `retry_after` and `status` shape an answer; `set` (dotted path to
    value) and `remove` say what changes in an object, instead of the kind's own choice.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    kind: Kind
    channel: Literal["api", "webhook"]
    account: str = "*"
    on: str = "*"
    where: JSON = Field(default_factory=dict)
    probability: float = Field(default=1.0, ge=0, le=1)
    times: int | None = Field(default=None, ge=0)
    skip: int = Field(default=0, ge=0)
    from_second: float = 0.0
    until_second: float | None = None
    seconds: float | None = Field(default=None, ge=0)
    retry_after: int = 2
    status: int | None = Field(default=None, ge=400, le=599)
    set: JSON = Field(default_factory=dict)
    remove: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _belongs(self) -> "Rule":
        if self.kind not in (API if self.channel == "api" else WEBHOOK):
            raise ValueError(f"{self.kind} is not a fault of the channel {self.channel}")
        return self


class Faults(BaseModel):
    """All rules; the first that strikes counts. No rules: no faults."""

    model_config = ConfigDict(extra="forbid")

    seed: int = 1
    rules: list[Rule] = Field(default_factory=list)


def look_up(obj: Any, path: str) -> Any:
    """The value at a dotted path (numbers index lists), None where there is none."""
    for step in path.split("."):
        if isinstance(obj, Mapping):
            obj = obj.get(step)
        elif isinstance(obj, list) and step.isdigit() and int(step) < len(obj):
            obj = obj[int(step)]
        else:
            return None
    return obj


class Weather:
    """The rules at work: counts what matched and what was struck."""

    def __init__(self, faults: Faults, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.replace(faults)

    def replace(self, faults: Faults) -> None:
        """Start anew with other rules: counts, seconds and random numbers begin again."""
        self.faults = faults
        self._started_at = self._clock()
        self._matched: list[int] = []
        self._struck: list[int] = []
        self._random: list[random.Random] = []
        for _ in faults.rules:
            self._prepare()

    def _prepare(self) -> None:
        number = len(self._random)
        self._matched.append(0)
        self._struck.append(0)
        self._random.append(random.Random(f"{self.faults.seed}/{number}"))  # noqa: S311

    def add(self, rule: Rule) -> None:
        """Add a rule at the end; what the others counted stays."""
        self.faults.rules.append(rule)
        self._prepare()

    def state(self) -> JSON:
        """The rules with what they counted, as JSON."""
        rules = [
            {**rule.model_dump(mode="json"), "matched": matched, "struck": struck}
            for rule, matched, struck in zip(self.faults.rules, self._matched, self._struck, strict=True)
        ]
        return {"seed": self.faults.seed, "rules": rules}

    def strike_api(self, account: str, method: str, path: str) -> Rule | None:
        """The rule that strikes this request, None in calm."""
        line = f"{method} {path}"
        return self._strike("api", account, lambda rule: fnmatchcase(line, rule.on))

    def strike_webhook(self, account: str, event: JSON) -> Rule | None:
        """The rule that strikes the delivery of this event, None in calm."""
        obj = event["data"]["object"]

        def fits(rule: Rule) -> bool:
            return fnmatchcase(event["type"], rule.on) and all(
                look_up(obj, path) == value for path, value in rule.where.items()
            )

        return self._strike("webhook", account, fits)

    def _strike(self, channel: str, account: str, fits: Callable[[Rule], bool]) -> Rule | None:
        second = self._clock() - self._started_at
        for number, rule in enumerate(self.faults.rules):
            if rule.channel != channel or not fnmatchcase(account, rule.account):
                continue
            if not rule.from_second <= second <= (rule.until_second or float("inf")):
                continue
            if fits(rule) and self._counts(number, rule):
                return rule
        return None

    def _counts(self, number: int, rule: Rule) -> bool:
        if rule.times is not None and self._struck[number] >= rule.times:
            return False
        self._matched[number] += 1
        if self._matched[number] <= rule.skip:
            return False
        if self._random[number].random() >= rule.probability:
            return False
        self._struck[number] += 1
        return True

    def jitter(self, rule: Rule, most: float) -> float:
        """A random lateness up to `most` seconds, from the rule's own random numbers."""
        return self._random[self.faults.rules.index(rule)].uniform(0, most)
