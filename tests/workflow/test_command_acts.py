"""What people do with commands: send them again, look for them, decide on them, cancel them."""

from typing import Any

import pytest

from integrations.models import Attempt, Command, Connection, Failure, Outcome
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.workflow import commands
from integrations.workflow.errors import Refusal
from tests.commanding import ask, created, due_now, later, pay, send_all, state_of
from tests.conftest import TESTER

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def three(target: Connection, invoice: str) -> list[Command]:
    """Payments that travel in one request."""
    return [pay(target, invoice, n) for n in range(3)]


def in_doubt(sandbox: Sandbox, kind: str) -> None:
    """Let the next request have no answer: cut on its way, or after its effect."""
    sandbox.set_faults({"kind": kind, "on": "PUT *", "times": 1})
    send_all()


def wait_for_all() -> None:
    """Let everything be done that is to be done, however late."""
    for _ in range(4):
        due_now()
        send_all()
        later()


def parked(target: Connection, sandbox: Sandbox) -> Command:
    """A command that was refused."""
    ask(target, 1)
    send_all()
    command = ask(target, 1)
    send_all()
    assert state_of(command) == (Outcome.FAILED, "parked")
    return command


def test_what_was_refused_is_sent_again_with_a_key_of_its_own(target: Connection, sandbox: Sandbox) -> None:
    command = parked(target, sandbox)
    sandbox.alter("Contacts", Command.objects.order_by("pk")[0].external_id, Name="Somebody else")

    commands.send_again(command, actor=TESTER, reason="The name is free now")
    send_all()

    assert state_of(command)[0] == Outcome.ACCEPTED
    keys = list(Attempt.objects.filter(command=command).order_by("pk").values_list("key", flat=True))
    assert keys == [command.operation_id, f"{command.operation_id}~2"]


def test_only_what_surely_had_no_effect_can_be_cancelled(target: Connection, sandbox: Sandbox) -> None:
    waiting, refused = ask(target, 9), parked(target, sandbox)
    doubtful = ask(target, 10)
    sandbox.set_faults({"kind": "cut", "on": "PUT *", "times": 1})
    send_all()

    commands.cancel(refused, actor=TESTER, reason="Not needed")
    with pytest.raises(Refusal, match="unknown outcome"):
        commands.cancel(doubtful, actor=TESTER, reason="Not needed")
    with pytest.raises(Refusal, match="accepted"):
        commands.cancel(waiting, actor=TESTER, reason="Not needed")

    assert state_of(refused) == (Outcome.CANCELLED, "dismissed")
    assert not Failure.objects.filter(command=refused, resolved_at=None).exists()


@pytest.mark.parametrize("kind", ["cut", "cut_after"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_person_can_have_one_of_several_looked_for(
    three: list[Command], sandbox: Sandbox, kind: str, place: int
) -> None:
    in_doubt(sandbox, kind)

    commands.look_for_effect(three[place], actor=TESTER, reason="Finance asks")
    wait_for_all()

    assert {state_of(command)[0] for command in three} <= {Outcome.CONFIRMED, Outcome.ACCEPTED}
    assert created(sandbox, three) == [1, 1, 1]


@pytest.mark.parametrize("kind", ["cut", "cut_after"])
@pytest.mark.parametrize("outcome", [Outcome.CONFIRMED, Outcome.FAILED])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_person_decides_on_one_of_several_and_on_no_other(
    three: list[Command], sandbox: Sandbox, kind: str, outcome: str, place: int
) -> None:
    in_doubt(sandbox, kind)
    decided, others = three[place], [command for command in three if command is not three[place]]
    with pytest.raises(Refusal, match="Give the id"):
        commands.resolve(decided, outcome=Outcome.CONFIRMED, actor=TESTER, reason="Seen")

    commands.resolve(decided, outcome=outcome, external_id="p-1", actor=TESTER, reason="Looked at it myself")
    wait_for_all()

    assert state_of(decided) == (outcome, "done")
    assert "Looked at it myself" in decided.outcome_reason
    assert created(sandbox, [decided]) == [1 if kind == "cut_after" else 0]
    assert {state_of(command)[0] for command in others} <= {Outcome.CONFIRMED, Outcome.ACCEPTED}
    assert created(sandbox, others) == [1, 1]


@pytest.mark.parametrize("step", [".", "..", " .. "])
def test_an_id_is_no_step_to_another_address(target: Connection, sandbox: Sandbox, step: str) -> None:
    command = ask(target)
    sandbox.set_faults({"kind": "cut_after", "on": "PUT *", "times": 1})
    send_all()

    with pytest.raises(Refusal, match="is no id"):
        commands.resolve(command, outcome=Outcome.CONFIRMED, external_id=step, actor=TESTER, reason="Seen")


@pytest.mark.parametrize("act", [commands.cancel, commands.send_again, commands.retry_now, commands.look_for_effect])
def test_every_act_has_a_reason(target: Connection, act: Any) -> None:
    with pytest.raises(Refusal, match="Give a reason"):
        act(ask(target), actor=TESTER, reason=" ")
