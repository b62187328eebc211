from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Connection, Drift, Record, Run, RunKind, WorkState
from integrations.models.drift import EXISTENCE

INVOICE = {
    "number": "INV-2041", "customer": "cus_0001", "currency": "EUR", "subtotal": 481250, "tax": 0, "total": 481250,
    "amount_due": 481250, "amount_paid": 0, "created_at": "2026-11-01T00:00:00+00:00",
}  # fmt: skip


@pytest.fixture
def check(connection: Connection) -> Run:
    """A check of all invoices that is done."""
    now = timezone.now()
    return Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, kind=RunKind.RECONCILE,
        stream=connection.streams.get(resource="invoice"), state=WorkState.DONE, due_at=now, asked_by="Priya Raman",
        reason="Month end", items=40, changed=40, compared=40, differs=1, started_at=now, finished_at=now,
    )  # fmt: skip


@pytest.fixture
def make_drift(check: Run, make_record: Any, make_event: Any) -> Any:
    """Return a factory of open differences; without a record, one of a new invoice."""

    def make(
        field: str = "state", ours: Any = "open", theirs: Any = "paid", *, record: Any = None, **fields: Any
    ) -> Drift:
        now = timezone.now()
        record = record or make_record("invoice", data=INVOICE)
        reference = record.references.get()
        seen = make_event(state="done", occurred_at=now + timedelta(minutes=1))
        defaults = {"first_seen_at": now, "last_seen_at": now, "run": check, "evidence": seen}
        Record.objects.filter(pk=record.pk).update(open_drift=1)
        return Drift.objects.create(
            tenant=record.tenant, environment=record.environment, connection=record.connection, record=record,
            kind=record.kind, resource=reference.resource, external_id=reference.external_id, field=field, ours=ours,
            theirs=theirs, **(defaults | fields),
        )  # fmt: skip

    return make


@pytest.fixture
def missing_here(connection: Connection, check: Run, make_event: Any) -> Drift:
    """An invoice that the provider has and we have not."""
    now = timezone.now()
    return Drift.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, kind="invoice", resource="invoice",
        external_id="in_9f2c1c5e", field=EXISTENCE, ours="absent", theirs="present", evidence=make_event(state="done"),
        run=check, first_seen_at=now, last_seen_at=now,
    )  # fmt: skip
