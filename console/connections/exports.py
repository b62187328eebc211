"""Routes in words: what goes from one connection to another, with how many records stand how."""

from dataclasses import dataclass
from typing import Any

from integrations.canonical import KINDS
from integrations.models import Connection, CopyState, Route, Run
from integrations.workflow import routes

#: States that are counted as one: nothing has arrived there yet.
_AHEAD = (CopyState.DUE, CopyState.WAITING)


@dataclass(frozen=True)
class RouteRow:
    """One route in words, as the page of one of its ends shows it."""

    route: Route
    counts: dict[str, int]
    run: Run | None
    may_edit: bool
    may_pause: bool
    may_run: bool

    @property
    def kinds(self) -> str:
        return ", ".join(KINDS[kind].plural.lower() for kind in self.route.kinds)

    @property
    def exported(self) -> int:
        return self.counts.get(CopyState.EXPORTED, 0)

    @property
    def ahead(self) -> int:
        """How many wait or are to be exported."""
        return sum(self.counts.get(state, 0) for state in _AHEAD)

    @property
    def stopped(self) -> int:
        return self.counts.get(CopyState.STOPPED, 0)

    @property
    def left_out(self) -> int:
        return self.counts.get(CopyState.NOT_NEEDED, 0)

    @property
    def word(self) -> str:
        if self.route.ended_at:
            return "ended"
        return "paused" if self.route.paused_at else "on"


def rows_of(request: Any, connection: Connection) -> list[RouteRow]:
    """Return the routes from and to a connection of which the person may see both ends; three queries at most."""
    ids = [each.pk for each in request.space.connections]
    found = Route.objects.filter(source_id__in=ids, target_id__in=ids).select_related("source", "target").order_by("pk")
    mine = [route for route in found if connection.pk in (route.source_id, route.target_id)]
    if not mine:
        return []
    counts, runs = routes.counts_of(mine), routes.open_runs(mine)
    return [row_of(request, route, counts[route.pk], runs.get(route.pk)) for route in mine]


def row_of(request: Any, route: Route, counts: dict[str, int], run: Run | None) -> RouteRow:
    return RouteRow(
        route,
        counts,
        run,
        may_edit=_may(request, route, "edit_settings"),
        may_pause=_may(request, route, "pause") and not route.ended_at,
        may_run=_may(request, route, "command")
        and not (run or route.paused_at or route.ended_at or route.target.disabled_at),
    )


def _may(request: Any, route: Route, action: str) -> bool:
    """Say whether somebody may do `action` at both ends."""
    return all(
        request.user.powers.may(action, tenant_id=route.tenant_id, connection_id=pk)
        for pk in (route.source_id, route.target_id)
    )


def targets_for(request: Any, source: Connection) -> list[Connection]:
    """Return the connections to which a route may be made from `source` by this person."""
    there = set(Route.objects.filter(source=source, ended_at=None).values_list("target_id", flat=True))
    return [
        each
        for each in request.space.connections
        if each.pk != source.pk
        and each.pk not in there
        and routes.kinds_for(each)
        and request.user.powers.may("edit_settings", tenant_id=each.tenant_id, connection_id=each.pk)
    ]
