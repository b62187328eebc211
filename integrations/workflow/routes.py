"""Routes between connections, as people make, change, pause and end them, and the first export over one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from integrations.canonical import KINDS
from integrations.journal import history
from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import Connection, Copy, CopyState, Record, Route, Run, RunKind, WorkState
from integrations.providers import get_adapter
from integrations.workflow import copies, runs
from integrations.workflow.errors import Refusal, require_reason
from integrations.workflow.wake import EXPORTS, RUNS, after_commit

#: Records of a first export that become due together.
PAGE = 1000
#: Noted, and not at the target.
_AHEAD = (CopyState.DUE, CopyState.WAITING)
_OVER = (WorkState.DONE, WorkState.DISMISSED, WorkState.PARKED)


def kinds_for(target: Connection) -> tuple[str, ...]:
    """Return the canonical kinds that a connection takes; none where nothing can be exported to it."""
    exporter = get_adapter(target.provider).exporter
    return exporter.kinds if exporter else ()


def closed(kinds: Iterable[str], takes: Iterable[str]) -> list[str]:
    """Return kinds with those that they refer to, of what the target takes: an invoice needs its customer there."""
    order, found = list(takes), set(kinds)
    while more := {k for kind in found for k in KINDS[kind].links.values() if k in order} - found:
        found |= more
    return [kind for kind in order if kind in found]


@transaction.atomic
def make(
    source: Connection, target: Connection, *, kinds: Iterable[str], since: datetime | None, actor: Actor, reason: str
) -> Route:
    """Export what changes at one connection to another from now on. Raises `Refusal`."""
    takes = kinds_for(target)
    if not takes:
        raise Refusal(f"Nothing can be exported to {get_adapter(target.provider).title}.")
    if source.pk == target.pk or (source.tenant_id, source.environment) != (target.tenant_id, target.environment):
        raise Refusal("A route leads from one connection to another one of the same environment.")
    if Route.objects.filter(source=target, target=source, ended_at=None).exists():
        raise Refusal("There is a route in the other direction: what goes in circles has no leading side.")
    route = Route(
        tenant_id=source.tenant_id, environment=source.environment, source=source, target=target,
        kinds=_chosen(kinds, takes), since=since, made_by=actor.name,
    )  # fmt: skip
    try:
        with transaction.atomic():
            history.save(route, actor=actor, reason=reason)
    except IntegrityError as error:
        ended = Route.objects.filter(source=source, target=target, ended_at__isnull=False).first()
        if ended is None:
            raise Refusal(f"There is a route from {source.name} to {target.name} already.") from error
        return start_again(ended, kinds=kinds, since=since, actor=actor, reason=reason)
    said = ", ".join(KINDS[kind].plural.lower() for kind in route.kinds)
    _note(route, "route.made", f"{actor.name} made a route: {said} of {source.name} go to {target.name}", actor, reason)
    return route


@transaction.atomic
def change(route: Route, *, kinds: Iterable[str], since: datetime | None, actor: Actor, reason: str) -> Route:
    """Export other kinds, or from another time on; what is there stays there. Raises `Refusal`."""
    held = _locked(route)
    held.kinds, held.since = _chosen(kinds, kinds_for(held.target)), since
    history.save(held, actor=actor, reason=reason)
    _note(held, "route.changed", f"{actor.name} changed what of {held.source.name} goes to {held.target.name}",
          actor, reason)  # fmt: skip
    return held


def _chosen(kinds: Iterable[str], takes: Iterable[str]) -> list[str]:
    chosen = closed([kind for kind in kinds if kind in takes], takes)
    if not chosen:
        raise Refusal("Choose at least one kind.")
    return chosen


@transaction.atomic
def pause(route: Route, *, actor: Actor, reason: str) -> Route:
    """Let exports over a route wait; what was submitted goes on. Raises `Refusal`."""
    held = _locked(route)
    if held.paused_at:
        raise Refusal(f"{held} is paused already, by {held.paused_by}.")
    require_reason(reason, "everybody who looks here will ask.")
    held.paused_at, held.paused_by, held.pause_reason = timezone.now(), actor.name, reason
    history.save(held, actor=actor, reason=reason)
    _note(held, "route.paused", f"{actor.name} paused the route {held}", actor, reason)
    return held


@transaction.atomic
def resume(route: Route, *, actor: Actor, reason: str = "") -> Route:
    """Let exports over a route go on. Raises `Refusal`."""
    held = _locked(route)
    if not held.paused_at:
        raise Refusal(f"{held} is not paused.")
    held.paused_at, held.paused_by, held.pause_reason = None, "", ""
    history.save(held, actor=actor, reason=reason or "Resumed")
    _note(held, "route.resumed", f"{actor.name} let the route {held} go on", actor, reason)
    after_commit(EXPORTS)
    return held


@dataclass(frozen=True)
class Ending:
    """What ending a route comes to, in counts: what is at the target stays, the rest is not exported."""

    there: int
    ahead: int
    #: Commands that were submitted and that nobody has accepted yet: they go on by themselves.
    under_way: int
    run: Run | None


def ending_of(route: Route) -> Ending:
    """Return what ending a route would come to now."""
    rows = Copy.objects.filter(route=route).aggregate(
        there=Count("pk", filter=~Q(external_id="")),
        ahead=Count("pk", filter=Q(state__in=_AHEAD, flying=False)),
        under_way=Count("pk", filter=Q(flying=True)),
    )
    return Ending(run=open_runs([route]).get(route.pk), **rows)


@transaction.atomic
def end(route: Route, *, actor: Actor, reason: str) -> Ending:
    """Export nothing more over a route; nothing is deleted at the target. Raises `Refusal`.

    What was submitted goes on and may be cancelled command by command. A first export under way is cancelled. The
    planner then says of each record that waited that it is not exported, and why; so nothing is dropped unseen.
    """
    require_reason(reason, "everybody who looks here will ask.")
    held = _locked(route)
    found = ending_of(held)
    if found.run is not None:
        runs.cancel(found.run, actor=actor, reason=reason)
    held.ended_at, held.ended_by, held.end_reason = timezone.now(), actor.name, reason
    # A pause would keep the planner from it.
    held.paused_at, held.paused_by, held.pause_reason = None, "", ""
    history.save(held, actor=actor, reason=reason)
    open_ones = Copy.objects.filter(route=held, state__in=(*_AHEAD, CopyState.STOPPED))
    open_ones.update(state=CopyState.DUE, due_at=timezone.now())
    _note(held, "route.ended", f"{actor.name} ended the route {held}; {found.there:,} records stay there, "
          f"{found.ahead:,} are not exported", actor, reason)  # fmt: skip
    after_commit(EXPORTS)
    return found


@transaction.atomic
def start_again(route: Route, *, kinds: Iterable[str], since: datetime | None, actor: Actor, reason: str) -> Route:
    """Export over a route that was ended; what changed meanwhile of what is there follows. Raises `Refusal`.

    What never was there, and was not changed since, goes once somebody asks for everything.
    """
    rows = Route.objects.select_for_update(of=("self",), no_key=True).select_related("source", "target")
    held = rows.get(pk=route.pk)
    if not held.ended_at:
        raise Refusal(f"{held} was not ended.")
    if Route.objects.filter(source=held.target, target=held.source, ended_at=None).exists():
        raise Refusal("There is a route in the other direction: what goes in circles has no leading side.")
    held.ended_at, held.ended_by, held.end_reason = None, "", ""
    held.kinds, held.since = _chosen(kinds, kinds_for(held.target)), since
    history.save(held, actor=actor, reason=reason or "Started again")
    # All of them: what stood half done when the route ended is of the newest version, too.
    many = Copy.objects.filter(route=held, record__kind__in=held.kinds).update(
        state=CopyState.DUE, due_at=timezone.now()
    )
    _note(held, "route.started_again", f"{actor.name} started the route {held} again; {many:,} records are due",
          actor, reason)  # fmt: skip
    after_commit(EXPORTS)
    return held


def counts_of(routes: Iterable[Route]) -> dict[int, dict[str, int]]:
    """Return how many copies of each route are in which state, by route id."""
    found: dict[int, dict[str, int]] = {route.pk: {} for route in routes}
    rows = Copy.objects.filter(route_id__in=found).order_by().values("route_id", "state").annotate(n=Count("pk"))
    for row in rows:
        found[row["route_id"]][row["state"]] = row["n"]
    return found


# -- the first export


def not_exported(route: Route) -> QuerySet[Record]:
    """Return the records that a route would export and never has."""
    there = Copy.objects.filter(record=OuterRef("pk"), connection=route.target_id)
    rows = Record.objects.filter(connection=route.source_id, kind__in=route.kinds).exclude(Exists(there))
    return rows.filter(occurred_at__gte=route.since) if route.since else rows


@transaction.atomic
def export_all(route: Route, *, actor: Actor, reason: str) -> Run:
    """Plan a run that has everything exported that is already there. Raises `Refusal`."""
    held = _locked(route)
    if held.paused_at:
        raise Refusal(f"The route {held} is paused. Let it go on first.")
    if held.target.disabled_at:
        raise Refusal(f"{held.target.name} is disabled. Enable it first.")
    if held.pk in open_runs([held]):
        raise Refusal(f"An export over {held} is under way already.")
    many = not_exported(held).count()
    if not many:
        raise Refusal(f"Everything of {held.source.name} is at {held.target.name} or on its way there.")
    run = Run.objects.create(
        tenant_id=held.tenant_id,
        environment=held.environment,
        connection=held.target,
        kind=RunKind.EXPORT,
        cursor={"route": held.pk, "after": 0},
        held=many,
        due_at=timezone.now(),
        asked_by=actor.name,
        reason=reason,
    )
    _note(held, "route.export_asked", f"{actor.name} had {run.held:,} records of {held.source.name} exported to "
          f"{held.target.name}", actor, reason)  # fmt: skip
    after_commit(RUNS)
    return run


def open_runs(of: Iterable[Route]) -> dict[int, Run]:
    """Return the first exports that are not over, by route id."""
    targets = {route.target_id for route in of}
    rows = Run.objects.filter(connection_id__in=targets, kind=RunKind.EXPORT).exclude(state__in=_OVER)
    return {run.cursor["route"]: run for run in rows if run.cursor}


@transaction.atomic
def take_page(run: Run) -> tuple[int, dict[str, Any] | None]:
    """Let the next records of a first export become due; return how many, and where it goes on.

    Older records come first, as the others refer to them.
    """
    route = Route.objects.get(pk=run.cursor["route"])
    rows = not_exported(route).filter(pk__gt=run.cursor["after"]).order_by("pk")[:PAGE]
    ids = list(
        Record.objects.filter(pk__in=rows.values("pk"))
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk", flat=True)
    )
    copies.make_due(ids, [route.source_id])
    return len(ids), {**run.cursor, "after": ids[-1]} if ids else None


def _locked(route: Route) -> Route:
    """Return a route with its row locked; raises `Refusal` for one that was ended."""
    rows = Route.objects.select_for_update(of=("self",), no_key=True).select_related("source", "target")
    held = rows.get(pk=route.pk)
    if held.ended_at:
        raise Refusal(f"{held} was ended by {held.ended_by}. Start it again first.")
    return held


def _note(route: Route, action: str, summary: str, actor: Actor, reason: str) -> None:
    write_act(route, action, summary, at=route.target, actor=actor, reason=reason)
