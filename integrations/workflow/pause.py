"""Pause holds: webhooks are still kept, runs do not start; resume lets go oldest first, at the allowed rate."""

from datetime import datetime
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from integrations.journal import history
from integrations.journal.actor import ENGINE, Actor
from integrations.journal.write import write_act
from integrations.models import Command, Connection, Event, Run, Stream, WorkState
from integrations.workflow.errors import Refusal, require_reason
from integrations.workflow.wake import COMMANDS, EVENTS, RUNS, after_commit

Target = Connection | Stream


@transaction.atomic
def pause(target: Target, *, actor: Actor, reason: str, until: datetime | None = None) -> int:
    """Hold a connection or a stream, until a time or until somebody resumes it; return how many events wait.

    Raises `Refusal` when it is paused already, without a reason, or with an end that lies in the past.
    """
    held = _locked(target)
    if held.paused_at:
        raise Refusal(f"{held} is paused already, by {held.paused_by}.")
    require_reason(reason, "everybody who looks here will ask.")
    if until and until <= timezone.now():
        raise Refusal("The end lies in the past.")
    held.paused_at, held.paused_until = timezone.now(), until
    held.paused_by, held.pause_reason = actor.name, reason
    history.save(held, actor=actor, reason=reason)
    count: int = _events(held).filter(state__in=[WorkState.READY, WorkState.WAITING]).update(state=WorkState.HELD)
    _commands(held).filter(state__in=[WorkState.READY, WorkState.WAITING]).update(state=WorkState.HELD)
    ends = f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""
    _write(held, actor, "paused", f"{held} paused{ends}; {count:,} events wait", reason)
    return count


@transaction.atomic
def resume(target: Target, *, actor: Actor, reason: str = "") -> int:
    """Let go what was held, oldest first, at the connection's allowed rate; return how many events.

    What is held by a pause of the other level stays held. Raises `Refusal` when it is not paused.
    """
    held = _locked(target)
    if not held.paused_at:
        raise Refusal(f"{held} is not paused.")
    held.paused_at = held.paused_until = None
    held.paused_by = held.pause_reason = ""
    history.save(held, actor=actor, reason=reason or "Resumed")
    count = _let_go(held)
    _commands(held).filter(state=WorkState.HELD).update(state=WorkState.READY)
    _write(held, actor, "resumed", f"{held} resumed; {count:,} events go on, oldest first", reason)
    after_commit(EVENTS)
    after_commit(RUNS)
    after_commit(COMMANDS)
    return count


def _let_go(held: Any) -> int:
    """Make held events ready, each a little later than the one before it."""
    connection = _connection(held)
    if isinstance(held, Stream) and connection.paused_at:
        return 0
    paused = list(
        Stream.objects.filter(connection=connection, paused_at__isnull=False).values_list("resource", flat=True)
    )
    only = held.resource if isinstance(held, Stream) else None
    with database.cursor() as cursor:
        cursor.execute(
            """
            UPDATE integrations_event e SET state = 'ready', due_at = now() + o.place * interval '1 second' / %s
            FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM integrations_event
                  WHERE connection_id = %s AND state = 'held' AND NOT resource = ANY(%s)
                    AND (%s::text IS NULL OR resource = %s::text)) o
            WHERE e.id = o.id
            """,
            [max(1, connection.drain_per_second), connection.pk, paused, only, only],
        )
        return int(cursor.rowcount)


@transaction.atomic
def disable(connection: Connection, *, actor: Actor, reason: str) -> None:
    """Refuse the connection's webhooks with 410 and start no run; what is kept stays. Raises `Refusal`."""
    held = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
    if held.disabled_at:
        raise Refusal(f"{held} is disabled already.")
    require_reason(reason, "webhooks that come from now on are refused.")
    held.disabled_at, held.disable_reason = timezone.now(), reason
    history.save(held, actor=actor, reason=reason)
    _write(held, actor, "disabled", f"{held} disabled; its webhooks are refused with 410", reason)


@transaction.atomic
def enable(connection: Connection, *, actor: Actor, reason: str) -> None:
    """Accept webhooks and start runs again. Raises `Refusal` when it is not disabled."""
    held = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
    if not held.disabled_at:
        raise Refusal(f"{held} is not disabled.")
    held.disabled_at, held.disable_reason = None, ""
    history.save(held, actor=actor, reason=reason or "Enabled")
    _write(held, actor, "enabled", f"{held} enabled; its event log is read for what was refused meanwhile", reason)
    Stream.objects.filter(connection=held, change_log=True).update(next_run_at=timezone.now())


def end_due() -> int:
    """Resume what was paused until now; return how many. Beat calls it every few seconds."""
    now = timezone.now()
    due = Q(paused_at__isnull=False, paused_until__lte=now)
    targets: list[Target] = [*Connection.objects.filter(due), *Stream.objects.filter(due)]
    for target in targets:
        try:
            resume(target, actor=ENGINE, reason="The pause reached its end")
        except Refusal:
            continue  # Somebody resumed it meanwhile.
    settle_strays()
    return len(targets)


def settle_strays() -> int:
    """Hold what arrived in the very moment of a pause, and let go what did in that of its end; return how many.

    Whoever wrote it had read before that moment how its connection stood, and wrote it after.
    """
    moved = 0
    loose = [WorkState.READY, WorkState.WAITING]
    for connection in Connection.objects.filter(paused_at__isnull=False):
        moved += _events(connection).filter(state__in=loose).update(state=WorkState.HELD)
        moved += _commands(connection).filter(state__in=loose).update(state=WorkState.HELD)
    for stream in Stream.objects.filter(paused_at__isnull=False).select_related("connection"):
        moved += _events(stream).filter(state__in=loose).update(state=WorkState.HELD)
    paused = Stream.objects.filter(
        connection=OuterRef("connection"), resource=OuterRef("resource"), paused_at__isnull=False
    )
    for held in (Event.objects.exclude(Exists(paused)), Command.objects.all()):
        moved += held.filter(state=WorkState.HELD, connection__paused_at=None).update(state=WorkState.READY)
    return moved


def held_count(target: Target) -> int:
    """Return how many events a pause holds."""
    return int(_events(target).filter(state=WorkState.HELD).count())


def waiting_count(target: Target) -> int:
    """Return how many events a pause would hold."""
    return int(_events(target).filter(state__in=[WorkState.READY, WorkState.WAITING]).count())


def open_runs_count(target: Target) -> int:
    """Return how many runs wait or are under way."""
    runs = Run.objects.filter(state__in=[WorkState.READY, WorkState.LEASED, WorkState.WAITING])
    return runs.filter(**({"stream": target} if isinstance(target, Stream) else {"connection": target})).count()


def _events(target: Target) -> Any:
    if isinstance(target, Stream):
        return Event.objects.filter(connection=target.connection, resource=target.resource)
    return Event.objects.filter(connection=target)


def _commands(target: Target) -> Any:
    """Return the commands that a pause concerns: a stream is only read."""
    return Command.objects.filter(connection=target) if isinstance(target, Connection) else Command.objects.none()


def _locked(target: Target) -> Any:
    return type(target).objects.select_for_update(no_key=True).get(pk=target.pk)


def _connection(held: Any) -> Connection:
    found: Connection = held.connection if isinstance(held, Stream) else held
    return found


def _write(held: Any, actor: Actor, act: str, summary: str, reason: str) -> None:
    noun = "stream" if isinstance(held, Stream) else "connection"
    write_act(held, f"{noun}.{act}", summary, at=_connection(held), outcome=act, actor=actor, reason=reason)
