"""Commands: submitted in the caller's own transaction, and what people do with them afterwards."""

import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from integrations.canonical.asking import is_step
from integrations.failures import grouping
from integrations.journal.actor import Actor
from integrations.journal.write import Entry, about, append, write
from integrations.models import Command, Connection, Lane, Outcome, Record, Transition, WorkState
from integrations.providers import get_adapter
from integrations.providers.base import ActionSpec
from integrations.workflow import copies, known_there, stuck
from integrations.workflow.errors import Refusal, require_reason
from integrations.workflow.outcomes import follows, move
from integrations.workflow.parcels import hold_key, retire_key
from integrations.workflow.rows import insert_rows
from integrations.workflow.saying import asks
from integrations.workflow.wake import COMMANDS, after_commit

#: Characters; as many as the shortest field holds in which a provider keeps it for us.
LONGEST_ID = 50
#: It travels in headers and in searches; `~` is ours, for the key after a refusal.
OPERATION_ID = re.compile(rf"(?! )[ !#-[\]-}}]{{1,{LONGEST_ID}}}(?<! )")
#: How exports call their commands (`exporting.operation_id`). Under such an id another's would take their place.
RESERVED = re.compile(r"x\d+-\d+-v", re.ASCII)


class DifferentContent(Refusal):
    """The operation id is known, and stands for something else."""

    def __init__(self, command: Command) -> None:
        self.command = command
        super().__init__(
            f"The operation id {command.operation_id} is that of another command: {command.summary}. "
            "Use a new id for what is new."
        )


@transaction.atomic
def submit(
    connection: Connection,
    *,
    action: str,
    content: dict[str, Any],
    operation_id: str = "",
    external_id: str = "",
    record: Record | None = None,
    transition: Transition | None = None,
    summary: str = "",
    actor: Actor,
    reason: str = "",
) -> Command:
    """Remember what a provider is to be asked to do; call inside the transaction that wants it.

    `content` is canonical, as the adapter's action asks for it. `operation_id` (at most 50 characters, unique in
    the tenant) names the intent: submitted again with the same content, the first command is returned, whatever has
    become of the connection. Without one it gets one, and without a summary it says what it asks for. Raises
    `DifferentContent`, and `Refusal` for an action that the provider does not have, for an id that does not fit and
    for a disabled connection.
    """
    spec = spec_of(connection, action)
    chosen = operation_id or f"op_{uuid.uuid4().hex[:20]}"
    if not OPERATION_ID.fullmatch(chosen):
        raise Refusal(
            f"An operation id has at most {LONGEST_ID} letters, digits and signs of ASCII, none of them "
            '~ " or \\, and no space at its ends.'
        )
    if RESERVED.match(chosen):
        raise Refusal("Operation ids that begin like x1-23-v are those of exports. Use another one.")
    command = Command(
        tenant_id=connection.tenant_id,
        environment=connection.environment,
        connection=connection,
        operation_id=chosen,
        content_hash=content_hash(connection, action, external_id, content),
        action=action,
        resource=spec.resource,
        external_id=external_id,
        content=content,
        summary=summary[:200] or asks(spec, connection.name, content=content, external_id=external_id, record=record),
        record=record,
        record_version=record.version if record else None,
        transition=transition,
        state=WorkState.HELD if connection.paused_at else WorkState.READY,
        due_at=timezone.now(),
        submitted_at=timezone.now(),
        asked_by=actor.name,
        reason=reason,
    )
    first = _first(command, disabled=connection.disabled_at is not None)
    if first is not command:
        if bytes(first.content_hash) != command.content_hash:
            raise DifferentContent(first)
        first.repeated = True
        return first
    _note(command, Lane.COMMANDS, "command.submitted", f"Command: {command.summary}", actor, reason)
    after_commit(COMMANDS)
    return command


def _first(command: Command, *, disabled: bool) -> Command:
    """Insert a command, or return the one that has its operation id. Raises `Refusal` for a new one if `disabled`."""
    same = Command.objects.filter(tenant_id=command.tenant_id, operation_id=command.operation_id)
    found = same.first()
    if found is not None:
        return found
    if disabled:
        raise Refusal(f"{command.connection.name} is disabled. Enable it first.")
    try:
        with transaction.atomic():
            command.save(force_insert=True)
    except IntegrityError:
        return same.get()
    return command


@dataclass(frozen=True)
class Wanted:
    """One of many commands that are submitted together; see `submit`."""

    record: Record
    action: str
    content: dict[str, Any]
    operation_id: str
    external_id: str = ""
    reason: str = ""


def submit_all(connection: Connection, wanted: Sequence[Wanted], *, actor: Actor) -> dict[int, Command | None]:
    """Submit commands about one record each, by a few statements; return them by record id.

    Call inside the transaction that wants them. None stands for one whose operation id has other content. Raises
    `Refusal` for an action that the provider does not have.
    """
    if not wanted:
        return {}
    now, state = timezone.now(), WorkState.HELD if connection.paused_at else WorkState.READY
    rows = [_of_many(connection, each, state, now, actor) for each in wanted]
    ids = [row.operation_id for row in rows]
    same = Command.objects.filter(tenant_id=connection.tenant_id, operation_id__in=ids)
    known = set(same.values_list("operation_id", flat=True))
    insert_rows(rows, conflict="ON CONFLICT (tenant_id, operation_id) DO NOTHING")
    first = {command.operation_id: command for command in same}
    append(
        entry_of(
            command,
            Lane.COMMANDS,
            "command.submitted",
            f"Command: {command.summary}",
            actor=actor,
            reason=command.reason,
        )
        for operation_id, command in first.items()
        if operation_id not in known
    )
    after_commit(COMMANDS)
    return {
        each.record.pk: first[row.operation_id]
        if bytes(first[row.operation_id].content_hash) == row.content_hash
        else None
        for each, row in zip(wanted, rows, strict=True)
    }


def _of_many(connection: Connection, wanted: Wanted, state: str, now: datetime, actor: Actor) -> Command:
    spec = spec_of(connection, wanted.action)
    return Command(
        tenant_id=connection.tenant_id,
        environment=connection.environment,
        connection=connection,
        operation_id=wanted.operation_id,
        content_hash=content_hash(connection, wanted.action, wanted.external_id, wanted.content),
        action=wanted.action,
        resource=spec.resource,
        external_id=wanted.external_id,
        content=wanted.content,
        summary=asks(
            spec, connection.name, content=wanted.content, external_id=wanted.external_id, record=wanted.record
        ),
        record=wanted.record,
        record_version=wanted.record.version,
        state=state,
        due_at=now,
        asked_by=actor.name,
        reason=wanted.reason,
    )


def content_hash(connection: Connection, action: str, external_id: str, content: dict[str, Any]) -> bytes:
    """Return what tells whether two commands ask for the same: SHA-256 over their sorted JSON."""
    asked = [connection.pk, action, external_id, content]
    return sha256(json.dumps(asked, sort_keys=True, separators=(",", ":"), default=str).encode()).digest()


def spec_of(connection: Connection, action: str) -> ActionSpec:
    """Return what the adapter says of an action; raises `Refusal` for one that it does not have."""
    adapter = get_adapter(connection.provider)
    try:
        return adapter.actions[action]
    except KeyError as error:
        known = ", ".join(adapter.actions) or "nothing"
        raise Refusal(f"{adapter.title} cannot be asked for “{action}”. It can be asked for: {known}.") from error


@transaction.atomic
def cancel(command: Command, *, actor: Actor, reason: str) -> Command:
    """Let a command go that had no effect: one that was not sent yet, or was refused. Raises `Refusal`."""
    held = _locked(command, reason)
    if held.state == WorkState.LEASED or not follows(held.outcome, Outcome.CANCELLED):
        raise Refusal(f"It is {held.get_outcome_display().lower()}: only what surely had no effect can be cancelled.")
    move(held, Outcome.CANCELLED, f"Cancelled by {actor.name}: {reason}")
    _finish(held, WorkState.DISMISSED, f"Cancelled by {actor.name}")
    _note(held, Lane.PEOPLE, "command.cancelled", f"{actor.name} cancelled: {held.summary}", actor, reason)
    return held


@transaction.atomic
def send_again(command: Command, *, actor: Actor, reason: str) -> Command:
    """Send a command once more under its operation id: one that failed, or whose outcome is unknown.

    Where its effect may be there, the engine repeats the very request under the same key while the provider
    remembers it, and looks for the effect before it sends anything otherwise. Raises `Refusal`.
    """
    held = _locked(command, reason)
    if held.outcome not in (Outcome.FAILED, Outcome.UNKNOWN, Outcome.SUBMITTED):
        raise Refusal(f"It is {held.get_outcome_display().lower()}: there is nothing to send again.")
    if held.outcome == Outcome.FAILED and held.accepted_at:
        raise Refusal("It was done, and came to nothing. Ask for it anew, under a new operation id.")
    if held.outcome == Outcome.FAILED:
        move(held, Outcome.SUBMITTED, "It was refused, and goes out once more")
    _due(held)
    _note(held, Lane.PEOPLE, "command.sent_again", f"{actor.name} had it sent again: {held.summary}", actor, reason)
    return held


@transaction.atomic
def retry_now(command: Command, *, actor: Actor, reason: str) -> Command:
    """Let a waiting command take its next step now: be sent, or be looked for. Raises `Refusal`."""
    held = _locked(command, reason)
    if held.state not in (WorkState.WAITING, WorkState.READY):
        raise Refusal(f"It is {held.state}: only what waits can be hurried.")
    held.due_at = timezone.now()
    held.save(update_fields=["due_at"])
    _note(held, Lane.PEOPLE, "command.hurried", f"{actor.name} had it tried now: {held.summary}", actor, reason)
    after_commit(COMMANDS)
    return held


@transaction.atomic
def look_for_effect(command: Command, *, actor: Actor, reason: str) -> Command:
    """Have the provider searched for what a command did; what is found decides its outcome. Raises `Refusal`."""
    held = _let_go(command, reason)
    if held.outcome not in (Outcome.UNKNOWN, Outcome.SENT, Outcome.ACCEPTED, Outcome.FAILED):
        raise Refusal(f"It is {held.get_outcome_display().lower()}: there is nothing to look for.")
    if held.outcome == Outcome.FAILED:
        move(held, Outcome.UNKNOWN, f"{actor.name} doubts that it had no effect")
    _due(held)
    _note(held, Lane.PEOPLE, "command.looked_for", f"{actor.name} had it looked for: {held.summary}", actor, reason)
    return held


@transaction.atomic
def resolve(command: Command, *, outcome: str, external_id: str = "", actor: Actor, reason: str) -> Command:
    """Close a command by a person's knowledge: its effect is there (with its id), or there is none.

    Raises `Refusal` for one that is being sent, that is over, or that nobody has to decide on, and `OfAnother`.
    """
    held = _let_go(command, reason)
    if outcome not in (Outcome.CONFIRMED, Outcome.FAILED):
        raise Refusal("Say whether the effect is there or not.")
    if held.outcome not in (Outcome.UNKNOWN, Outcome.ACCEPTED, Outcome.FAILED):
        raise Refusal(f"It is {held.get_outcome_display().lower()}: there is nothing to decide.")
    if outcome == Outcome.CONFIRMED and not (external_id or held.external_id):
        raise Refusal("Give the id that the provider knows it by.")
    if is_step(external_id):
        raise Refusal(f"{external_id} is no id: in an address it leads to another place.")
    known = "it is at the provider" if outcome == Outcome.CONFIRMED else "it is not at the provider"
    move(held, outcome, f"{actor.name} found out: {known}. {reason}")
    if outcome == Outcome.CONFIRMED:
        held.external_id, held.confirmed_at = external_id.strip() or held.external_id, timezone.now()
        known_there.refuse_another(held)
        known_there.note([held], timezone.now())
    _finish(held, WorkState.DONE, f"Resolved by {actor.name}")
    _note(held, Lane.PEOPLE, "command.resolved", f"{actor.name}: {known}: {held.summary}", actor, reason)
    return held


def _locked(command: Command, reason: str) -> Command:
    require_reason(reason)
    stuck.lock([command.record_id])
    held = Command.objects.select_for_update(of=("self",), no_key=True).select_related("connection").get(pk=command.pk)
    if held.state == WorkState.LEASED:
        raise Refusal("It is on its way right now. Look again in a minute.")
    if held.state in (WorkState.DONE, WorkState.DISMISSED):
        raise Refusal(f"It is over: {held.get_outcome_display().lower()}.")
    return held


def _let_go(command: Command, reason: str) -> Command:
    """Lock a command that goes its own way from now on: what it travelled with is only looked for, never repeated."""
    key = Command.objects.values_list("key", flat=True).get(pk=command.pk)
    if key:
        hold_key(command.connection_id, key)
    held = _locked(command, reason)
    fellows = Command.objects.filter(connection_id=command.connection_id, key=key).exclude(key="")
    if held.key != key or fellows.filter(state=WorkState.LEASED).exists():
        raise Refusal("What it travelled with is on its way right now. Look again in a minute.")
    retire_key(command.connection_id, key)
    held.key_since = None
    return held


def _due(held: Command) -> None:
    held.state = WorkState.HELD if held.connection.paused_at else WorkState.READY
    held.due_at, held.tries, held.finished_at, held.category = timezone.now(), 0, None, ""
    held.save(update_fields=["state", "due_at", "tries", "finished_at", "category", "outcome", "outcome_reason",
                             "key_since"])  # fmt: skip
    copies.note([held], timezone.now())
    _refresh(held)
    after_commit(COMMANDS)


def _finish(held: Command, state: str, how: str) -> None:
    held.state, held.finished_at, held.waits_for = state, timezone.now(), ""
    held.save()
    copies.note([held], timezone.now())
    grouping.resolve(grouping.open_failures_of(commands=[held.pk]), how)
    _refresh(held)
    # Whoever waited behind it goes on.
    after_commit(COMMANDS)


def _refresh(held: Command) -> None:
    if held.record_id:
        stuck.recompute([held.record_id])


def _note(command: Command, lane: str, action: str, summary: str, actor: Actor, reason: str) -> None:
    write([entry_of(command, lane, action, summary, actor=actor, reason=reason)])


def entry_of(
    command: Command,
    lane: str,
    action: str,
    summary: str,
    *,
    outcome: str = "",
    data: dict[str, Any] | None = None,
    actor: Actor | None = None,
    reason: str = "",
) -> Entry:
    """Return the journal's line of something that happened to a command."""
    outcome = outcome or command.outcome
    data = {"command": command.pk, "operation_id": command.operation_id, **(data or {})}
    return about(command, lane, action, summary, outcome=outcome, data=data, actor=actor, reason=reason)
