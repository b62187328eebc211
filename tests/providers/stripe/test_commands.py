"""Commands to this provider, over a transport that answers as it does: what its memory and its refunds mean."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.utils import timezone

from integrations.health import breaker
from integrations.models import Breaker, BreakerState, Command, Connection, Event, Failure, Outcome
from integrations.workflow import commands, sending
from integrations.workflow.commands import submit
from integrations.workflow.errors import Refusal
from tests.conftest import TESTER
from tests.fake_provider import Provider, work_off

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


# -- refunds that do not arrive

NOT_ARRIVED = [
    ({"status": "failed", "failure_reason": "expired_or_canceled_card"}, "failed at Stripe: expired or canceled card."),
    ({"status": "canceled"}, "was canceled at Stripe: no reason told."),
]


def see(connection: Connection, obj: dict[str, Any], make_event: Callable[..., Event]) -> None:
    make_event("refund.updated", obj, on=connection, created=int(timezone.now().timestamp()))
    work_off()


@pytest.mark.parametrize(("fields", "why"), NOT_ARRIVED)
@pytest.mark.parametrize("before", [Outcome.ACCEPTED, Outcome.CONFIRMED])
def test_a_refund_that_did_not_arrive_is_a_command_that_failed(
    connection: Connection, provider: Provider, make_event: Callable[..., Event], fields: dict[str, Any], why: str,
    before: str,
) -> None:  # fmt: skip
    """Stripe may say so days after it had succeeded."""
    command = refund(connection)
    provider.answers = [provider.json(made(command, status="pending"))]
    send_all()
    if before == Outcome.CONFIRMED:
        see(connection, made(command, status="pending"), make_event)
    command.refresh_from_db()
    assert command.outcome == before

    see(connection, made(command, **fields), make_event)

    command.refresh_from_db()
    assert (command.outcome, command.state, command.category) == (Outcome.FAILED, "parked", "business rule")
    assert command.outcome_reason == f"The refund {why}"
    failure = Failure.objects.get(command=command, resolved_at=None)
    assert (failure.message, failure.problem.owner) == (f"The refund {why}", "finance")


def test_a_look_that_finds_a_failed_refund_says_so(connection: Connection, provider: Provider) -> None:
    command = refund(connection)
    provider.put(made(command, status="failed", failure_reason="declined"))
    provider.answers = [httpx.ReadTimeout("no answer")]
    send_all()
    commands.look_for_effect(command, actor=TESTER, reason="Finance asks")

    send_all()

    command.refresh_from_db()
    assert (command.outcome, command.state) == (Outcome.FAILED, "parked")
    assert command.outcome_reason == "The refund failed at Stripe: declined."
    assert command.external_id == made(command)["id"]


def test_what_came_to_nothing_is_not_sent_again_under_its_id(connection: Connection, provider: Provider) -> None:
    """The provider would answer with the refund that failed, and its marks could not be told from a second one's."""
    command = refund(connection)
    provider.put(made(command, status="failed"))
    provider.answers = [provider.failing(500), remembered(provider)]
    for _ in range(3):
        send_all()

    with pytest.raises(Refusal, match="under a new operation id"):
        commands.send_again(command, actor=TESTER, reason="Again")

    commands.cancel(command, actor=TESTER, reason="We pay by transfer")
    command.refresh_from_db()
    assert (command.outcome, command.state) == (Outcome.CANCELLED, "dismissed")


def test_of_a_failed_refund_an_older_sight_says_nothing(
    connection: Connection, provider: Provider, make_event: Callable[..., Event]
) -> None:
    command = refund(connection)
    provider.answers = [provider.json(made(command, status="pending"))]
    send_all()
    see(connection, made(command, status="failed"), make_event)

    see(connection, made(command, status="pending"), make_event)

    command.refresh_from_db()
    assert command.outcome == Outcome.FAILED
