"""What people do with commands: send them again, look for them, decide on them, cancel them."""

from typing import Any

import pytest

from integrations.models import Attempt, Command, Connection, Failure, Outcome
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.workflow import commands, sending
from integrations.workflow.errors import Refusal
from tests.commanding import ask, send_all, state_of
from tests.conftest import TESTER

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_a_person_can_have_it_looked_for(target: Connection, sandbox: Sandbox) -> None:
    command = ask(target)
    sandbox.set_faults({"kind": "cut_after", "on": "PUT *", "times": 1})
    send_all()

    commands.look_for_effect(command, actor=TESTER, reason="Finance asks")
    send_all()

    assert state_of(command) == (Outcome.CONFIRMED, "done")
    assert sandbox.effects()["created"] == 1


@pytest.mark.parametrize("outcome", [Outcome.CONFIRMED, Outcome.FAILED])
def test_a_person_decides_what_nobody_can_tell(target: Connection, sandbox: Sandbox, outcome: str) -> None:
    command = ask(target)
    sandbox.set_faults({"kind": "cut_after", "on": "PUT *", "times": 1})
    send_all()
    with pytest.raises(Refusal, match="Give the id"):
        commands.resolve(command, outcome=Outcome.CONFIRMED, actor=TESTER, reason="Seen")

    commands.resolve(command, outcome=outcome, external_id="c-1", actor=TESTER, reason="Looked at it myself")

    assert state_of(command) == (outcome, "done")
    assert not sending.send_next()
    assert "Looked at it myself" in command.outcome_reason


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
