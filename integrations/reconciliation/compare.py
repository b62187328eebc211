"""Compare what we believe with what the provider shows now, field by field."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Q

from integrations.canonical import DELETED
from integrations.models import Connection, Drift, DriftStatus, Event, Record, Run, RunKind
from integrations.models.drift import EXISTENCE
from integrations.workflow.decide import Belief, differences
from integrations.workflow.evidence import Read


@dataclass(frozen=True)
class Difference:
    """One field that differs; for existence the values are `present` and `absent`."""

    field: str
    ours: Any
    theirs: Any


@dataclass(frozen=True)
class Comparison:
    """One object compared."""

    event: Event
    connection: Connection
    record: Record | None
    kind: str
    differences: tuple[Difference, ...]
    fields: int
    note: str = ""

    @property
    def summary(self) -> str:
        """Say the finding, and what follows from it."""
        return f"{self._finding}. {self.note}" if self.note else self._finding

    @property
    def _finding(self) -> str:
        where = f"Checked at {self.connection.name}"
        if any(d.field == EXISTENCE for d in self.differences):
            ours = self.differences[0].ours
            return f"{where}: {'it is not there' if ours == 'present' else 'it is there, and we hold no record'}"
        if self.differences:
            n = len(self.differences)
            names = ", ".join(d.field.replace("_", " ") for d in self.differences)
            return f"{where}: differs in {n} of {self.fields} fields ({names})"
        return f"{where}: matches in all {self.fields} fields" if self.fields else f"{where}: gone at both sides"

    @staticmethod
    def write(comparisons: Sequence["Comparison"], now: datetime) -> None:
        """Write the drift rows of some comparisons: open new ones, see old ones again, close what is gone."""
        for comparison in comparisons:
            _write_one(comparison, now)
        count_open({c.record.pk for c in comparisons if c.record and c.record.pk})
        _count_in_runs(comparisons)


def compare(read: Read, record: Record | None, connection: Connection) -> Comparison:
    """Return how the provider's object, just read, differs from the record."""
    kind = read.candidate.kind.name if read.candidate else (record.kind if record else "")
    theirs_gone = read.event.deleted
    ours_gone = record is None or record.state == DELETED
    found: tuple[Difference, ...] = ()
    fields = 0
    if theirs_gone != ours_gone:
        words = ("absent", "present") if ours_gone else ("present", "absent")
        found = (Difference(EXISTENCE, *words),)
    elif record is not None and read.candidate is not None and not theirs_gone:
        data = read.candidate.over(record.data)
        fields = len(data) + 1
        belief = Belief(record.state, record.data, read.event.occurred_at)
        found = tuple(Difference(*change) for change in differences(belief, read.candidate.state, data))
    return Comparison(read.event, connection, record, kind, found, fields)


def _write_one(comparison: Comparison, now: datetime) -> None:
    event = comparison.event
    open_rows = {
        drift.field: drift
        for drift in Drift.objects.select_for_update(no_key=True).filter(
            connection=comparison.connection,
            resource=event.resource,
            external_id=event.external_id,
            status=DriftStatus.OPEN,
        )
    }
    for difference in comparison.differences:
        drift = open_rows.pop(difference.field, None) or Drift(
            tenant_id=event.tenant_id,
            environment=event.environment,
            connection=comparison.connection,
            kind=comparison.kind,
            resource=event.resource,
            external_id=event.external_id,
            field=difference.field,
            first_seen_at=now,
        )
        drift.record, drift.ours, drift.theirs = comparison.record, difference.ours, difference.theirs
        drift.evidence, drift.last_seen_at = event, now
        if event.run:
            drift.run = event.run
        drift.save()
    for gone in open_rows.values():
        gone.status, gone.settled_at = DriftStatus.GONE, now
        gone.reason = "A later check found it equal"
        gone.save()


def _count_in_runs(comparisons: Sequence[Comparison]) -> None:
    """Add to what each check says of itself: objects compared, and those that differ."""
    checks = [(c.event.run, c) for c in comparisons if c.event.run and c.event.run.kind == RunKind.RECONCILE]
    compared = Counter(run.pk for run, _ in checks)
    differs = Counter(run.pk for run, comparison in checks if comparison.differences)
    for run_id in sorted(compared):
        Run.objects.filter(pk=run_id).update(
            compared=F("compared") + compared[run_id], differs=F("differs") + differs[run_id]
        )


def count_open(record_ids: set[int]) -> None:
    """Set each record's number of open differences, from the rows themselves."""
    if not record_ids:
        return
    rows = Record.objects.filter(pk__in=record_ids).annotate(
        n=Count("drifts", filter=Q(drifts__status=DriftStatus.OPEN))
    )
    for record in rows:
        if record.open_drift != record.n:
            Record.objects.filter(pk=record.pk).update(open_drift=record.n)
