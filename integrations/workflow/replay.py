"""Replay of one event: planned with the same pure functions that decide, then executed by a worker."""

from dataclasses import dataclass
from hashlib import sha256
from json import dumps

from django.db import transaction
from django.utils import timezone

from integrations.boundary.mapping import Traced
from integrations.failures.categories import Fault
from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import DecisionWord, Event, Mapping, RunKind, WorkState
from integrations.workflow.belief import Board
from integrations.workflow.decide import Change, Decision
from integrations.workflow.errors import Refusal, require_reason
from integrations.workflow.evidence import Read, read_events
from integrations.workflow.wake import EVENTS, after_commit

WOULD_CHANGE = "would change"
NO_CHANGE = "no change"
WOULD_FAIL = "would fail again"
STALE = "stale"
WOULD_WAIT = "waiting for another record"
ORDER_UNKNOWN = "order unknown"

#: What may be replayed: what is open for a person, and what was decided before.
REPLAYABLE = (WorkState.PARKED, WorkState.WAITING, WorkState.DONE, WorkState.DISMISSED)


@dataclass(frozen=True)
class Plan:
    """What a replay would do, frozen. `token` changes whenever reality or the mapping does."""

    event: Event
    mapping: Mapping | None
    verdict: str
    reason: str
    changes: tuple[Change, ...]
    fault: Fault | None
    trace: tuple[Traced, ...]
    token: str


class PlanChanged(Exception):
    """Reality moved since the plan was shown; `plan` is the new one."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        super().__init__("The plan changed")


@transaction.atomic
def plan(event: Event, *, mapping: Mapping | None = None) -> Plan:
    """Say what replaying `event` would do, by `mapping` or by the version in force; changes nothing."""
    fresh = Event.objects.select_related("run", "connection").get(pk=event.pk)
    (read,) = read_events([fresh], {fresh.connection_id: fresh.connection}, instead=mapping)
    board = Board.load([read], timezone.now())
    verdict, reason, decision = _verdict(read, board)
    known = board.known.get(read.key)
    parts = [
        fresh.pk,
        fresh.state,
        fresh.replays,
        known.record.version if known else 0,
        known.reference.seen_at.isoformat() if known else "",
        read.mapping_id,
        verdict,
        reason,
        decision.changes if decision else (),
    ]
    return Plan(
        event=fresh,
        mapping=mapping,
        verdict=verdict,
        reason=reason,
        changes=decision.changes if decision else (),
        fault=read.fault or (decision.fault if decision else None),
        trace=read.trace,
        token=sha256(dumps(parts, default=str).encode()).hexdigest()[:24],
    )


def _verdict(read: Read, board: Board) -> tuple[str, str, Decision | None]:
    if read.ignored:
        return NO_CHANGE, read.ignored, None
    if read.fault:
        return WOULD_FAIL, read.fault.message, None
    if read.pointer:
        return ORDER_UNKNOWN, "It only says that something changed: the provider is asked how it stands", None
    decision = board.decide(read)
    if decision.fault:
        return WOULD_FAIL, decision.reason, decision
    if decision.ask_provider:
        return ORDER_UNKNOWN, decision.reason, decision
    missing = board.missing_links(read) if decision.applies else []
    if missing:
        return WOULD_WAIT, f"Its {missing[0][0].replace('_', ' ')} ({missing[0][2]}) has not arrived", decision
    if decision.applies:
        return WOULD_CHANGE, decision.reason, decision
    return (STALE if decision.word == DecisionWord.STALE else NO_CHANGE), decision.reason, decision


def execute(event: Event, *, token: str, mapping: Mapping | None = None, actor: Actor, reason: str) -> Event:
    """Give an event back to the workers, as planned under `token`; returns it.

    Raises `PlanChanged` when the plan would say otherwise by now, `Refusal` without a reason or when the
    event is being worked on, and for a check, which is asked again instead of replayed.
    """
    require_reason(reason)
    if event.run and event.run.kind == RunKind.RECONCILE:
        raise Refusal("This was read for a comparison. Ask for a new check instead.")
    with transaction.atomic():
        held = Event.objects.select_for_update(no_key=True).get(pk=event.pk)
        if held.state not in REPLAYABLE:
            raise Refusal(f"The event is {held.state}: let it finish first.")
        now_planned = plan(held, mapping=mapping)
        if now_planned.token != token:
            raise PlanChanged(now_planned)
        _give_back(held, mapping)
        _note(held, now_planned, actor, reason)
        after_commit(EVENTS)
    return held


def _give_back(event: Event, mapping: Mapping | None) -> None:
    event.state, event.due_at = WorkState.READY, timezone.now()
    event.tries, event.waits_for, event.finished_at = 0, "", None
    event.replays += 1
    event.replay_mapping = mapping
    event.save(update_fields=["state", "due_at", "tries", "waits_for", "finished_at", "replays", "replay_mapping"])


def _note(event: Event, planned: Plan, actor: Actor, reason: str) -> None:
    version = f", by {planned.mapping}" if planned.mapping else ""
    write_act(
        event,
        "event.replayed",
        f"{actor.name} replayed {event.event_type}{version}; planned: {planned.verdict}",
        outcome="replayed",
        data={"verdict": planned.verdict, "plan": planned.token, "occurred_at": event.occurred_at.isoformat()},
        actor=actor,
        reason=reason,
    )
