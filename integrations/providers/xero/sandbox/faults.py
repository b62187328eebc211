"""What goes wrong between the sandbox and its caller, and when. Rules are data with random numbers of their own."""

import random
from enum import StrEnum
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict, Field

from integrations.providers.xero.sandbox.formats import JSON


class Kind(StrEnum):
    """What can go wrong."""

    # nothing is done
    CUT = "cut"
    TIMEOUT = "timeout"
    ERROR = "error"
    RATE_LIMIT = "rate_limit"
    UNAUTHORIZED = "unauthorized"
    # it is done, and then
    CUT_AFTER = "cut_after"
    TIMEOUT_AFTER = "timeout_after"
    ERROR_AFTER = "error_after"
    MALFORMED = "malformed"
    # late, and then as if nothing were wrong
    DELAY = "delay"


INSTEAD = frozenset({Kind.CUT, Kind.TIMEOUT, Kind.ERROR, Kind.RATE_LIMIT, Kind.UNAUTHORIZED})


class Rule(BaseModel):
    """One fault and what it strikes.

    `on` is a shell pattern of `METHOD /path` (`PUT *`, `* /connect/token`; as it stands: the Accounting API).
    The rule leaves the first `skip` that match alone, strikes with `probability`, and at most `times` (none: no end).
    `status`, `body` and `retry_after` (seconds; none: no header) shape the answer of `error`, `retry_after` and
    `problem` that of `rate_limit`; `seconds` is how long `delay` and the timeouts take (then the connection is cut).
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    on: str = "* /api.xro/*"
    probability: float = Field(default=1.0, ge=0, le=1)
    times: int | None = Field(default=None, ge=0)
    skip: int = Field(default=0, ge=0)
    status: int = Field(default=503, ge=400, le=599)
    body: str = ""
    retry_after: int | None = Field(default=None, ge=0)
    problem: str = "minute"
    seconds: float = Field(default=30.0, ge=0)


class Faults(BaseModel):
    """All rules; the first that strikes counts. The same seed and traffic meet the same faults."""

    model_config = ConfigDict(extra="forbid")

    seed: int = 1
    rules: list[Rule] = Field(default_factory=list)


class Weather:
    """The rules at work: counts what matched and what was struck."""

    def __init__(self) -> None:
        self.replace(Faults())

    def replace(self, faults: Faults) -> None:
        """Start anew with other rules: counts and random numbers begin again."""
        self.seed = faults.seed
        self.rules: list[Rule] = []
        self.matched: list[int] = []
        self.struck: list[int] = []
        self._random: list[random.Random] = []
        for rule in faults.rules:
            self.add(rule)

    def add(self, rule: Rule) -> None:
        """One rule more; what the others counted stays."""
        self._random.append(random.Random(f"{self.seed}/{len(self.rules)}"))  # noqa: S311 - weather, not secrets
        self.rules.append(rule)
        self.matched.append(0)
        self.struck.append(0)

    def state(self) -> JSON:
        """The rules with what they counted."""
        rules = [
            {**rule.model_dump(mode="json"), "matched": matched, "struck": struck}
            for rule, matched, struck in zip(self.rules, self.matched, self.struck, strict=True)
        ]
        return {"seed": self.seed, "rules": rules}

    def strike(self, line: str) -> Rule | None:
        """The rule that strikes this request (`METHOD /path`), None in calm."""
        for number, rule in enumerate(self.rules):
            if fnmatchcase(line, rule.on) and self._counts(number, rule):
                return rule
        return None

    def _counts(self, number: int, rule: Rule) -> bool:
        if rule.times is not None and self.struck[number] >= rule.times:
            return False
        self.matched[number] += 1
        if self.matched[number] <= rule.skip or self._random[number].random() >= rule.probability:
            return False
        self.struck[number] += 1
        return True
