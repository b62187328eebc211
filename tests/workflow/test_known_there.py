"""An object that we made at a provider hangs on its record; at the record's own provider it is a record of its own."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Command, Connection, Event, Record, Reference, Tenant
from integrations.workflow import known_there
from integrations.workflow.process import process_batch
from tests.conftest import connected

pytestmark = pytest.mark.django_db


def made(at: Connection, record: Record, external_id: str) -> Command:
    """Make a command that made an object for a record."""
    return Command.objects.create(
        tenant=at.tenant, environment=at.environment, connection=at, record=record, operation_id=external_id,
        content_hash=b"1" * 32, action="refund.create", resource="refund", external_id=external_id,
        content={}, summary="Refund", asked_by="the tests", due_at=timezone.now(), outcome="accepted",
    )  # fmt: skip


def test_what_was_made_elsewhere_hangs_on_its_record(tenant: Tenant, make_record: Callable[..., Record]) -> None:
    payment = make_record("payment")

    known_there.note([made(connected(tenant, "Books"), payment, "re_1")], timezone.now())

    assert Reference.objects.get(external_id="re_1").record == payment


def test_a_refund_of_a_payment_becomes_a_record_by_its_own_evidence(
    connection: Connection, make_record: Callable[..., Record], make_event: Callable[..., Event]
) -> None:
    payment = make_record("payment", external_id="pi_1")
    refund: dict[str, Any] = {
        "id": "re_1", "object": "refund", "created": 1_700_000_000, "amount": 500, "currency": "eur",
        "payment_intent": "pi_1", "status": "succeeded", "reason": None, "metadata": {},
    }  # fmt: skip

    known_there.note([made(connection, payment, "re_1")], timezone.now())
    make_event("refund.created", refund)
    process_batch()

    assert Reference.objects.get(external_id="re_1").record.kind == "refund"
    payment.refresh_from_db()
    assert payment.state == "succeeded"
