"""Webhooks on their way to us: signed, struck by the weather, and sent again until taken.

Source: https://docs.stripe.com/webhooks (signature `t=…,v1=…`, one `v1` per valid secret; retries
until a 2xx; no promise about order, nor that an event comes once only).
"""

import asyncio
import contextlib
import hashlib
import heapq
import hmac
import itertools
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import aiohttp

from integrations.providers.stripe.sandbox.account import Account
from integrations.providers.stripe.sandbox.faults import BODY, JSON, Kind, Rule, Weather
from integrations.providers.stripe.sandbox.settings import Retries, Target
from integrations.providers.stripe.sandbox.spoil import dumps, spoil

WRONG_SECRET = "whsec_of_somebody_else"  # noqa: S105 - meant to be wrong
TOO_OLD = 900
LATE = 20.0

Log = deque[dict[str, Any]]


def sign(body: bytes, secrets: list[str], at: int) -> str:
    """The value of `Stripe-Signature`."""
    parts = [hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={at}", *(f"v1={part}" for part in parts)])


@dataclass
class Delivery:
    """One body on its way to one target. `held` waits for a later event of the same object."""

    event: JSON
    body: bytes
    target: int
    fault: Kind | None = None
    held: bool = False
    attempts: int = 0
    over: bool = False

    @property
    def subject(self) -> str:
        """The id of the object that the event is about."""
        return str(self.event["data"]["object"].get("id", ""))


class Courier:
    """Carries one account's webhooks. Before `live`, events happen and nobody is told."""

    def __init__(self, account: Account, weather: Weather, retries: Retries, parallel: int, log: Log) -> None:
        self.live = False
        self._account = account
        self._weather = weather
        self._retries = retries
        self._parallel = parallel
        self._log = log
        self._queue: list[tuple[float, int, Delivery]] = []
        self._number = itertools.count()
        self._stirred = asyncio.Event()
        self._carried = asyncio.Event()
        self._sending = 0
        self._workers: list[asyncio.Task[None]] = []
        self._timeout = aiohttp.ClientTimeout(total=retries.timeout)

    def start(self) -> None:
        """Start to carry."""
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._parallel)]

    async def stop(self) -> None:
        """Stop; what is on its way is lost, as the event log is not."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    @property
    def pending(self) -> int:
        """How many deliveries are not over."""
        return self._sending + len({id(entry) for _, _, entry in self._queue if not entry.over})

    async def settled(self) -> None:
        """Wait until nothing is on its way."""
        while self.pending:
            self._carried.clear()
            await self._carried.wait()

    def clear(self) -> None:
        """Forget what is on its way."""
        for _, _, entry in self._queue:
            entry.over = True
        self._queue.clear()
        self._stirred.set()
        self._carried.set()

    def hear(self, event: JSON) -> None:
        """Send an event to every target, through the weather."""
        if not self.live or not self._account.targets:
            return
        rule = self._weather.strike_webhook(self._account.name, event)
        if rule is not None:
            self._note(event, fault=rule.kind, step="struck")
        if rule is None or rule.kind is not Kind.DROP:
            self._plan(event, rule)

    def redeliver(self, event: JSON) -> int:
        """Send an event again, as it really is; returns to how many targets."""
        for number in range(len(self._account.targets)):
            self._push(Delivery(event, dumps(event), number), 0)
        return len(self._account.targets)

    def _plan(self, event: JSON, rule: Rule | None) -> None:
        kind = rule.kind if rule else None
        body = spoil(event, rule) if rule and self._spoils(rule) else dumps(event)
        late = self._lateness(rule)
        for number in range(len(self._account.targets)):
            entry = Delivery(event, body, number, kind, held=kind is Kind.OUT_OF_ORDER)
            self._push(entry, late)
            if rule is not None and kind is Kind.DUPLICATE:
                seconds = 1.0 if rule.seconds is None else rule.seconds
                self._push(Delivery(event, body, number, kind), seconds)

    def _spoils(self, rule: Rule) -> bool:
        return rule.kind in BODY or rule.kind is Kind.UNKNOWN_TYPE

    def _lateness(self, rule: Rule | None) -> float:
        if rule is None:
            return 0.0
        if rule.kind is Kind.SHUFFLE:
            return self._weather.jitter(rule, 3.0 if rule.seconds is None else rule.seconds)
        if rule.kind in (Kind.DELAY, Kind.OUT_OF_ORDER):
            return LATE if rule.seconds is None else rule.seconds
        return 0.0

    def _push(self, entry: Delivery, seconds: float) -> None:
        heapq.heappush(self._queue, (time.monotonic() + seconds, next(self._number), entry))
        self._stirred.set()

    async def _work(self) -> None:
        async with aiohttp.ClientSession(timeout=self._timeout) as session:
            while True:
                entry = await self._next()
                self._sending += 1
                await self._carry(session, entry)
                self._sending -= 1
                self._carried.set()

    async def _next(self) -> Delivery:
        while True:
            wait = None
            if self._queue:
                wait = self._queue[0][0] - time.monotonic()
                if wait <= 0:
                    entry = heapq.heappop(self._queue)[2]
                    if not entry.over:
                        return entry
                    continue
            self._stirred.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stirred.wait(), wait)

    async def _carry(self, session: aiohttp.ClientSession, entry: Delivery) -> None:
        if entry.target >= len(self._account.targets):
            entry.over = True
            return
        entry.attempts += 1
        status, error = await self._send(session, entry, self._account.targets[entry.target])
        taken = 200 <= status < 300
        self._note(
            entry.event,
            fault=entry.fault,
            step="sent" if taken else "refused",
            attempt=entry.attempts,
            status=status,
            error=error,
        )
        if taken:
            entry.over = True
            self._release(entry)
        elif entry.attempts < self._retries.attempts:
            plan = self._retries
            self._push(entry, min(plan.first * plan.factor ** (entry.attempts - 1), plan.longest))
        else:
            entry.over = True

    async def _send(self, session: aiohttp.ClientSession, entry: Delivery, target: Target) -> tuple[int, str]:
        fault = entry.fault if entry.attempts == 1 else None  # the next attempt is signed well
        at = int(time.time()) - (TOO_OLD if fault is Kind.OLD_SIGNATURE else 0)
        secrets = [WRONG_SECRET] if fault is Kind.BAD_SIGNATURE else target.secrets
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": sign(entry.body, secrets, at),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            async with session.post(target.url, data=entry.body, headers=headers) as answer:
                return answer.status, ""
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return 0, type(error).__name__

    def _release(self, carried: Delivery) -> None:
        """A held event may go once a later one about the same object was taken."""
        held = {id(entry): entry for _, _, entry in self._queue if entry.held and not entry.over}
        for entry in held.values():
            earlier = entry.event["created"] < carried.event["created"]
            if entry.subject == carried.subject and earlier and entry.target == carried.target:
                entry.held = False
                self._push(entry, 0.2)

    def _note(self, event: JSON, **what: Any) -> None:
        self._log.append(
            {
                "at": time.time(),
                "channel": "webhook",
                "account": self._account.name,
                "event": event["id"],
                "type": event["type"],
                **{name: value for name, value in what.items() if value not in (None, "")},
            }
        )
