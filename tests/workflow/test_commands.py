"""Commands against a provider that keeps state: remembered before they leave, done once, confirmed by what is seen."""

from collections.abc import Iterator
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
    Event,
    Failure,
    JournalEntry,
    Outcome,
    Record,
    Reference,
    Run,
    Stream,
    Tenant,
    Transition,
)
from integrations.providers.base import Request, Response
from integrations.providers.xero.sandbox.harness import Sandbox, run_sandbox
from integrations.workflow import commands, confirming, parcels, pause, runs, sending, sync, tasks
from integrations.workflow.commands import DifferentContent, submit
from integrations.workflow.errors import Refusal
from tests.conftest import TESTER
from tests.fake_provider import work_off
from tests.providers.xero.connecting import connect_to

pytestmark = pytest.mark.django_db(transaction=True)

CREATE = "contact.create"


@pytest.fixture(scope="session")
def books() -> Iterator[Sandbox]:
    with run_sandbox() as sandbox:
        yield sandbox
    client.http().close()


@pytest.fixture
def sandbox(books: Sandbox) -> Sandbox:
    """The provider: empty, calm, without limits, its clock as ours."""
    books.empty()
    books.set_faults()
    books.set_limits(enforced=False)
    return books


@pytest.fixture
def target(sandbox: Sandbox, tenant: Tenant) -> Connection:
    return connect_to(sandbox, tenant)


def ask(target: Connection, n: int = 1, **more: Any) -> Command:
    """Submit a command that creates a contact."""
    content = {"name": f"Customer {n}", "email": f"ap{n}@example.com"}
    asked: dict[str, Any] = {"action": CREATE, "content": content, "actor": TESTER}
    return submit(target, **(asked | more))


def send_all() -> None:
    """Send what is due, as workers do, until nothing is."""
    for _ in range(100):
        if not sending.send_next():
            return
    raise AssertionError("the work never ends")


def due_now() -> None:
    Command.objects.filter(state="waiting").update(due_at=timezone.now())


def see(target: Connection, resource: str = "contact") -> None:
    """Read a stream of the provider."""
    runs.ask(Stream.objects.select_related("connection").get(connection=target, resource=resource), actor=TESTER)
    work_off()


def state_of(command: Command) -> tuple[str, str]:
    command.refresh_from_db()
    return command.outcome, command.state


def told() -> list[str]:
    return list(JournalEntry.objects.filter(lane="commands").order_by("pk").values_list("action", flat=True))


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


def test_fifty_at_once_are_one_command_with_one_effect(target: Connection, sandbox: Sandbox) -> None:
    def at_once(_: int) -> int:
        try:
            return ask(target, operation_id="op-1").pk
        finally:
            database.close()

    with ThreadPoolExecutor(50) as pool:
        found = set(pool.map(at_once, range(50)))
    send_all()

    assert len(found) == 1
    assert sandbox.effects()["by_operation"] == {"op-1": {"created": 1, "changed": 0}}


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


# -- doubt


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


def test_a_worker_that_dies_leaves_a_command_in_doubt(
    target: Connection, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ask(target)

    class Killed(BaseException):
        pass

    real = client.send

    def killed(request: Request) -> Response:
        response = real(request)
        if request.method == "PUT":
            raise Killed
        return response

    with monkeypatch.context() as patch:
        patch.setattr(client, "send", killed)
        with pytest.raises(Killed):
            sending.send_next()
    assert state_of(command) == (Outcome.SENT, "leased")
    assert not sending.send_next()
    Command.objects.update(leased_until=timezone.now() - timedelta(seconds=1))

    assert parcels.recover() == 1
    assert state_of(command) == (Outcome.UNKNOWN, "ready")
    assert Attempt.objects.get(command=command).state == "no answer"
    send_all()

    assert state_of(command) == (Outcome.ACCEPTED, "waiting")
    assert sandbox.effects()["created"] == 1


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


# -- echoes


@pytest.fixture
def record(connection: Connection, make_event: Any) -> Record:
    """A customer that came from another connection."""
    from tests.conftest import customer_object

    make_event("customer.created", customer_object(name="Customer 1"))
    work_off()
    return Record.objects.get()


def test_an_echo_hangs_on_its_record_and_never_changes_belief(target: Connection, record: Record) -> None:
    command = ask(target, record=record)
    send_all()
    see(target)

    assert state_of(command)[0] == Outcome.CONFIRMED
    assert Record.objects.get().version == 1
    assert Transition.objects.count() == 1
    assert set(record.references.values_list("connection__name", flat=True)) == {"Stripe", "Xero"}
    echo = Event.objects.get(connection=target)
    assert (echo.record, echo.decision) == (record, "unchanged")


def test_an_echo_that_is_here_before_the_answer_is_known_by_the_operation_id(
    target: Connection, record: Record, sandbox: Sandbox
) -> None:
    command = ask(target, record=record)
    sandbox.set_faults({"kind": "cut_after", "on": "PUT *", "times": 1})
    send_all()
    assert state_of(command)[0] == Outcome.UNKNOWN

    see(target)

    assert state_of(command) == (Outcome.CONFIRMED, "done")
    assert Record.objects.count() == 1
    assert Reference.objects.get(connection=target).record == record
    due_now()
    assert not sending.send_next()


def rename(target: Connection, made: Command, name: str) -> Command:
    """Ask for another name of the contact that a command made."""
    made.refresh_from_db()
    content = {"name": name, "email": "ap1@example.com"}
    return submit(target, action="contact.update", external_id=made.external_id, content=content, actor=TESTER)


def read(target: Connection) -> None:
    """Read the contacts, and settle nothing of it yet."""
    runs.ask(Stream.objects.select_related("connection").get(connection=target, resource="contact"), actor=TESTER)
    while sync.perform_next():
        pass


def test_what_was_seen_before_a_change_was_sent_confirms_nothing(target: Connection, sandbox: Sandbox) -> None:
    """It shows how the name was before it was changed away and, we hope, back."""
    made = ask(target)
    send_all()
    read(target)
    rename(target, made, "Another name")
    send_all()
    back = rename(target, made, "Customer 1")
    sandbox.set_faults({"kind": "cut", "on": "POST *", "times": 1})
    send_all()

    work_off()

    assert state_of(back) == (Outcome.UNKNOWN, "waiting")
    due_now()
    send_all()
    see(target)
    assert state_of(back)[0] == Outcome.CONFIRMED


def test_what_a_list_does_not_show_anew_is_asked_for_by_its_id(target: Connection, sandbox: Sandbox) -> None:
    """A read that left before the changes may show them all, and a list that reads the same is no news."""
    many = [ask(target, n) for n in range(confirming.MANY)]
    send_all()
    see(target)
    changes = [rename(target, made, f"Another {n}") for n, made in enumerate(many)]
    send_all()
    Command.objects.filter(pk__in=[each.pk for each in changes]).update(sent_at=timezone.now() + timedelta(minutes=1))
    see(target)
    Command.objects.filter(pk__in=[each.pk for each in changes]).update(sent_at=timezone.now())

    for _ in range(2):
        due_now()
        assert confirming.ask_for_the_accepted() == confirming.MANY
        work_off()

    assert {state_of(each)[0] for each in changes} == {Outcome.CONFIRMED}


def test_what_they_made_themselves_is_a_record_of_its_own(target: Connection, sandbox: Sandbox) -> None:
    ask(target)
    send_all()
    Command.objects.all().update(operation_id="another")

    see(target)

    assert Record.objects.get().connection == target


# -- what people do


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


@pytest.mark.parametrize("act", [commands.cancel, commands.send_again, commands.retry_now, commands.look_for_effect])
def test_every_act_has_a_reason(target: Connection, act: Any) -> None:
    with pytest.raises(Refusal, match="Give a reason"):
        act(ask(target), actor=TESTER, reason=" ")


def test_no_run_is_left_open(target: Connection) -> None:
    ask(target)
    send_all()
    see(target)

    assert set(Run.objects.values_list("state", flat=True)) == {"done"}
