"""Sending ours over what stands at a target: nothing else goes out than what a person decided on."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy as duplicate
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from django.db import transaction

from integrations.canonical import DELETED
from integrations.journal.write import about, write
from integrations.models import Copy, Drift, DriftStatus, Lane
from integrations.models.drift import EXISTENCE
from integrations.providers.exporting import Ask, Nothing, Plan
from integrations.reconciliation.compare import count_open
from integrations.workflow import stuck

#: What their side says of an object that cannot be changed any more: it is made anew.
GONE: Final = frozenset({"absent", "void", "canceled", DELETED})
#: What is forgotten of an object that is made anew.
MADE_ANEW: Final = ("made", "resource", "external_id", "shown_state", "held_by", "compared_at", "kept", "push")


def view(copy: Copy, fields: Iterable[tuple[str, Any]]) -> Copy:
    """Return a copy as it is to be planned for ours to go over theirs, by what differs: (field, theirs).

    What is gone there counts as never made; else as made without what differs, so that ours of it has changed. The copy
    itself stays as it is.
    """
    seen = duplicate(copy)
    theirs: dict[str, Any] = dict(fields)
    if not GONE.isdisjoint({theirs.get(EXISTENCE), theirs.get("state")}):
        seen.made, seen.kept, seen.push, seen.held_by = {}, {}, {}, []
        seen.resource = seen.external_id = seen.shown_state = ""
        seen.compared_at = None
        return seen
    # What ended it does not hold, where it stands there again.
    lasting = {name: told for name, told in copy.made.items() if told["content"] or "state" not in theirs}
    seen.made = {
        name: {**told, "content": _without(told["content"], theirs.keys() - {"state"})}
        for name, told in lasting.items()
    }
    seen.shown_state = theirs.get("state", copy.shown_state)
    return seen


def _without(content: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}


def pushed(copy: Copy) -> Copy | None:
    """Return a copy as it is to be planned for what a person decided to send; None where nothing was decided."""
    return view(copy, ((name, theirs) for name, theirs in copy.push["fields"])) if copy.push else None


def left(copy: Copy, plan: Plan) -> Plan:
    """Return a plan, or nothing for what is gone there and was left so by a person."""
    stands = {pair["theirs"] for name, pair in copy.kept.items() if name in (EXISTENCE, "state")} & GONE
    if not isinstance(plan, Ask) or not stands or copy.push:
        return plan
    return Nothing(f"It is {stands.pop()} there, and was left so.")


def digest(plan: Plan) -> str:
    """Return what tells whether two plans ask for the same, "" where nothing goes out."""
    if not isinstance(plan, Ask):
        return ""
    asked = [plan.action, plan.external_id, plan.content]
    return sha256(json.dumps(asked, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()[:32]


def decide(copy: Copy, plan: Plan, drifts: Sequence[Drift], now: datetime) -> None:
    """Note on a copy what a person decided to send, and over what."""
    copy.push = {
        "plan": digest(plan),
        "at": now.isoformat(),
        "fields": [[drift.field, drift.theirs] for drift in drifts],
        "drifts": [drift.pk for drift in drifts],
    }


def is_over(copy: Copy, found: Mapping[str, Any]) -> bool:
    """Say whether a look found exactly what was decided to be written over; `found` is theirs by field."""
    return dict(copy.push["fields"]) == dict(found)


def now_it_would(plan: Plan, said: str, why_not: str = "") -> str:
    """Say that another plan stands now than the one that was shown; `said` is what it asks for, in words."""
    if not isinstance(plan, Ask) or not said:
        return f"Nothing would be sent now. {why_not} Look again.".replace("  ", " ")
    return f"It would {said[0].lower()}{said[1:]} now. Look again."


def reopen(drifts: Iterable[int]) -> None:
    """Let differences stand open again over which ours was not sent after all; call inside a transaction."""
    rows = Drift.objects.filter(pk__in=list(drifts), status=DriftStatus.PUSHED)
    rows.update(status=DriftStatus.OPEN, settled_at=None, settled_by="", reason="")


@transaction.atomic
def give_up(undone: Sequence[tuple[Copy, Sequence[int], str]]) -> None:
    """Count and tell of what stands open again, since its plan has changed: copy, ids of differences, and why.

    By itself: it locks records, which planning does not hold.
    """
    if not undone:
        return
    records = {copy.record_id for copy, _, _ in undone}
    stuck.lock(records)
    count_open(records)
    write(
        about(copy.record, Lane.RECONCILIATION, "drift.not_pushed", f"Ours was not sent. {reason}", at=copy)
        for copy, _, reason in undone
    )
