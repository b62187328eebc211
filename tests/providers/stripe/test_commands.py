"""Commands to this provider, over a transport that answers as it does: what its memory and its refunds mean."""

from typing import Any

import httpx
import pytest
from django.utils import timezone

from integrations.health import breaker
from integrations.models import Breaker, BreakerState, Command, Connection, Outcome
from integrations.workflow import sending
from integrations.workflow.commands import submit
from tests.conftest import TESTER
from tests.fake_provider import Provider

pytestmark = pytest.mark.django_db(transaction=True)


def refund(connection: Connection, n: int = 1) -> Command:
    """Submit a command that refunds a payment."""
    content = {"payment": f"pi_{n:04}", "amount": 9_000, "currency": "EUR"}
    return submit(connection, action="refund.create", operation_id=f"refund-{n}", content=content, actor=TESTER)


def made(command: Command, **fields: Any) -> dict[str, Any]:
    """The refund that a command made, as the provider holds it."""
    return {
        "id": f"re_{command.pk:04}", "object": "refund", "amount": 9_000, "currency": "eur", "created": 1_795_000_000,
        "payment_intent": command.content["payment"], "reason": None, "status": "succeeded",
        "metadata": {"operation_id": command.operation_id}, **fields,
    }  # fmt: skip


def send_all() -> None:
    """Send what waits, as if its time had come, until nothing does."""
    Command.objects.filter(state="waiting").update(due_at=timezone.now())
    for _ in range(20):
        if not sending.send_next():
            return
    raise AssertionError("the work never ends")


def remembered(provider: Provider) -> httpx.Response:
    return provider.failing(500, **{"idempotent-replayed": "true"})


def sent(provider: Provider) -> list[tuple[str, str]]:
    return [(request.method, request.headers.get("idempotency-key", "")) for request in provider.asked]


# -- what it remembers


def test_a_failure_that_is_only_repeated_is_looked_for_and_asked_for_under_another_key(
    connection: Connection, provider: Provider
) -> None:
    """It would be repeated for a day, to whatever comes under that key."""
    command = refund(connection)
    provider.answers = [
        provider.failing(500), remembered(provider), provider.truth, provider.json(made(command)),
    ]  # fmt: skip

    for _ in range(3):
        send_all()

    command.refresh_from_db()
    assert command.outcome == Outcome.ACCEPTED
    assert sent(provider) == [("POST", "refund-1"), ("POST", "refund-1"), ("GET", ""), ("POST", "refund-1~2")]


def test_behind_a_failure_that_is_only_repeated_the_effect_may_be(connection: Connection, provider: Provider) -> None:
    command = refund(connection)
    provider.put(made(command))
    provider.answers = [provider.failing(500), remembered(provider)]

    for _ in range(3):
        send_all()

    command.refresh_from_db()
    assert (command.outcome, command.external_id) == (Outcome.CONFIRMED, made(command)["id"])
    assert [method for method, _ in sent(provider)] == ["POST", "POST", "GET"]


def test_failures_that_are_only_repeated_open_no_breaker(connection: Connection, provider: Provider) -> None:
    for n in range(breaker.FAILURES):
        refund(connection, n)
    provider.answers = [remembered(provider)] * breaker.FAILURES

    send_all()

    assert len(provider.asked) == breaker.FAILURES
    assert not Breaker.objects.exclude(state=BreakerState.CLOSED).exists()
