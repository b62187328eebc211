"""How often one may ask. Source: https://developer.xero.com/documentation/guides/oauth2/limits

Windows slide: a request counts for 60 seconds (24 hours) after it was made. What was refused does not count.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from integrations.providers.xero.sandbox.refusals import Refused

MINUTE = 60.0
DAY = 86_400.0


@dataclass
class Rates:
    """The allowed numbers; `enforced` off lifts them all."""

    enforced: bool = True
    minute: int = 60
    day: int = 5000
    concurrent: int = 5
    app_minute: int = 10_000


@dataclass
class Used:
    """The requests of one tenant: in the last minute, in the last day, under way."""

    minute: deque[float] = field(default_factory=deque)
    day: deque[float] = field(default_factory=deque)
    under_way: int = 0


def _forget(window: deque[float], before: float) -> None:
    while window and window[0] <= before:
        window.popleft()


class Limits:
    """The windows of an app and its tenants."""

    def __init__(self) -> None:
        self.rates = Rates()
        self._tenants: dict[str, Used] = {}
        self._app: deque[float] = deque()

    def reset(self) -> None:
        """Nothing was asked yet; what is under way stays so."""
        self._app.clear()
        for used in self._tenants.values():
            used.minute.clear()
            used.day.clear()

    def enter(self, tenant: str, now: float) -> None:
        """Count one request. Raises `Refused` 429; else `leave` must follow."""
        used = self._tenants.setdefault(tenant, Used())
        if self.rates.enforced:
            self._check(used, now)
            used.minute.append(now)
            used.day.append(now)
            self._app.append(now)
        used.under_way += 1

    def _check(self, used: Used, now: float) -> None:
        _forget(used.minute, now - MINUTE)
        _forget(used.day, now - DAY)
        _forget(self._app, now - MINUTE)
        rates = self.rates
        if used.under_way >= rates.concurrent:
            raise too_many("concurrent", 1.0)
        for name, window, most, span in (
            ("day", used.day, rates.day, DAY),
            ("minute", used.minute, rates.minute, MINUTE),
            ("appminute", self._app, rates.app_minute, MINUTE),
        ):
            if len(window) >= most:
                oldest = window[-most] if most else now
                raise too_many(name, oldest + span - now)

    def leave(self, tenant: str) -> None:
        """A request is answered."""
        self._tenants[tenant].under_way -= 1

    def headers(self, tenant: str, now: float) -> dict[str, str]:
        """What is left, for the answer's headers."""
        used = self._tenants.setdefault(tenant, Used())
        _forget(used.minute, now - MINUTE)
        _forget(used.day, now - DAY)
        _forget(self._app, now - MINUTE)
        return {
            "X-MinLimit-Remaining": str(max(0, self.rates.minute - len(used.minute))),
            "X-DayLimit-Remaining": str(max(0, self.rates.day - len(used.day))),
            "X-AppMinLimit-Remaining": str(max(0, self.rates.app_minute - len(self._app))),
        }


def too_many(problem: str, seconds: float) -> Refused:
    """429, with the limit that was reached and when to come again."""
    headers = {"Retry-After": str(max(1, math.ceil(seconds))), "X-Rate-Limit-Problem": problem}
    return Refused(429, b"", headers, kind="text/plain")
