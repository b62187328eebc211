"""Waking workers. The work is in the database: a lost message costs time, never work."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)

EVENTS = "integrations.process_events"
RUNS = "integrations.perform_runs"
COMMANDS = "integrations.send_commands"
DELIVERIES = "integrations.send_deliveries"
EXPORTS = "integrations.plan_exports"
#: Seconds after which a wake-up is thrown away: while no worker ran, thousands would pile up before what is new.
STALE = 60


def send(name: str, *args: int) -> None:
    """Send one message; a broker that is away is logged, the sweeper makes up for it.

    One without arguments is a mere wake-up, and grows stale: the sweeper sends another every few seconds.
    """
    try:
        current_app.send_task(name, args=args, retry=False, expires=None if args else STALE)
    except (OperationalError, OSError) as error:
        log.warning("No worker could be woken: %s", error)


@dataclass(frozen=True)
class Wish:
    """To wake workers after a commit. All wishes of one transaction share `sent`: one message of a name is enough."""

    name: str
    sent: set[str]

    def __call__(self) -> None:
        """Send the message, unless another wish of the same transaction has."""
        if self.name not in self.sent:
            self.sent.add(self.name)
            send(self.name)


def after_commit(name: str) -> None:
    """Wake workers once the running transaction has committed, once however often it is asked for."""
    hooks = (hook for _, hook, *_ in reversed(transaction.get_connection().run_on_commit))
    before = next((hook for hook in hooks if isinstance(hook, Wish)), None)
    transaction.on_commit(Wish(name, before.sent if before else set()))


class Waker:
    """Wakes workers for events at most every `pause` seconds, from a thread of its own.

    A signal that comes during the pause is not lost: it is sent at its end.
    """

    def __init__(self, pause: float = 0.2, send: Callable[[str], None] = send) -> None:
        self.pause = pause
        self.send = send
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def events(self) -> None:
        """Ask for workers to look at events; returns at once."""
        self._wanted.set()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        gap = threading.Event()
        while True:
            self._wanted.wait()
            self._wanted.clear()
            self.send(EVENTS)
            gap.wait(self.pause)
