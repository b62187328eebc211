"""What waits at each connection: how much of it, since when, and for what."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import connection as database

from integrations.models import WorkState

#: States in the order in which they ask for somebody.
STATES: Final = (WorkState.PARKED, WorkState.HELD, WorkState.WAITING, WorkState.READY, WorkState.LEASED)
#: Nobody needs more exact numbers than "10,000 or more", and counting on would cost time.
MOST: Final = 10_000


@dataclass
class Backlog:
    """Events that are not done, by state; `capped` says that there are more than were counted."""

    states: dict[str, int] = field(default_factory=dict)
    oldest_at: datetime | None = None
    capped: bool = False

    @property
    def total(self) -> int:
        return sum(self.states.values())

    def of(self, state: str) -> int:
        """Return how many are in a state."""
        return self.states.get(state, 0)

    @property
    def parts(self) -> list[tuple[str, int]]:
        """(state, number) of what there is, the most pressing first."""
        return [(state.value, self.of(state)) for state in STATES if self.of(state)]


def backlogs_of(connection_ids: Collection[int]) -> dict[int, Backlog]:
    """Return the backlogs of some connections, each with a place, in one query over the index `event_backlog`."""
    found = {pk: Backlog() for pk in connection_ids}
    with database.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.id, s.state, n.count, o.received_at
            FROM unnest(%(connections)s::bigint[]) AS c(id) CROSS JOIN unnest(%(states)s::text[]) AS s(state)
            CROSS JOIN LATERAL (
                SELECT count(*) AS count FROM (
                    SELECT 1 FROM integrations_event e
                    WHERE e.connection_id = c.id AND e.state = s.state
                      AND e.state IN ('ready', 'leased', 'waiting', 'parked', 'held') LIMIT %(most)s + 1) counted) n
            CROSS JOIN LATERAL (
                SELECT received_at FROM integrations_event e
                WHERE e.connection_id = c.id AND e.state = s.state
                  AND e.state IN ('ready', 'leased', 'waiting', 'parked', 'held') ORDER BY e.id LIMIT 1) o
            """,
            {"connections": list(connection_ids), "states": [state.value for state in STATES], "most": MOST},
        )
        for pk, state, number, received_at in cursor.fetchall():
            _add(found[pk], state, number, received_at)
    return found


def _add(backlog: Backlog, state: str, number: int, received_at: datetime) -> None:
    backlog.states[state] = min(number, MOST)
    backlog.capped = backlog.capped or number > MOST
    backlog.oldest_at = min(filter(None, (backlog.oldest_at, received_at)))


@dataclass(frozen=True)
class Unsent:
    """Commands of a connection that wait to be sent; `capped` says that there are more than were counted."""

    number: int = 0
    oldest_at: datetime | None = None
    capped: bool = False


def unsent_of(connection_ids: Collection[int]) -> dict[int, Unsent]:
    """Return the commands that wait at some connections, where there are any, in one query over `command_due`."""
    with database.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.id, n.number, n.oldest FROM unnest(%(connections)s::bigint[]) AS c(id) CROSS JOIN LATERAL (
                SELECT count(*) AS number, min(submitted_at) AS oldest FROM (
                    SELECT submitted_at FROM integrations_command m
                    WHERE m.connection_id = c.id AND m.state IN ('ready', 'waiting')
                      AND m.outcome IN ('submitted', 'sent', 'unknown')
                    ORDER BY m.due_at, m.id LIMIT %(most)s + 1) counted) n
            WHERE n.number > 0
            """,
            {"connections": list(connection_ids), "most": MOST},
        )
        return {pk: Unsent(min(number, MOST), oldest, number > MOST) for pk, number, oldest in cursor.fetchall()}
