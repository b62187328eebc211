"""Settling drift: take theirs by a transition that names the drift, or ignore it with a reason."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from integrations.canonical import DELETED, KINDS
from integrations.journal.actor import Actor
from integrations.journal.write import about, write
from integrations.models import (
    Cause,
    DecisionWord,
    Drift,
    DriftStatus,
    Event,
    Lane,
    Link,
    Record,
    Reference,
    RunKind,
    Transition,
    WorkState,
)
from integrations.models.drift import EXISTENCE
from integrations.reconciliation import pushing
from integrations.reconciliation.compare import count_open
from integrations.workflow import copies
from integrations.workflow.belief import describe, transition
from integrations.workflow.decide import Belief, Change, differences, lag_of
from integrations.workflow.errors import Refusal, require_reason
from integrations.workflow.evidence import read_events
from integrations.workflow.messages import tell
from integrations.workflow.wake import EVENTS, after_commit


@transaction.atomic
def accept(drifts: Iterable[Drift], *, actor: Actor, reason: str) -> int:
    """Make belief equal to theirs in the given fields, one transition a record; return how many rows.

    A step that is not legal by itself is taken, because a person decided it, and the journal says so.
    Where the provider holds what we do not, the evidence of the check becomes a record. Raises `Refusal`.
    """
    rows = _open(drifts, reason)
    pushing.refuse_locked(rows)
    by_record: dict[int | None, list[Drift]] = defaultdict(list)
    for drift in rows:
        by_record[drift.record_id].append(drift)
    for record_id, group in by_record.items():
        if record_id is None:
            _adopt(group)
        else:
            _follow(Record.objects.select_for_update(no_key=True).get(pk=record_id), group, actor, reason)
    _settle(rows, DriftStatus.ACCEPTED, actor, reason)
    _note(rows, "drift.accepted", "theirs accepted", actor, reason)
    return len(rows)


@transaction.atomic
def ignore(drifts: Iterable[Drift], *, actor: Actor, reason: str) -> int:
    """Leave both sides as they are and say why. Raises `Refusal`.

    A later check opens the difference again; one of a record that was exported there only if a side has changed.
    """
    rows = _open(drifts, reason)
    pushing.keep(rows)
    _settle(rows, DriftStatus.IGNORED, actor, reason)
    _note(rows, "drift.ignored", "ignored", actor, reason)
    return len(rows)


@transaction.atomic
def push(drifts: Iterable[Drift], *, shown: Mapping[int, str] | None = None, actor: Actor, reason: str) -> int:
    """Have ours sent to where it was exported, over theirs; return how many rows.

    It goes out once a look finds just these differences, and they stand open again where it does not. `shown` holds the
    digests of what was shown to go out, by copy. Raises `Refusal`, also where something else would go out by now.
    """
    rows = _open(drifts, reason)
    sent = {drift.pk: each for each in pushing.send_ours(rows, shown) for drift in each.drifts}
    _settle(rows, DriftStatus.PUSHED, actor, reason)
    told = {pk: _going_out(each) for pk, each in sent.items()}
    _note(rows, "drift.pushed", "ours sent", actor, reason, told)
    return len(rows)


def _going_out(each: pushing.Outgoing) -> dict[str, Any]:
    """Return what the journal keeps of what goes out: personal values stand in the command alone."""
    hidden = KINDS[each.copy.record.kind].sensitive
    content = {name: "personal" if name in hidden else value for name, value in each.content.items()}
    return {"asks": each.said, "content": content}


def _open(drifts: Iterable[Drift], reason: str) -> list[Drift]:
    require_reason(reason)
    wanted = {drift.pk for drift in drifts}
    # Records before their differences, as workers lock them.
    of = Drift.objects.filter(pk__in=wanted).values("record_id")
    list(Record.objects.filter(pk__in=of).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    rows = list(
        Drift.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk__in=wanted, status=DriftStatus.OPEN)
        .select_related("connection", "evidence")
        .order_by("pk")
    )
    if not wanted or len(rows) != len(wanted):
        raise Refusal("Some of these differences are settled already. Look at the list again.")
    return rows


def _follow(record: Record, drifts: Sequence[Drift], actor: Actor, reason: str) -> None:
    """Change a record to what the provider showed."""
    now = timezone.now()
    _refuse_outdated(record, drifts)
    before, data = record.state, dict(record.data)
    changes = [change for drift in drifts for change in _changes(record, drift)]
    for name, _, theirs in changes:
        if name == "state":
            record.state = theirs
        else:
            data[name] = theirs
    _refuse_undeclared(record)
    record.data, record.version = data, record.version + 1
    evidence = drifts[0].evidence
    occurred_at = evidence.occurred_at if evidence else now
    record.mapping_id = evidence.mapping_id if evidence and evidence.mapping_id else record.mapping_id
    _link(record, drifts[0], changes)
    describe(record, drifts[0].external_id, now)
    record.save()
    row = transition(
        record,
        before,
        changes,
        cause=Cause.RECONCILIATION,
        cause_id=drifts[0].pk,
        occurred_at=occurred_at,
        now=now,
    )
    Transition.objects.bulk_create([row])
    copies.make_due([record.pk], [record.connection_id])
    tell([row], now)
    _see(record, drifts[0], evidence)
    _note_change(record, before, changes, drifts[0], actor, reason)


def _refuse_outdated(record: Record, drifts: Sequence[Drift]) -> None:
    """What was learned after the check is not undone by what the check saw."""
    for drift in drifts:
        if drift.evidence and (_seen_since(record, drift, drift.evidence) or _heard_since(drift, drift.evidence)):
            raise Refusal("Newer evidence has arrived since this check. Check the record again.")


def _seen_since(record: Record, drift: Drift, evidence: Event) -> bool:
    """Say whether the object was seen at a later time of the provider than the check's."""
    return Reference.objects.filter(
        record=record, connection=drift.connection, resource=drift.resource, external_id=drift.external_id,
        seen_at__gt=evidence.occurred_at,
    ).exists()  # fmt: skip


def _heard_since(drift: Drift, evidence: Event) -> bool:
    """Say whether evidence was believed after the check that may have happened after the check looked."""
    looked_at = evidence.occurred_at - lag_of(evidence.asked_at, evidence.received_at)
    believed = Event.objects.filter(
        connection=drift.connection, resource=drift.resource, external_id=drift.external_id,
        decision__in=(DecisionWord.NEW, DecisionWord.CHANGED, DecisionWord.UNCHANGED),
    )  # fmt: skip
    # A check decides nothing by itself, and one may have been made again since.
    believed = believed.exclude(run__kind=RunKind.RECONCILE)
    return believed.filter(
        decided_at__gte=evidence.decided_at or evidence.received_at, occurred_at__gte=looked_at
    ).exists()


def _refuse_undeclared(record: Record) -> None:
    kind = KINDS[record.kind]
    if record.state not in kind.states:
        raise Refusal(f"{kind.title} {record} cannot be {record.state}. Find out at the provider what became of it.")


def _changes(record: Record, drift: Drift) -> list[Change]:
    """Return what accepting a difference changes."""
    if drift.field == "state":
        return [("state", record.state, drift.theirs)]
    if drift.field != EXISTENCE:
        return [(drift.field, record.data.get(drift.field), drift.theirs)]
    if drift.theirs == "absent":
        return [("state", record.state, DELETED)]
    return _shown(record, drift)


def _shown(record: Record, drift: Drift) -> list[Change]:
    """Return what changes when a record that we hold as deleted is there after all: all that the check showed."""
    assert drift.evidence
    (read,) = read_events([drift.evidence], {drift.connection_id: drift.connection})
    if read.candidate is None:
        raise Refusal("What the check showed can no longer be read. Check the record again.")
    belief = Belief(record.state, record.data, drift.evidence.occurred_at)
    return list(differences(belief, read.candidate.state, read.candidate.over(record.data)))


def _link(record: Record, drift: Drift, changes: Sequence[Change]) -> None:
    """Let links follow the fields that hold them."""
    for name, _, external_id in changes:
        kind = KINDS[record.kind].links.get(name)
        if kind is None:
            continue
        target = Record.objects.filter(
            kind=kind, references__connection=drift.connection, references__external_id=external_id
        ).first()
        if target is None and external_id is not None:
            raise Refusal(f"Its {name} {external_id} has not arrived here. Check the connection first.")
        if target is None:
            Link.objects.filter(record=record, field=name).delete()
        else:
            Link.objects.update_or_create(record=record, field=name, defaults={"target": target})
        if name == "customer":
            record.customer = target


def _see(record: Record, drift: Drift, evidence: Event | None) -> None:
    """What was accepted stands for the time of the check: evidence that is older no longer changes it."""
    references = Reference.objects.filter(record=record, connection=drift.connection)
    deleted_at = evidence.occurred_at if evidence and record.state == DELETED else None
    references.update(deleted_at=deleted_at)
    if evidence:
        references.filter(resource=drift.resource, seen_at__lt=evidence.occurred_at).update(
            seen_at=evidence.occurred_at,
            seen_exact=True,
            seen_hash=b"",
            asked_at=evidence.asked_at,
            lag=lag_of(evidence.asked_at, evidence.received_at).seconds,
        )


def _adopt(drifts: Sequence[Drift]) -> None:
    """Let the evidence of objects that we do not hold be decided like any other."""
    for drift in drifts:
        if drift.evidence is None:
            continue
        held = Event.objects.select_for_update(no_key=True).get(pk=drift.evidence.pk)
        held.state, held.due_at, held.finished_at = WorkState.READY, timezone.now(), None
        held.run = None
        held.save(update_fields=["state", "due_at", "finished_at", "run"])
    after_commit(EVENTS)


def _settle(rows: Sequence[Drift], status: str, actor: Actor, reason: str) -> None:
    now = timezone.now()
    Drift.objects.filter(pk__in=[drift.pk for drift in rows]).update(
        status=status, settled_at=now, settled_by=actor.name, reason=reason
    )
    count_open({drift.record_id for drift in rows if drift.record_id})


def _note(
    rows: Sequence[Drift],
    action: str,
    outcome: str,
    actor: Actor,
    reason: str,
    told: Mapping[int, dict[str, Any]] | None = None,
) -> None:
    """Write a line for each difference; `told` is more of what its entry keeps."""
    more = told or {}
    write(
        about(
            drift,
            Lane.PEOPLE,
            action,
            _summary(drift, outcome, actor, more.get(drift.pk, {})),
            outcome=outcome,
            data={"field": drift.field, **more.get(drift.pk, {})},
            actor=actor,
            reason=reason,
        )
        for drift in rows
    )


def _summary(drift: Drift, outcome: str, actor: Actor, told: Mapping[str, Any]) -> str:
    said = f"{actor.name}: {outcome} for {drift.field.replace('_', ' ')} of {drift.external_id}"
    return f"{said}. {told['asks']}" if told else said


def _note_change(
    record: Record, before: str, changes: Sequence[Change], drift: Drift, actor: Actor, reason: str
) -> None:
    kind = KINDS[record.kind]
    legal = kind.can_become(before, record.state)
    moved = f"{before} → {record.state}" if before != record.state else "Changed to theirs"
    unusual = "" if legal else ". By itself this is not a legal step; a person decided it"
    shown = [[n, *(("personal", "personal") if n in kind.sensitive else pair)] for n, *pair in changes]
    entry = about(
        drift,
        Lane.STATE,
        "record.changed",
        f"{moved}. Caused by accepting theirs{unusual}",
        outcome=record.state,
        data={"changes": shown, "cause": "reconciliation", "mapping": record.mapping_id, "legal": legal},
        actor=actor,
        reason=reason,
    )
    write([entry])


def close_equal(record_ids: Iterable[int]) -> None:
    """Close open differences of records whose belief has come to equal theirs by later evidence.

    Of those at a connection to which they were exported, the next look there tells.
    """
    now = timezone.now()
    rows = Drift.objects.select_related("record").filter(record_id__in=list(record_ids), status=DriftStatus.OPEN)
    rows = rows.filter(connection_id=F("record__connection_id"))
    gone = [drift for drift in rows if drift.record and _ours(drift.record, drift.field) == drift.theirs]
    if gone:
        Drift.objects.filter(pk__in=[drift.pk for drift in gone]).update(
            status=DriftStatus.GONE, settled_at=now, reason="Later evidence made both sides equal"
        )
        count_open({drift.record_id for drift in gone if drift.record_id})


def close_created(references: Iterable[Reference]) -> None:
    """Close differences over objects of which we hold a record now."""
    found: dict[tuple[int, str], list[str]] = {}
    for reference in references:
        found.setdefault((reference.connection_id, reference.resource), []).append(reference.external_id)
    for (connection_id, resource), external_ids in found.items():
        close_found(connection_id, resource, external_ids)


def close_found(connection_id: int, resource: str, external_ids: Sequence[str]) -> None:
    """Close differences over objects that we did not hold, and hold now."""
    Drift.objects.filter(
        connection_id=connection_id,
        resource=resource,
        external_id__in=external_ids,
        field=EXISTENCE,
        record=None,
        status=DriftStatus.OPEN,
    ).update(status=DriftStatus.GONE, settled_at=timezone.now(), reason="Later evidence made it a record")


def _ours(record: Record, field: str) -> object:
    if field == EXISTENCE:
        return "absent" if record.state == DELETED else "present"
    return record.state if field == "state" else record.data.get(field)
