"""Differences of records that were exported: which choices there are, and sending ours over theirs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import Command, Copy, CopyState, Drift, Outcome, Record, WorkState
from integrations.providers.exporting import Ask, Await, Impossible, Nothing, Plan
from integrations.reconciliation.copied import exported_fields
from integrations.workflow import commands, export, export_batch, ours
from integrations.workflow.errors import Refusal, require_reason
from integrations.workflow.wake import EXPORTS, after_commit


@dataclass(frozen=True)
class Lock:
    """Why a field may not be edited here: it stands at another connection already."""

    connection: str
    version: int | None
    exported_at: datetime | None

    @property
    def reason(self) -> str:
        """Say it in words."""
        when = f" on {self.exported_at:%Y-%m-%d %H:%M} UTC" if self.exported_at else ""
        return f"exported to {self.connection}{when}, from version {self.version}"


def locks_of(copies: Iterable[Copy], record: Record) -> dict[str, Lock]:
    """Return the fields of a record that are locked, each with why; `copies` come with their connection."""
    found: dict[str, Lock] = {}
    for copy in copies:
        for name in exported_fields(copy, record):
            found.setdefault(name, Lock(copy.connection.name, copy.version, copy.exported_at))
    return found


def refuse_locked(drifts: Sequence[Drift]) -> None:
    """Raise `Refusal` where belief would be changed by hand in what was exported, or would follow a copy."""
    copies: dict[int, list[Copy]] = {}
    ids = {drift.record_id for drift in drifts if drift.record_id}
    for copy in Copy.objects.filter(record_id__in=ids).select_related("connection"):
        copies.setdefault(copy.record_id, []).append(copy)
    records = Record.objects.in_bulk(ids) if ids else {}
    for drift in drifts:
        record = records.get(drift.record_id or 0)
        if record is not None:
            _refuse(drift, record, copies.get(record.pk, []))


def _refuse(drift: Drift, record: Record, copies: Sequence[Copy]) -> None:
    if drift.connection_id != record.connection_id:
        raise Refusal(
            f"{drift.connection.name} holds {drift.resource} {drift.external_id} as a copy: belief follows its own "
            "provider. Send ours there, or ignore the difference."
        )
    lock = locks_of(copies, record).get(drift.field)
    if lock:
        name = drift.field.replace("_", " ").capitalize()
        raise Refusal(
            f"{name} of {record.label} is locked: {lock.reason}. An edit here would not be an edit there. "
            "Evidence of its own provider still changes it: replay its event, or have it sent again."
        )


@transaction.atomic
def keep(drifts: Sequence[Drift]) -> None:
    """Let what was ignored stand at a target as it is, and exports go on that stopped for it."""
    by_copy: dict[tuple[int | None, int, str], list[Drift]] = {}
    for drift in drifts:
        by_copy.setdefault((drift.record_id, drift.connection_id, drift.external_id), []).append(drift)
    rows = Copy.objects.filter(record_id__in={pk for pk, _, _ in by_copy if pk}).order_by("pk")
    for copy in rows.select_for_update(no_key=True):
        ignored = by_copy.get((copy.record_id, copy.connection_id, copy.external_id), [])
        if not ignored:
            continue
        left = {drift.field: {"ours": drift.ours, "theirs": drift.theirs} for drift in ignored}
        copy.kept = {**copy.kept, **left}
        if copy.state == CopyState.STOPPED and not copy.flying:
            copy.state, copy.due_at = CopyState.DUE, timezone.now()
        copy.save(update_fields=["kept", "state", "due_at"])
    after_commit(EXPORTS)


# -- sending ours


@dataclass(frozen=True)
class Outgoing:
    """What would go out for ours to stand at a target again, over some differences of one record.

    `said` says it ("Update contact Halvorsen in Books"), `content` is what is sent, canonical. `digest` tells it from
    any other plan. Where nothing can be sent, `refused` says why, and the rest is empty.
    """

    copy: Copy
    drifts: Sequence[Drift]
    plan: Plan
    said: str = ""
    content: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    refused: str = ""


def outgoing(drifts: Sequence[Drift], *, lock: bool = False) -> list[Outgoing]:
    """Return what sending ours for some open differences would ask for, by record; nothing is written.

    Raises `Refusal` where a record comes from the very connection at which it differs.
    """
    by_record: dict[tuple[int, int], list[Drift]] = {}
    for drift in drifts:
        by_record.setdefault((drift.record_id or 0, drift.connection_id), []).append(drift)
    rows = Copy.objects.filter(record_id__in={pk for pk, _ in by_record}).select_related("record", "route", "command")
    locked = rows.select_for_update(of=("self",), no_key=True) if lock else rows
    copies = {(copy.record_id, copy.connection_id): copy for copy in locked.order_by("pk")}
    for key, group in by_record.items():
        if key not in copies:
            raise Refusal(f"{group[0].connection.name} is where {group[0].record or 'it'} comes from, and leads.")
    batches = _batches([copies[key] for key in by_record], drifts)
    return [_outgoing(batches.get(key[1]), copies[key], group) for key, group in by_record.items()]


def _batches(copies: Sequence[Copy], drifts: Sequence[Drift]) -> dict[int, export_batch.Batch]:
    """Return what planning needs to know, by connection."""
    found = {}
    for connection in {drift.connection_id: drift.connection for drift in drifts}.values():
        here = [copy for copy in copies if copy.connection_id == connection.pk]
        for copy in here:
            copy.connection = connection
        batch = export_batch.load(connection, here, timezone.now())
        if batch is not None:
            found[connection.pk] = batch
    return found


def _outgoing(batch: export_batch.Batch | None, copy: Copy, drifts: Sequence[Drift]) -> Outgoing:
    if batch is None:
        return Outgoing(copy, drifts, Nothing(), refused="Nothing is exported there any more.")
    seen = ours.view(copy, [(drift.field, drift.theirs) for drift in drifts])
    plan = export.plan_of(batch, export_batch.part_of(batch, copy.record, seen_as=seen))
    refused = _why_not(batch, copy, drifts, plan)
    if refused or not isinstance(plan, Ask):
        return Outgoing(copy, drifts, plan, refused=refused)
    return Outgoing(copy, drifts, plan, export.said_of(batch, copy.record, plan), plan.written, ours.digest(plan))


def _why_not(batch: export_batch.Batch, copy: Copy, drifts: Sequence[Drift], plan: Plan) -> str:
    """Return why ours cannot be sent, "" where it can."""
    name, there = copy.record.label, copy.connection.name
    command = copy.command
    if copy.flying and command:
        return f"“{command.summary}” is {command.get_outcome_display()}: let it come to its end first."
    if copy.route.ended_at:
        return f"The route to {there} was ended: nothing more of {name} is exported."
    if any(drift.external_id != copy.external_id for drift in drifts):
        return f"{name} stands at {there} as another object by now. Ignore this difference, or check {name} again."
    left = batch.differs.get(copy.external_id, 0) - len(drifts)
    if left > 0:
        fields = "1 more field" if left == 1 else f"{left} more fields"
        return f"{name} differs in {fields} at {there}, and ours is sent whole. Tick those too, or settle them first."
    if isinstance(plan, Await):
        return f"{name} waits for {plan.part.kind} {plan.part.label} to be at {there}. Settle that first."
    if isinstance(plan, Impossible):
        return plan.reason
    if isinstance(plan, Nothing):
        paid = "What is paid on it follows from its payments." if "amount_due" in {d.field for d in drifts} else ""
        return " ".join(filter(None, (f"There is nothing of {name} itself to send to {there}.", paid, plan.reason)))
    return ""


def send_ours(drifts: Sequence[Drift], shown: Mapping[int, str] | None = None) -> list[Outgoing]:
    """Let ours be written over theirs once a look finds just these differences; return what goes out then.

    `shown` holds the digests of what a person was shown, by copy. Raises `Refusal` where something else would go out
    by now, or nothing.
    """
    found = outgoing(drifts, lock=True)
    for each in found:
        if shown is not None and shown.get(each.copy.pk) != each.digest:
            raise Refusal(ours.now_it_would(each.plan, each.said, each.refused))
        if each.refused:
            raise Refusal(each.refused)
    now = timezone.now()
    for each in found:
        # How it stands there is looked at once more before anything is written.
        each.copy.compared_at = None
        ours.decide(each.copy, each.plan, each.drifts, now)
        _again(each.copy)
    after_commit(EXPORTS)
    return found


@transaction.atomic
def export_again(copy: Copy, *, actor: Actor, reason: str) -> Copy:
    """Have a record's export planned once more, under a new operation id where one was used up. Raises `Refusal`.

    A command that was refused is cancelled: what is sent now takes its place.
    """
    require_reason(reason)
    Record.objects.select_for_update(no_key=True).get(pk=copy.record_id)
    held = (
        Copy.objects.select_for_update(of=("self",), no_key=True)
        .select_related("command", "connection", "record", "route__source", "route__target")
        .get(pk=copy.pk)
    )
    _refuse_ended(held)
    command = held.command
    if command and held.flying and command.outcome == Outcome.FAILED and command.state == WorkState.PARKED:
        commands.cancel(command, actor=actor, reason=reason)
    else:
        _refuse_flying(held)
    _again(held)
    words = f"{actor.name} had it exported to {held.connection.name} again"
    write_act(held.record, "export.asked_again", words, at=held, actor=actor, reason=reason)
    after_commit(EXPORTS)
    return held


def _refuse_ended(copy: Copy) -> None:
    if copy.route.ended_at:
        raise Refusal(f"The route {copy.route} was ended by {copy.route.ended_by}: nothing goes there any more.")


def _refuse_flying(copy: Copy) -> None:
    command: Command | None = copy.command
    if copy.flying and command:
        raise Refusal(f"“{command.summary}” is {command.get_outcome_display()}: let it come to its end first.")


def _again(copy: Copy) -> None:
    copy.round, copy.command, copy.flying = copy.round + 1, None, False
    copy.state, copy.due_at, copy.reason, copy.asked_at = CopyState.DUE, timezone.now(), "", None
    copy.left_out_at, copy.left_out_by, copy.left_out_reason = None, "", ""
    copy.save()
