"""Repeating a request: as it was and under its key, for as long as that is known; else its effect is looked for."""

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.models import Attempt, Command, Connection, Failure, Outcome
from integrations.providers.xero.sandbox.harness import Sandbox
from tests.commanding import ask, due_now, send_all, state_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("kind", ["cut", "cut_after", "error", "error_after"])
def test_without_a_clear_answer_the_same_bytes_leave_again_under_the_same_key(
    target: Connection, sandbox: Sandbox, kind: str
) -> None:
    made = [ask(target, n) for n in range(3)]
    sandbox.set_faults({"kind": kind, "on": "PUT *", "times": 1})

    send_all()
    assert {state_of(command) for command in made} == {(Outcome.UNKNOWN, "waiting")}
    assert Failure.objects.filter(resolved_at=None).count() == 3
    due_now()
    send_all()

    assert {state_of(command) for command in made} == {(Outcome.ACCEPTED, "waiting")}
    tries = Attempt.objects.filter(command=made[0]).values_list("key", "request_id")
    assert (len(tries), len(set(tries))) == (2, 1)
    assert sandbox.effects()["created"] == 3
    assert not Failure.objects.filter(resolved_at=None).exists()


def test_after_an_answer_that_nobody_can_read_the_effect_is_looked_for(target: Connection, sandbox: Sandbox) -> None:
    command = ask(target)
    sandbox.set_faults({"kind": "malformed", "on": "PUT *", "times": 1})

    send_all()
    assert state_of(command) == (Outcome.UNKNOWN, "waiting")
    due_now()
    send_all()

    assert state_of(command) == (Outcome.CONFIRMED, "done")
    assert sandbox.effects()["created"] == 1


@pytest.mark.parametrize(("kind", "left"), [("cut", Outcome.ACCEPTED), ("cut_after", Outcome.CONFIRMED)])
def test_once_the_key_is_forgotten_the_effect_is_looked_for_first(
    target: Connection, sandbox: Sandbox, kind: str, left: str
) -> None:
    made = [ask(target, n) for n in range(3)]
    sandbox.set_faults({"kind": kind, "on": "PUT *", "times": 1})
    send_all()
    sandbox.set_clock(advance=400)
    ago = timezone.now() - timedelta(minutes=10)
    Command.objects.update(key_since=ago)
    Attempt.objects.update(started_at=ago)

    due_now()
    send_all()
    due_now()
    send_all()

    assert {state_of(command)[0] for command in made} == {left}
    assert sandbox.effects()["created"] == 3
    assert all(len(done) == 2 for done in sandbox.effects()["by_operation"].values())


def test_the_refusal_of_a_repetition_proves_nothing(target: Connection, sandbox: Sandbox) -> None:
    """The name is taken: by the contact that the first try made."""
    command = ask(target)
    sandbox.set_faults({"kind": "cut_after", "on": "PUT *", "times": 1})
    send_all()
    # The provider forgets the key sooner than it said.
    sandbox.set_clock(advance=400)

    for _ in range(3):
        due_now()
        send_all()

    assert state_of(command) == (Outcome.CONFIRMED, "done")
    assert command.outcome_reason == "Looked for at Xero, and it is there"
    assert sandbox.effects()["created"] == 1
