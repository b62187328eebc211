"""How the failures of a problem are spread over the last day, and what they touch."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import connection as database

HOURS: Final = 24
#: Failures of each problem looked at, the newest: a problem may have millions, a page has no time for them.
NEWEST: Final = 500


@dataclass
class Trend:
    """The newest failures of a problem. `capped` says that there are more than were looked at."""

    hours: list[int] = field(default_factory=lambda: [0] * HOURS)
    events: int = 0
    runs: int = 0
    commands: int = 0
    deliveries: int = 0
    exports: int = 0
    records: int = 0
    capped: bool = False

    @property
    def series(self) -> list[tuple[int, int]]:
        """So many failures in each hour, oldest first, as bars of one colour."""
        return [(number, 0) for number in self.hours]

    @property
    def finding(self) -> str:
        """Say what the bars show."""
        number = sum(self.hours)
        most = "at least " if self.capped else ""
        return f"{most}{number:,} failures in the last {HOURS} hours{f', {self.word}' if self.word else ''}"

    @property
    def noun(self) -> str:
        """What failed: "event", "run", "command", "delivery" or "export"; "item" where it is several of them."""
        kinds = {
            "event": self.events, "run": self.runs, "command": self.commands, "delivery": self.deliveries,
            "export": self.exports,
        }  # fmt: skip
        found = [noun for noun, number in kinds.items() if number]
        return "item" if len(found) > 1 else found[0] if found else "event"

    @property
    def word(self) -> str:
        """Say where it goes: "rising" or "falling"; "" where it is steady or quiet."""
        recent, before = sum(self.hours[-3:]), sum(self.hours[-6:-3])
        if recent >= 3 and recent > 2 * before:
            return "rising"
        return "falling" if before >= 3 and before > 2 * recent else ""


def trends_of(problem_ids: Collection[int], now: datetime) -> dict[int, Trend]:
    """Return the trend of some problems, each with a place; one query over at most 500 failures each."""
    found = {pk: Trend() for pk in problem_ids}
    with database.cursor() as cursor:
        cursor.execute(
            """
            SELECT p.id, floor(extract(epoch FROM %s - f.at) / 3600)::int AS back, count(*),
                   count(*) FILTER (WHERE f.resolved_at IS NULL AND f.event_id IS NOT NULL),
                   count(*) FILTER (WHERE f.resolved_at IS NULL AND f.run_id IS NOT NULL),
                   count(*) FILTER (WHERE f.resolved_at IS NULL AND f.command_id IS NOT NULL),
                   count(*) FILTER (WHERE f.resolved_at IS NULL AND f.delivery_id IS NOT NULL),
                   count(*) FILTER (WHERE f.resolved_at IS NULL AND f.copy_id IS NOT NULL),
                   count(DISTINCT f.record_id) FILTER (WHERE f.resolved_at IS NULL)
            FROM unnest(%s::bigint[]) AS p(id) CROSS JOIN LATERAL (
                SELECT at, resolved_at, event_id, run_id, command_id, delivery_id, copy_id, record_id
                FROM integrations_failure WHERE problem_id = p.id ORDER BY id DESC LIMIT %s) f
            GROUP BY GROUPING SETS ((1, 2), (1))
            """,
            [now, list(problem_ids), NEWEST],
        )
        for pk, back, number, events, runs, commands, deliveries, exports, records in cursor.fetchall():
            trend = found[pk]
            if back is None:
                trend.events, trend.runs, trend.records = events, runs, records
                trend.commands, trend.deliveries, trend.exports = commands, deliveries, exports
                trend.capped = number >= NEWEST
            elif 0 <= back < HOURS:
                trend.hours[HOURS - 1 - back] = number
            elif back < 0:
                trend.hours[-1] += number
    return found
