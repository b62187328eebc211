"""Commands as the engine leaves them, made on the models: no provider is asked anything here."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.boundary.payloads import keep
from integrations.models import Attempt, AttemptState, Command, Connection, Outcome, Record, WorkState

Maker = Callable[..., Any]


@pytest.fixture
def commands_url(connection: Connection) -> str:
    """Where the commands of the tests are."""
    return f"/{connection.tenant.slug}/{connection.environment}/commands/"


@pytest.fixture
def make_command(connection: Connection) -> Callable[..., Command]:
    """Return a factory of commands; by default one that was just submitted."""

    def make(operation_id: str = "op_1", *, on: Connection | None = None, **fields: Any) -> Command:
        at, now = on or connection, timezone.now()
        defaults: dict[str, Any] = {
            "action": "refund.create", "resource": "refund", "content_hash": b"\x01" * 32,
            "content": {"payment": "pi_0001", "amount": 1250, "currency": "eur"},
            "summary": "Refund €12.50 in Stripe", "asked_by": "the tests", "due_at": now,
        }  # fmt: skip
        return Command.objects.create(
            tenant=at.tenant,
            environment=at.environment,
            connection=at,
            operation_id=operation_id,
            **(defaults | fields),
        )

    return make


@pytest.fixture
def make_try() -> Callable[..., Attempt]:
    """Return a factory of tries; `sent` and `answer` are kept as payloads, a status means that an answer came."""

    def make(
        command: Command,
        *,
        sent: Any = None,
        answer: Any = None,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> Attempt:
        now = timezone.now()
        state = AttemptState.ANSWERED if status else AttemptState.NO_ANSWER
        attempt = Attempt(
            connection=command.connection, command=command, method="POST", url="https://api.stripe.example/v1/refunds",
            key=command.operation_id, state=state, status=status, latency_ms=1200 if status else None,
            started_at=now - timedelta(seconds=2), finished_at=now,
        )  # fmt: skip
        if sent is not None:
            kept = _keep(command, sent, headers or {})
            attempt.request_id, attempt.request_at = kept.id, kept.at
        if answer is not None:
            kept = _keep(command, answer, headers or {})
            attempt.payload_id, attempt.payload_at = kept.id, kept.at
        for name, value in fields.items():
            setattr(attempt, name, value)
        attempt.save()
        return attempt

    return make


def _keep(command: Command, body: Any, headers: dict[str, str]) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return keep(connection_id=command.connection_id, source="command", body=raw, headers=headers, at=timezone.now())


@pytest.fixture
def unknown(make_command: Maker, make_try: Maker, make_record: Callable[..., Record]) -> Command:
    """A command whose only try was not answered; it is parked."""
    now = timezone.now()
    command: Command = make_command(
        "op_unknown", outcome=Outcome.UNKNOWN, outcome_reason="No answer came within 20 s", state=WorkState.PARKED,
        category="timeout", sent_at=now, key="op_unknown", key_since=now,
        record=make_record("invoice", data={"number": "INV-2041"}),
    )  # fmt: skip
    make_try(
        command, sent={"amount": 1250, "email": "ap@halvorsen.example"}, category="timeout",
        message="api.stripe.example did not answer within 20 s",
    )  # fmt: skip
    return command
