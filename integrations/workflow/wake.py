"""Waking workers. The work is in the database: a lost message costs time, never work."""

import logging
import threading
from collections.abc import Callable
from functools import partial

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


def after_commit(name: str) -> None:
    """Wake workers once the running transaction has committed."""
    transaction.on_commit(partial(send, name))


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
