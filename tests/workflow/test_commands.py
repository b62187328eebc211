"""Commands against a provider that keeps state: remembered before they leave, done once, confirmed by what is seen."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from integrations.boundary import client, payloads
from integrations.models import (
    Attempt,
    Command,
    Connection,
    Failure,
    Outcome,
    Record,
    Run,
    Tenant,
)
from integrations.providers.base import Request, Response
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.workflow import confirming, pause, sending, tasks
from integrations.workflow.commands import DifferentContent
from integrations.workflow.errors import Refusal
from tests.books import held
from tests.commanding import ask, due_now, pay, see, send_all, state_of, told
from tests.conftest import TESTER
from tests.fake_provider import work_off
from tests.providers.xero.connecting import connect_to

pytestmark = pytest.mark.django_db(transaction=True)


# -- submitting


def test_the_same_id_and_content_are_the_first_command(target: Connection) -> None:
    first = ask(target, operation_id="op-1")

    assert ask(target, operation_id="op-1").pk == first.pk
    assert Command.objects.count() == 1
    assert told() == ["command.submitted"]


@pytest.mark.parametrize(
    "other", [{"n": 2}, {"action": "contact.update"}, {"external_id": "elsewhere"}], ids=["content", "action", "target"]
)
def test_the_same_id_for_something_else_is_refused(target: Connection, other: dict[str, Any]) -> None:
    ask(target, operation_id="op-1")

    with pytest.raises(DifferentContent, match="op-1 is that of another command"):
        ask(target, operation_id="op-1", **other)

    assert Command.objects.count() == 1


def test_the_same_id_of_another_tenant_is_another_command(
    target: Connection, sandbox: Sandbox, other_tenant: Tenant
) -> None:
    elsewhere = connect_to(sandbox, other_tenant)

    assert ask(target, operation_id="op-1").pk != ask(elsewhere, operation_id="op-1").pk


def test_fifty_at_once_are_one_command_with_one_effect(target: Connection, sandbox: Sandbox, invoice: str) -> None:
    def at_once(_: int) -> int:
        try:
            return pay(target, invoice).pk
        finally:
            database.close()

    with ThreadPoolExecutor(50) as pool:
        found = set(pool.map(at_once, range(50)))
    send_all()

    assert len(found) == 1
    assert sandbox.effects()["by_operation"] == {"pay-1": {"created": 1, "changed": 0}}


def test_it_belongs_to_the_transaction_that_wants_it(target: Connection) -> None:
    with transaction.atomic():
        ask(target)
        transaction.set_rollback(True)

    assert not Command.objects.exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"action": "moon.create"}, "cannot be asked for “moon.create”"),
        ({"operation_id": "x" * 51}, "at most 50"),
        ({"operation_id": " x"}, "no space at its ends"),
        ({"operation_id": "a\nb"}, "has at most 50"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(target: Connection, more: dict[str, Any], said: str) -> None:
    with pytest.raises(Refusal, match=said):
        ask(target, **more)


# -- sending


def test_request_and_attempt_are_committed_before_a_byte_leaves(
    target: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, seen = ask(target), []

    def watched(request: Request) -> Response:
        def look() -> None:
            attempt = Attempt.objects.get(command=command)
            seen.append((attempt.state, attempt.key, state_of(command)[0]))
            assert attempt.request_id
            assert attempt.request_at
            assert payloads.read(attempt.request_id, attempt.request_at) == request.body
            database.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(look).result()
        return real(request)

    real = client.send
    monkeypatch.setattr(client, "send", lambda r: watched(r) if r.method == "PUT" else real(r))
    send_all()

    assert seen == [("in flight", command.operation_id, "sent")]
    assert state_of(command) == (Outcome.ACCEPTED, "waiting")


def test_many_of_one_action_travel_together_with_an_attempt_each(target: Connection, sandbox: Sandbox) -> None:
    made = [ask(target, n) for n in range(120)]

    send_all()

    attempts = Attempt.objects.filter(command__isnull=False)
    assert attempts.count() == 120
    assert attempts.values("key").distinct().count() == 3
    assert set(attempts.values_list("state", "status", "category")) == {("answered", 200, "")}
    assert sandbox.effects()["requests"] == 3
    first = attempts.get(command=made[7])
    assert (first.request_path, first.path) == ("/Contacts/7", "/Contacts/7")
    assert first.provider_request_id


def test_accepted_is_not_confirmed_before_it_is_seen(target: Connection) -> None:
    command = ask(target)
    send_all()
    assert state_of(command) == (Outcome.ACCEPTED, "waiting")
    assert command.external_id

    see(target)

    assert state_of(command) == (Outcome.CONFIRMED, "done")
    assert command.outcome_reason == "Seen at Xero"
    assert told() == ["command.submitted", "command.answered", "command.confirmed"]


@pytest.mark.parametrize("count", [1, confirming.MANY])
def test_what_nobody_told_in_time_is_asked_for(target: Connection, sandbox: Sandbox, count: int) -> None:
    made = [ask(target, n) for n in range(count)]
    send_all()
    due_now()

    assert confirming.ask_for_the_accepted() == count
    work_off()

    assert {state_of(command) for command in made} == {(Outcome.CONFIRMED, "done")}
    # One request for the batch, one to see: an object alone, or the stream with many.
    assert sandbox.effects()["requests"] == 2


def test_what_was_accepted_and_never_shown_is_parked(target: Connection, sandbox: Sandbox) -> None:
    command = ask(target)
    send_all()
    sandbox.lose("Contacts", state_of(command) and command.external_id, gone=True)

    for _ in range(confirming.MOST_LOOKS):
        due_now()
        confirming.ask_for_the_accepted()
        work_off()
    due_now()
    confirming.park_the_unseen()

    assert state_of(command) == (Outcome.ACCEPTED, "parked")
    assert Failure.objects.get(command=command).code == "never_seen"


def test_no_run_is_left_open(target: Connection) -> None:
    ask(target)
    send_all()
    see(target)

    assert set(Run.objects.values_list("state", flat=True)) == {"done"}


# -- refusals


def test_what_was_refused_for_its_rate_waits_as_long_as_it_was_told(target: Connection, sandbox: Sandbox) -> None:
    command = ask(target)
    sandbox.set_faults({"kind": "rate_limit", "on": "PUT *", "times": 1, "retry_after": 40})

    send_all()

    assert state_of(command) == (Outcome.SUBMITTED, "waiting")
    assert command.due_at > timezone.now() + timedelta(seconds=35)
    target.refresh_from_db()
    assert target.wait_until
    assert target.wait_until > timezone.now() + timedelta(seconds=35)
    ask(target, 2)
    assert not sending.send_next()


def test_one_that_is_refused_does_not_hold_up_the_others(target: Connection, sandbox: Sandbox) -> None:
    ask(target, 1)
    send_all()
    made = [ask(target, n) for n in (1, 2, 3)]

    send_all()

    assert [state_of(command) for command in made] == [
        (Outcome.FAILED, "parked"), (Outcome.ACCEPTED, "waiting"), (Outcome.ACCEPTED, "waiting"),
    ]  # fmt: skip
    failure = Failure.objects.get(resolved_at=None)
    assert (failure.command, failure.category) == (made[0], "validation")
    assert Attempt.objects.get(command=made[0]).category == "validation"


def test_one_that_cannot_be_expressed_does_not_hold_up_the_others(target: Connection) -> None:
    made = [ask(target, n) for n in range(2)]
    bad = ask(target, content={"name": ""})

    send_all()

    assert state_of(bad) == (Outcome.FAILED, "parked")
    assert {state_of(command) for command in made} == {(Outcome.ACCEPTED, "waiting")}
    assert not Attempt.objects.filter(command=bad).exists()


def test_what_the_adapter_does_not_have_any_more_is_parked_and_holds_up_nobody(target: Connection) -> None:
    gone, other = ask(target, 1), ask(target, 2)
    Command.objects.filter(pk=gone.pk).update(action="moon.create")

    send_all()
    see(target)

    assert state_of(gone) == (Outcome.FAILED, "parked")
    assert gone.category == "mapping failure"
    assert state_of(other) == (Outcome.CONFIRMED, "done")


def test_where_no_connection_comes_about_it_had_no_effect(target: Connection, sandbox: Sandbox) -> None:
    command = ask(target)
    target.settings["api_base"] = "http://127.0.0.1:9"
    Connection.objects.filter(pk=target.pk).update(settings=target.settings)

    send_all()

    assert state_of(command) == (Outcome.SUBMITTED, "waiting")
    assert command.category == "provider outage"


# -- order, pause


def test_of_one_record_the_younger_waits_for_the_older(target: Connection, record: Record, sandbox: Sandbox) -> None:
    first = ask(target, record=record)
    second = ask(target, 2, record=record)
    other = ask(target, 3)
    sandbox.set_faults({"kind": "cut", "on": "PUT *", "times": 1})

    assert sending.send_next()
    assert not sending.send_next()

    assert [state_of(c)[0] for c in (first, second, other)] == [Outcome.UNKNOWN, Outcome.SUBMITTED, Outcome.UNKNOWN]
    due_now()
    send_all()
    assert {state_of(c)[0] for c in (first, second, other)} == {Outcome.ACCEPTED}


def test_of_one_object_the_younger_waits_for_the_older(target: Connection, sandbox: Sandbox) -> None:
    made = ask(target)
    send_all()
    state_of(made)
    change: dict[str, Any] = {"action": "contact.update", "external_id": made.external_id}
    first = ask(target, content={"name": "The older name"}, **change)
    second = ask(target, content={"name": "The younger name"}, **change)
    sandbox.set_faults({"kind": "cut", "on": "POST *", "times": 1})

    send_all()
    assert [state_of(c)[0] for c in (first, second)] == [Outcome.UNKNOWN, Outcome.SUBMITTED]
    assert second.sent_at is None

    due_now()
    send_all()
    assert [state_of(c)[0] for c in (first, second)] == [Outcome.ACCEPTED, Outcome.ACCEPTED]
    assert [row["Name"] for row in held(sandbox, "Contacts")] == ["The younger name"]


def test_a_pause_holds_and_a_resumption_lets_go(target: Connection) -> None:
    command = ask(target)
    pause.pause(target, actor=TESTER, reason="Their maintenance")
    later = ask(Connection.objects.get(pk=target.pk), 2)
    assert {state_of(command)[1], state_of(later)[1]} == {"held"}
    assert not sending.send_next()

    pause.resume(target, actor=TESTER)
    send_all()

    assert {state_of(command)[0], state_of(later)[0]} == {Outcome.ACCEPTED}


def test_what_was_submitted_by_sight_of_a_pause_that_is_over_goes_on_by_the_sweep(target: Connection) -> None:
    """Planners read a connection once, and submit for seconds by what they read."""
    pause.pause(target, actor=TESTER, reason="Their maintenance")
    seen = Connection.objects.get(pk=target.pk)
    pause.resume(target, actor=TESTER)
    command = ask(seen)

    tasks.sweep()
    send_all()

    assert state_of(command)[0] == Outcome.ACCEPTED


def test_the_sweep_leaves_what_a_pause_holds(target: Connection) -> None:
    command = ask(target)
    pause.pause(target, actor=TESTER, reason="Their maintenance")

    tasks.sweep()

    assert state_of(command)[1] == "held"


def test_a_person_takes_no_operation_id_of_an_export(target: Connection) -> None:
    with pytest.raises(Refusal, match="those of exports"):
        ask(target, operation_id="x4-17-v2.1-contact.create")
