"""One transaction that turns a batch of read events into belief, journal and failures."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.canonical import KINDS
from integrations.failures import grouping
from integrations.failures.categories import Category, Fault
from integrations.health import rates
from integrations.journal.write import Entry, append
from integrations.models import Cause, Connection, DecisionWord, Lane, Record, RunKind, WorkState
from integrations.reconciliation.compare import Comparison, compare
from integrations.reconciliation.copied import Copies
from integrations.reconciliation.resolve import close_created, close_equal
from integrations.workflow import refetch, stuck, waits
from integrations.workflow.belief import Board, Key
from integrations.workflow.decide import Decision
from integrations.workflow.echoes import Echoes
from integrations.workflow.evidence import Read
from integrations.workflow.rows import update_rows
from integrations.workflow.saying import came
from integrations.workflow.work import LostLease, after_failure

#: How often the provider is asked for an order that its times do not tell.
MOST_CHECKS = 8

EVENT_FIELDS = (
    "state", "due_at", "leased_by", "leased_until", "tries", "category", "finished_at", "event_type", "resource",
    "external_id", "occurred_at", "deleted", "path", "decision", "decision_reason", "decided_at", "waits_for",
    "record", "mapping",
)  # fmt: skip


@dataclass
class Settlement:
    """What a batch comes to, gathered in memory and written at the end."""

    board: Board
    connections: dict[int, Connection]
    now: datetime
    entries: list[tuple[Entry, Record | None]] = field(default_factory=list)
    failed: list[tuple[grouping.Failed, Key]] = field(default_factory=list)
    wanted: list[tuple[Connection, str, str]] = field(default_factory=list)
    arrived: set[waits.Arrived] = field(default_factory=set)
    touched: list[Read] = field(default_factory=list)
    echoes: Echoes = field(default_factory=lambda: Echoes({}, timezone.now()))
    copies: Copies = field(default_factory=Copies)
    comparisons: list[Comparison] = field(default_factory=list)


@transaction.atomic
def settle(reads: Sequence[Read], connections: dict[int, Connection], owner: uuid.UUID) -> None:
    """Write what a batch means, all or nothing; raises `LostLease` when another worker has it by now."""
    now = timezone.now()
    _lock_records(reads, connections)
    batch = Settlement(Board.load(reads, now), connections, now)
    batch.echoes = Echoes.load(reads, batch.board, connections, now)
    echoes = [read for read in reads if batch.echoes.is_echo(read, batch.board)]
    batch.copies = Copies.load(echoes, connections, now)
    for read in reads:
        if is_comparison(read):
            _compare(batch, read)
        else:
            _take(batch, read)
        batch.entries += [(entry, None) for entry in batch.echoes.hear(read)]
    # First: what a transition makes due stays due.
    batch.copies.write()
    batch.board.write()
    batch.echoes.write()
    _write_events(batch, reads, owner)
    _write_failures(batch, reads)
    Comparison.write(batch.comparisons, now)
    _write_journal(batch)
    waits.wake(batch.arrived)
    refetch.ask(batch.wanted, now)
    stuck.refresh(batch.touched, batch.board)
    close_equal(record.pk for record in batch.board.changed.values() if record.open_drift)
    close_created(known.reference for known in batch.board.created)
    rates.count(_counts(batch, reads), now)


def _lock_records(reads: Sequence[Read], connections: dict[int, Connection]) -> None:
    """Lock the records of the commands that a batch may confirm, together with those that it is about.

    All in one order, and before the commands: whoever settles commands locks records first too.
    """
    asked = Echoes.records_of(reads, connections)
    if asked:
        stuck.lock(asked | Board.records_of(reads))


def _counts(batch: Settlement, reads: Sequence[Read]) -> dict[int, rates.Count]:
    """Return what the batch came to, by connection id."""
    counts = {pk: rates.Count() for pk in batch.connections}
    for failed, _ in batch.failed:
        counts[failed.connection.pk].failed += 1
    for event in (read.event for read in reads if read.event.state == WorkState.DONE):
        counts[event.connection_id].done += 1
        counts[event.connection_id].applied += event.decision in (DecisionWord.NEW, DecisionWord.CHANGED)
    return counts


def is_comparison(read: Read) -> bool:
    """Say whether the evidence was fetched to be compared with belief, not to become it."""
    run = read.event.run
    return run is not None and run.kind == RunKind.RECONCILE


def _take(batch: Settlement, read: Read) -> None:
    if read.ignored:
        _close(batch, read, DecisionWord.IGNORED, read.ignored)
    elif read.fault:
        _fail(batch, read, read.fault)
    elif batch.echoes.is_echo(read, batch.board) and not read.pointer:
        _hear(batch, read)
    elif read.pointer:
        _follow_pointer(batch, read)
    else:
        decision = batch.board.decide(read)
        missing = batch.board.missing_links(read) if decision.applies else []
        if missing:
            _wait_for_record(batch, read, missing[0])
        elif decision.ask_provider:
            _wait_for_check(batch, read, decision)
        elif decision.fault:
            _unexpected(batch, read, decision)
        else:
            _apply(batch, read, decision)


def _follow_pointer(batch: Settlement, read: Read) -> None:
    """It says that an object changed, without showing it: what was read since then is the answer."""
    if batch.board.read_since(read):
        _close(batch, read, DecisionWord.UNCHANGED, "It only says that something changed; the object was read since")
    elif batch.board.missed_since(read):
        _close(batch, read, DecisionWord.UNCHANGED, "It only says that something changed; the object is not there")
    else:
        reason = "It only says that something changed: the provider is asked how the object stands now"
        _wait_for_check(batch, read, Decision(DecisionWord.WAITING, reason, ask_provider=True))


def _apply(batch: Settlement, read: Read, decision: Decision) -> None:
    before = batch.board.belief(read.key)
    if decision.applies:
        batch.board.apply(read, decision, cause=Cause.EVENT, cause_id=read.event.pk)
    _close(batch, read, decision.word, decision.reason)
    if decision.applies:
        _note_change(batch, read, decision, before.state if before else "")
    if decision.word == DecisionWord.NEW:
        batch.arrived.add((read.event.connection_id, f"{read.event.resource}:{read.event.external_id}", None))
    if decision.word != DecisionWord.STALE:
        batch.board.see(read)
    _arrived(batch, read)


def _arrived(batch: Settlement, read: Read) -> None:
    """Wake what waits for a look at the object, where this is one."""
    event = read.event
    if event.exact:
        batch.arrived.add((event.connection_id, f"check:{event.resource}:{event.external_id}", event.asked_at))


def _note_change(batch: Settlement, read: Read, decision: Decision, before: str) -> None:
    event, state = read.event, read.candidate.state if read.candidate else ""
    sensitive = KINDS[read.candidate.kind.name].sensitive if read.candidate else frozenset()
    moved = f"{before} → {state}" if before and before != state else ("begins as " + state if not before else "")
    fields = [name for name, _, _ in decision.changes if name != "state"]
    summary = moved or f"Changed: {', '.join(name.replace('_', ' ') for name in fields)}"
    changes = [[name, *(("personal", "personal") if name in sensitive else pair)] for name, *pair in decision.changes]
    _note(
        batch,
        read,
        Lane.STATE,
        "record.changed",
        f"{summary}. Caused by {event.event_type}",
        outcome=state,
        data={
            "changes": changes,
            "cause": "event",
            "event": event.pk,
            "mapping": read.mapping_id,
            "occurred_at": event.occurred_at.isoformat(),
        },
    )


def _close(batch: Settlement, read: Read, word: str, reason: str) -> None:
    event = read.event
    event.state, event.finished_at, event.waits_for, event.category = WorkState.DONE, batch.now, "", ""
    _decided(batch, read, word, reason)
    _note(
        batch,
        read,
        Lane.EVENTS,
        "event.decided",
        f"{event.event_type} {came(event)}: {reason}",
        outcome=word,
        data={
            "occurred_at": event.occurred_at.isoformat(),
            "received_at": event.received_at.isoformat(),
            "mapping": read.mapping_id,
            "replays": event.replays,
        },
    )


def _decided(batch: Settlement, read: Read, word: str, reason: str) -> None:
    event = read.event
    event.decision, event.decision_reason, event.decided_at = word, reason, batch.now
    event.mapping_id = read.mapping_id
    event.leased_by = event.leased_until = None
    known = batch.board.known.get(read.key)
    if known:
        batch.board.tie(event, known.record)
    batch.touched.append(read)


def _fail(batch: Settlement, read: Read, fault: Fault, word: str = "", reason: str = "") -> None:
    event = read.event
    event.tries += 1
    verdict = after_failure(fault, event.tries, batch.now)
    event.state, event.due_at, event.category = verdict.state, verdict.due_at, fault.category
    _decided(batch, read, word, reason)
    parked = verdict.state == WorkState.PARKED
    if fault.category == Category.DEPENDENCY and event.tries == 1:
        # Records of one story arrive in any order: only what is overdue is a failure.
        event.category = ""
    else:
        failed = grouping.Failed(
            fault,
            batch.connections[event.connection_id],
            event=event,
            resource=event.resource,
            difference=read.difference,
        )
        batch.failed.append((failed, read.key))
    if event.tries == 1 or parked:
        then = "parked, a person is needed" if parked else "it waits and is tried again"
        _note(
            batch,
            read,
            Lane.EVENTS,
            "event.parked" if parked else "event.waits",
            f"{event.event_type} {came(event)}: {(reason or fault.message).rstrip('.')}; {then}",
            outcome=fault.category,
            data={"code": fault.code, "field": fault.field, "mapping": read.mapping_id},
        )


def _unexpected(batch: Settlement, read: Read, decision: Decision) -> None:
    assert decision.fault
    _fail(batch, read, decision.fault, decision.word, decision.reason)


def _wait_for_record(batch: Settlement, read: Read, missing: tuple[str, str, str]) -> None:
    """Wait for a record that has not arrived; from the second try on, the provider is asked for it."""
    name, resource, external_id = missing
    event = read.event
    event.waits_for = f"{resource}:{external_id}"[:320]
    reason = f"Its {name.replace('_', ' ')} has not arrived yet"
    fault = Fault(Category.DEPENDENCY, f"missing:{resource}", reason, field=name, value=external_id)
    _fail(batch, read, fault, DecisionWord.WAITING, reason)
    if event.tries > 1:
        batch.wanted.append((batch.connections[event.connection_id], resource, external_id))


def _wait_for_check(batch: Settlement, read: Read, decision: Decision) -> None:
    """The order cannot be told: ask the provider how the object stands, and decide again with its answer."""
    event = read.event
    if event.tries >= MOST_CHECKS:
        fault = Fault(Category.UNKNOWN, "order_unknown", f"{event.tries} looks at the provider did not tell the order")
        _fail(batch, read, fault, decision.word, decision.reason)
        return
    event.tries += 1
    event.waits_for = f"check:{event.resource}:{event.external_id}"[:320]
    event.state = WorkState.WAITING
    event.due_at = batch.now + timedelta(seconds=max(1.0, 30 * settings.RETRY_SCALE))
    first = event.decision != DecisionWord.WAITING
    _decided(batch, read, decision.word, decision.reason)
    batch.wanted.append((batch.connections[event.connection_id], event.resource, event.external_id))
    if first:
        _note(
            batch, read, Lane.EVENTS, "event.waits", f"{event.event_type} {came(event)}: {decision.reason}",
            outcome=DecisionWord.WAITING,
        )  # fmt: skip


def _hear(batch: Settlement, read: Read) -> None:
    """Evidence of what we put there: belief follows its own provider, and what differs from what was sent is drift."""
    known = batch.board.known[read.key]
    connection = batch.connections[read.event.connection_id]
    comparison = batch.copies.compare(read, known.record, connection)
    _close(batch, read, DecisionWord.UNCHANGED, "It shows what we put there: belief follows its own provider")
    batch.board.see(read)
    _arrived(batch, read)
    if comparison is None or not (comparison.differences or comparison.note or known.record.open_drift):
        return
    batch.comparisons.append(comparison)
    if comparison.differences or comparison.note:
        _note_comparison(batch, read, comparison)


def _compare(batch: Settlement, read: Read) -> None:
    """Compare fetched evidence with belief; it becomes drift or a match, never belief by itself."""
    if read.fault:
        _fail(batch, read, read.fault)
        return
    known = batch.board.known.get(read.key)
    connection = batch.connections[read.event.connection_id]
    if known and batch.echoes.is_echo(read, batch.board):
        comparison = batch.copies.compare(read, known.record, connection)
        if comparison is None:
            _close(batch, read, DecisionWord.UNCHANGED, "It is being changed by us, or was since: nothing to compare")
            return
    elif batch.board.overtook(read):
        _outdated(batch, read)
        return
    else:
        comparison = compare(read, known.record if known else None, connection)
    batch.comparisons.append(comparison)
    word = DecisionWord.UNEXPECTED if comparison.differences else DecisionWord.UNCHANGED
    event = read.event
    event.state, event.finished_at, event.waits_for, event.category = WorkState.DONE, batch.now, "", ""
    _decided(batch, read, word, comparison.summary)
    if known and not comparison.differences:
        batch.board.see(read)
    elif known:
        batch.board.checked(read)
    _note_comparison(batch, read, comparison)


def _note_comparison(batch: Settlement, read: Read, comparison: Comparison) -> None:
    _note(
        batch,
        read,
        Lane.RECONCILIATION,
        "record.checked",
        comparison.summary,
        outcome="differs" if comparison.differences else "matches",
        data={"fields": [d.field for d in comparison.differences], "run": read.event.run_id},
    )


def _outdated(batch: Settlement, read: Read) -> None:
    """A check that was overtaken: what we learned since is newer than what it saw, and no difference."""
    reason = "Checked, and newer evidence had arrived by then: there is nothing to compare"
    _close(batch, read, DecisionWord.STALE, reason)
    _note(batch, read, Lane.RECONCILIATION, "record.checked", reason, outcome="overtaken", data={"fields": []})


def _note(
    batch: Settlement,
    read: Read,
    lane: str,
    action: str,
    summary: str,
    *,
    outcome: str = "",
    data: dict[str, object] | None = None,
) -> None:
    event = read.event
    known = batch.board.known.get(read.key)
    entry = Entry(
        tenant_id=event.tenant_id,
        environment=event.environment,
        connection_id=event.connection_id,
        lane=lane,
        action=action,
        summary=summary,
        outcome=outcome,
        subject_type="event",
        subject_id=event.pk,
        data=data or {},
    )
    batch.entries.append((entry, known.record if known else None))


def _write_journal(batch: Settlement) -> None:
    for entry, record in batch.entries:
        if record is not None:
            entry.record_id = record.pk
    append(entry for entry, _ in batch.entries)


def _write_events(batch: Settlement, reads: Sequence[Read], owner: uuid.UUID) -> None:
    batch.board.name_records()
    met = update_rows(
        [read.event for read in reads],
        EVENT_FIELDS,
        where="AND t.state = 'leased' AND t.leased_by = %s",
        params=[owner],
    )
    if met != len(reads):
        raise LostLease


def _write_failures(batch: Settlement, reads: Sequence[Read]) -> None:
    for failed, key in batch.failed:
        known = batch.board.known.get(key)
        failed.record = known.record if known else None
    # Only what failed before can have failures to close: replayed or tried again.
    again = [r.event.pk for r in reads if r.event.state == WorkState.DONE and (r.event.tries or r.event.replays)]
    gone = grouping.open_failures_of(events=again) if again else []
    grouping.note((failed for failed, _ in batch.failed), gone=gone)
