"""Checks: comparisons of what we hold with what a provider shows, asked for by people."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Max, QuerySet
from django.http import QueryDict

from console import newest
from integrations.models import Run, RunKind, WorkState

SIZE: Final = 25
#: How long after its end a check is followed until its last objects are compared.
SETTLES: Final = timedelta(minutes=2)
WORDS: Final[dict[str, str]] = {
    WorkState.READY: "ready",
    WorkState.LEASED: "running",
    WorkState.WAITING: "waiting",
    WorkState.HELD: "paused",
    WorkState.PARKED: "failed",
    WorkState.DISMISSED: "cancelled",
    WorkState.DONE: "done",
}


@dataclass(frozen=True)
class Check:
    """One check as the page shows it; `expected` is how many objects the last one of its stream compared."""

    run: Run
    expected: int
    now: datetime

    @property
    def word(self) -> str:
        return "running" if self.comparing else WORDS[self.run.state]

    @property
    def what(self) -> str:
        """What it compares: a stream, or single objects."""
        if self.run.stream:
            return str(self.run.stream.title)
        return "single records"

    @property
    def open(self) -> bool:
        return self.run.state in (WorkState.READY, WorkState.LEASED, WorkState.WAITING, WorkState.HELD)

    @property
    def comparing(self) -> bool:
        """Whether everything is read and some of it waits to be compared."""
        run = self.run
        late = run.finished_at is None or self.now - run.finished_at > SETTLES
        return run.state == WorkState.DONE and run.compared < run.items and not late

    @property
    def moving(self) -> bool:
        """Whether the page has reason to ask again."""
        return self.comparing or self.run.state in (WorkState.READY, WorkState.LEASED, WorkState.WAITING)

    @property
    def total(self) -> int:
        """How many objects it is about; 0 where nobody can say yet."""
        if self.run.stream is None:
            return int(self.run.items + len(self.run.targets))
        return int(self.run.items) if not self.open else max(self.expected, self.run.items)

    @property
    def seconds(self) -> float | None:
        """How long it took, or takes so far."""
        if self.run.started_at is None:
            return None
        return ((self.run.finished_at or self.now) - self.run.started_at).total_seconds()


def visible(request: Any, connection_ids: Collection[int]) -> "QuerySet[Run]":
    """Return the checks of the space at some connections."""
    space = request.space
    return Run.objects.visible_to(request.user).filter(
        tenant=space.tenant,
        environment=space.environment,
        kind=RunKind.RECONCILE,
        connection_id__in=connection_ids,
    )


@dataclass(frozen=True)
class Page:
    """Checks, the newest first; the ids at which its neighbours begin, 0 where there is none."""

    checks: list[Check]
    newer: int
    older: int

    @property
    def moving(self) -> bool:
        return any(check.moving for check in self.checks)


def page(rows: "QuerySet[Run]", query: QueryDict, now: datetime, size: int = SIZE) -> Page:
    """Return one page of checks."""
    found = newest.page(rows.select_related("stream", "connection"), query, size)
    return Page(seen(found.rows, now), found.newer, found.older)


def seen(runs: Collection[Run], now: datetime) -> list[Check]:
    """Return runs as checks; asks for the size of the last one only of those that are under way."""
    awaited = {run.stream_id for run in runs if run.stream_id and run.state != WorkState.DONE}
    expected: dict[int | None, int] = {}
    if awaited:
        done = Run.objects.filter(stream_id__in=awaited, kind=RunKind.RECONCILE, state=WorkState.DONE)
        expected = dict(done.order_by().values_list("stream_id").annotate(most=Max("items")))
    return [Check(run, expected.get(run.stream_id, 0), now) for run in runs]


def last_compared(rows: "QuerySet[Run]") -> dict[int, datetime]:
    """Return when the newest finished check of a whole stream ended, by connection."""
    done = rows.filter(state=WorkState.DONE, stream__isnull=False)
    return dict(done.order_by().values_list("connection_id").annotate(at=Max("finished_at")))
