"""Differences of records that were exported: which choices there are, and sending ours over theirs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import Command, Copy, CopyState, Drift, Outcome, Record, WorkState
from integrations.models.drift import EXISTENCE
from integrations.providers import get_adapter
from integrations.reconciliation.copied import expected_of
from integrations.workflow import commands
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
        expected = expected_of(get_adapter(copy.connection.provider), copy, record)
        for name in expected.fields if expected else ():
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
            f"{drift.connection.name} holds a copy of {record.label}: belief follows its own provider. "
            "Send ours there, or ignore the difference."
        )
    lock = locks_of(copies, record).get(drift.field)
    if lock:
        name = drift.field.replace("_", " ").capitalize()
        raise Refusal(
            f"{name} of {record.label} is locked: {lock.reason}. An edit here would not be an edit there. "
            "Evidence of its own provider still changes it: replay its event, or have it sent again."
        )


def send_ours(drifts: Sequence[Drift], *, actor: Actor, reason: str) -> None:
    """Let the exports of records be planned anew so that ours is written over theirs. Raises `Refusal`."""
    by_record: dict[tuple[int, int], list[Drift]] = {}
    for drift in drifts:
        by_record.setdefault((drift.record_id or 0, drift.connection_id), []).append(drift)
    rows = Copy.objects.filter(record_id__in={pk for pk, _ in by_record}).select_for_update(of=("self",), no_key=True)
    copies = {(copy.record_id, copy.connection_id): copy for copy in rows.order_by("pk")}
    for key, group in by_record.items():
        copy = copies.get(key)
        if copy is None:
            raise Refusal(f"{group[0].connection.name} is where {group[0].record or 'it'} comes from, and leads.")
        _refuse_ended(copy)
        _refuse_flying(copy)
        anew = any(drift.field in (EXISTENCE, "state") for drift in group)
        copy.made = {} if anew else _forgotten(copy.made)
        copy.resource, copy.external_id = ("", "") if anew else (copy.resource, copy.external_id)
        # A person has seen how it stands there.
        copy.compared_at = timezone.now()
        _again(copy)
    after_commit(EXPORTS)


def _forgotten(made: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was made without what was said in it: whatever we hold now counts as changed."""
    return {action: {**told, "content": {}} for action, told in made.items()}


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
