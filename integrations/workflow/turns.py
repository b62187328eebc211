"""Whose turn it is: commands of tenants and connections in turn, each held back by its breaker and its limits."""

import threading
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from django.db import connection as database
from django.utils import timezone

from integrations.boundary import limits
from integrations.boundary.limits import Leave, Wait
from integrations.failures.categories import Fault
from integrations.health import breaker
from integrations.models import Connection, Pace


@dataclass
class Pass:
    """One request with commands may go to a connection. Say what became of it: the first word counts.

    `leave` belongs to the request (`client.exchange`, or `Exchanges(leave=…)`), which frees it. Call `unused` at the
    end in any case: it gives back what was not used, and does nothing else.
    """

    connection: Connection
    leave: Leave
    #: Names the probe that this request is while the breaker is half open.
    probe: uuid.UUID | None = None
    _over: bool = field(default=False, repr=False)

    @property
    def probing(self) -> bool:
        """Whether only one command may go: nobody knows whether the provider works."""
        return self.probe is not None

    def succeeded(self) -> None:
        """The provider answered well."""
        if self._said():
            return
        breaker.note_success(self.connection, probe=self.probe)

    def failed(self, fault: Fault) -> None:
        """The provider did not answer, or refused."""
        if self._said():
            return
        breaker.note_fault(self.connection, fault, probe=self.probe)

    def answered(self, wrong: Fault | None) -> None:
        """The provider answered, well or by what is wrong."""
        if wrong:
            self.failed(wrong)
        else:
            self.succeeded()

    def unused(self) -> None:
        """No request left after all: the leave and the probe are free for others."""
        self.leave.give_back()
        if not self._said() and self.probe:
            breaker.unused(self.connection, self.probe)

    def _said(self) -> bool:
        said, self._over = self._over, True
        return said


@dataclass(frozen=True)
class Held:
    """No command may go to a connection now. `until` is when to look again, None: when somebody acts."""

    until: datetime | None
    why: str


def gate(connection: Connection) -> Pass | Held:
    """Ask for a pass before commands are claimed. What is held waits as it is: it did not fail and was not tried."""
    allowed = breaker.allows(connection)
    if isinstance(allowed, breaker.Waits):
        return Held(allowed.until, allowed.why)
    answer = limits.ask(connection)
    if isinstance(answer, Wait):
        if allowed.probe:
            breaker.unused(connection, allowed.probe)
        return Held(timezone.now() + timedelta(seconds=answer.seconds), answer.why)
    return Pass(connection, answer, allowed.probe)


# Connections with due commands; first of the tenant, then the one, that had its turn longest ago.
IN_TURN = """
SELECT c.id FROM (
    SELECT c.*, p.sent_at, max(p.sent_at) OVER (PARTITION BY c.tenant_id) AS tenant_sent_at
    FROM integrations_connection c LEFT JOIN integrations_pace p ON p.connection_id = c.id
) c CROSS JOIN LATERAL (
    SELECT 1 FROM integrations_command m
    WHERE m.connection_id = c.id AND m.state IN ('ready', 'waiting') AND m.due_at <= now()
      AND m.outcome IN ('submitted', 'sent', 'unknown') LIMIT 1) due
WHERE c.paused_at IS NULL AND c.disabled_at IS NULL AND (c.wait_until IS NULL OR c.wait_until <= now())
  AND NOT EXISTS (SELECT 1 FROM integrations_breaker b
                  WHERE b.connection_id = c.id AND NOT (b.state = 'closed'
                     OR b.state = 'open' AND b.probe_at <= now() OR b.state = 'half open' AND b.probe_until <= now()))
ORDER BY c.tenant_sent_at NULLS FIRST, c.sent_at NULLS FIRST, c.id
"""


def in_turn() -> list[Connection]:
    """Return the connections with due commands that nothing holds but their limits, the one to be served next first."""
    with database.cursor() as cursor:
        cursor.execute(IN_TURN)
        ids = [row[0] for row in cursor.fetchall()]
    found = Connection.objects.select_related("tenant").in_bulk(ids)
    return [found[pk] for pk in ids if pk in found]


def next_pass(*, without: Collection[int] = (), patience: float = limits.PATIENCE) -> Pass | None:
    """Return a pass for the connection whose turn it is; None where no due command may go within `patience` seconds.

    `without` are connections of which nothing can be claimed, by id.

    A connection that has to wait holds up nobody: the next one is asked first, and only then is waited for the soonest.
    """
    left = patience
    while True:
        waits: list[float] = []
        waiting = [connection for connection in in_turn() if connection.pk not in without]
        for connection in waiting:
            answer = gate(connection)
            if isinstance(answer, Pass):
                if len(waiting) > 1:
                    had_its_turn(connection, "sent_at", timezone.now())
                return answer
            if answer.until:
                waits.append((answer.until - timezone.now()).total_seconds())
        soonest = max(0.001, min(waits, default=left + 1))
        if soonest > left:
            return None
        threading.Event().wait(soonest)
        left -= soonest


def had_its_turn(connection: Connection, what: Literal["ran_at", "sent_at"], at: datetime) -> None:
    """Note that a connection's runs or commands had their turn."""
    mine = Pace.objects.filter(pk=connection.pk)
    if not mine.update(**{what: at}):
        limits.begin(connection)
        mine.update(**{what: at})
