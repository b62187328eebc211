"""The business goes on: customers sign up, invoices are paid, some fail, some are refunded.

A story is a generator: each step is one action, and what it yields is how many days pass before
the next. A backfill lets the days pass on the business clock; afterwards each step takes `pace`.
"""

import asyncio
import heapq
import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import cast
from urllib.parse import urlsplit

import stripe

from integrations.providers.stripe.sandbox.account import Account
from integrations.providers.stripe.sandbox.delivery import Courier
from integrations.providers.stripe.sandbox.settings import Drive
from integrations.providers.stripe.sandbox.shop import (
    BAD_CARD,
    CAREFUL_CARD,
    SLOW_REFUND_CARD,
    Buyer,
    Shop,
)

Story = Iterator[float]

HISTORY = 90.0
DAY = 86_400
AT_ONCE = 3

log = logging.getLogger(__name__)


def regular(shop: Shop, buyer: Buyer | None = None) -> Story:
    """An invoice is written, sent, paid and booked."""
    invoice = shop.draft(buyer or shop.buyer())
    yield 0.5
    shop.finalize(invoice)
    yield 4
    paid = shop.pay(invoice)
    yield 1
    if paid:
        shop.book(invoice)


def newcomer(shop: Shop) -> Story:
    """A new customer, and at once the first invoice."""
    buyer = shop.sign_up()
    yield 0.2
    yield from regular(shop, buyer)


def refunded(shop: Shop, share: float = 1.0) -> Story:
    """A paid invoice is given back, wholly or partly."""
    invoice = shop.draft(shop.buyer())
    yield 0.5
    shop.finalize(invoice)
    yield 3
    if shop.pay(invoice):
        yield 6
        shop.refund(shop.payment_of(invoice), share)


def partly_refunded(shop: Shop) -> Story:
    """A third of a paid invoice is given back."""
    yield from refunded(shop, 0.33)


def declined(shop: Shop) -> Story:
    """A card is declined; the customer brings another."""
    buyer = shop.sign_up(BAD_CARD)
    yield 0.5
    invoice = shop.draft(buyer)
    yield 0.5
    shop.finalize(invoice)
    yield 2
    shop.pay(invoice)
    yield 4
    shop.change_card(buyer)
    yield 0.5
    shop.pay(invoice)


def unpaid(shop: Shop) -> Story:
    """A card is declined, and nobody ever pays."""
    invoice = shop.draft(shop.sign_up(BAD_CARD))
    yield 0.5
    shop.finalize(invoice)
    yield 3
    shop.pay(invoice)
    yield 20
    shop.write_off(invoice)


def voided(shop: Shop) -> Story:
    """An invoice was wrong."""
    invoice = shop.draft(shop.buyer())
    yield 0.5
    shop.finalize(invoice)
    yield 1
    shop.void(invoice)


def discarded(shop: Shop) -> Story:
    """A draft is thrown away."""
    invoice = shop.draft(shop.buyer())
    yield 2
    shop.discard(invoice)


def one_off(shop: Shop) -> Story:
    """A payment without an invoice."""
    shop.charge(shop.buyer())
    yield 1


def slow_refund(shop: Shop) -> Story:
    """A payment whose refund the bank settles later."""
    payment = shop.charge(shop.buyer(), SLOW_REFUND_CARD)
    yield 2
    shop.refund(payment)


def careful(shop: Shop) -> Story:
    """A payment that the customer must confirm with the bank."""
    payment = shop.charge(shop.buyer(), CAREFUL_CARD)
    yield 0.1
    shop.authenticate(payment)


def called_off(shop: Shop) -> Story:
    """A payment that is canceled before it is made."""
    payment = shop.charge(shop.buyer(), confirm=False)
    yield 0.5
    shop.cancel(payment)


def moved(shop: Shop) -> Story:
    """A customer's address for invoices changes."""
    shop.move(shop.buyer())
    yield 1


def gone(shop: Shop) -> Story:
    """Somebody signs up, and leaves."""
    buyer = shop.sign_up()
    yield 3
    shop.leave(buyer)


SHARES: dict[Callable[[Shop], Story], int] = {
    regular: 9,
    newcomer: 3,
    refunded: 2,
    partly_refunded: 2,
    declined: 2,
    unpaid: 1,
    voided: 1,
    discarded: 1,
    one_off: 2,
    slow_refund: 1,
    careful: 1,
    called_off: 1,
    moved: 3,
    gone: 1,
}
#: when the shop is full: nothing new, only changes
QUIET: tuple[Callable[[Shop], Story], ...] = (moved,)
#: the order that the demo's weather (`weather.toml`) counts on
OPENING: tuple[Callable[[Shop], Story], ...] = (
    newcomer,
    regular,
    refunded,
    newcomer,
    one_off,
    regular,
    moved,
    regular,
    moved,
    partly_refunded,
)


class Driver:
    """Drives one account in a thread of its own until it is stopped."""

    def __init__(self, account: Account, courier: Courier, url: str, seed: int) -> None:
        self._plan = account.settings.drive or Drive()
        self._account = account
        self._courier = courier
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self.shop = Shop(account.keys[0], url, f"{seed}/{account.name}")
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the action under way."""
        self._stop.set()

    def _run(self) -> None:
        try:
            known = self._account.book.ids
            self.shop.customers = len(known.get("customer", ()))
            self.shop.invoices = len(known.get("invoice", ()))
            fresh = not known
            if fresh:
                self._backfill()
            self._loop.call_soon_threadsafe(self._account.ready.set)
            if not fresh:
                self.shop.random.seed(f"{self._account.name}/{self.shop.customers}")
                self.shop.remember()
            self._wait_for_target()
            self._courier.live = True
            self._play(self._opening() if self._plan.opening else iter(()), at_once=1)
            self._play(self._endless(), AT_ONCE)
        except Exception:
            if not self._stop.is_set():
                log.exception("the driver of %s stopped", self._account.name)

    # -- history

    def _backfill(self) -> None:
        """The last 90 days in a few seconds, in the order of the business clock."""
        end = time.time()
        begin = end - HISTORY * DAY
        number = itertools.count()
        agenda: list[tuple[float, int, Story]] = []

        def note(at: float, story: Story) -> None:
            heapq.heappush(agenda, (at, next(number), story))

        for place in range(self._plan.customers):
            note(begin + place * HISTORY * DAY * 0.8 / self._plan.customers, self._sign_up())
        for place in range(self._plan.invoices):
            share = 0.05 + 0.94 * place / self._plan.invoices
            note(begin + share * HISTORY * DAY, self._sale())
        while agenda and not self._stop.is_set():
            at, _, story = heapq.heappop(agenda)
            if at >= end:
                break
            self._account.clock = int(at)
            days = self._step(story)
            if days is not None:
                note(at + days * DAY, story)
        self._account.clock = None

    def _sign_up(self) -> Story:
        self.shop.sign_up()
        yield 1

    def _sale(self) -> Story:
        sales = {story: share for story, share in SHARES.items() if story not in (moved, gone)}
        yield from self._any(sales)(self.shop)

    def _any(self, shares: dict[Callable[[Shop], Story], int]) -> Callable[[Shop], Story]:
        return self.shop.random.choices(list(shares), list(shares.values()))[0]

    # -- present

    def _wait_for_target(self) -> None:
        """Events of the first minute are wasted while nobody listens."""
        until = time.monotonic() + self._plan.wait_for_target
        while time.monotonic() < until and not self._stop.is_set():
            if any(listens(target.url) for target in self._account.targets):
                return
            self._stop.wait(0.5)

    def _opening(self) -> Iterator[Story]:
        return (story(self.shop) for story in OPENING)

    def _endless(self) -> Iterator[Story]:
        while True:
            full = self.shop.customers >= self._plan.most_customers or self.shop.invoices >= self._plan.most_invoices
            story = self.shop.random.choice(QUIET) if full else self._any(SHARES)
            yield story(self.shop)

    def _play(self, stories: Iterator[Story], at_once: int) -> None:
        """One step every `pace` seconds, of `at_once` stories in turn."""
        running: list[Story] = list(itertools.islice(stories, at_once))
        while running and not self._stop.is_set():
            story = running.pop(self.shop.random.randrange(len(running)))
            if self._step(story) is not None:
                running.append(story)
            elif (fresh := next(stories, None)) is not None:
                running.append(fresh)
            self._stop.wait(self._plan.pace)

    def _step(self, story: Story) -> float | None:
        """Take the next step; returns the days until the one after, None at the end."""
        try:
            return next(story, None)
        except stripe.StripeError as error:
            if not self._stop.is_set():
                log.warning("%s: %s", self._account.name, error)
            return None


def listens(url: str) -> bool:
    """Whether somebody accepts connections there."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((cast(str, parts.hostname), port), timeout=1):
            return True
    except OSError:
        return False
