"""Leases of commands: only who holds it sends and settles, and whoever dies with it leaves a doubt and no more."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from integrations.boundary import client
from integrations.configuration.reach import access_of
from integrations.failures.categories import Category, Fault
from integrations.models import Attempt, Command, Connection, Failure, JournalEntry, Outcome
from integrations.providers import get_adapter
from integrations.providers.base import Request, Response
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.workflow import parcels, sending
from integrations.workflow.answers import Settlement
from integrations.workflow.parcels import Parcel
from tests.commanding import created, due_now, pay, send_all, state_of
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def three(target: Connection, invoice: str) -> list[Command]:
    """Payments that travel in one request."""
    return [pay(target, invoice, n) for n in range(3)]


def lease_ends() -> int:
    """Let the time of all leases be over, and the sweep find out; return how many it gave back."""
    Command.objects.filter(state="leased").update(leased_until=timezone.now() - timedelta(seconds=1))
    return parcels.recover()


def claim(target: Connection, patience: str = "60s") -> Parcel | None:
    """Claim as a worker does; fails where it would wait for another one for longer than that."""
    with database.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [patience])
    return parcels.claim(target, get_adapter("xero"), uuid.uuid4())


def held(commands: list[Command]) -> list[tuple[Any, ...]]:
    """Return all that a settlement could have changed."""
    fields = ("state", "outcome", "outcome_reason", "external_id", "tries", "leased_by", "leased_until", "key_since")
    return list(Command.objects.filter(pk__in=[c.pk for c in commands]).order_by("pk").values_list(*fields))


def elsewhere(act: Callable[[], Any]) -> Any:
    """Return what `act` returns in another worker."""

    def closing() -> Any:
        try:
            return act()
        finally:
            client.http().close()
            database.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(closing).result(60)


def test_a_worker_that_dies_leaves_a_command_in_doubt(
    target: Connection, sandbox: Sandbox, invoice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = pay(target, invoice)

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

    assert lease_ends() == 1
    assert state_of(command) == (Outcome.UNKNOWN, "ready")
    assert Attempt.objects.get(command=command).state == "no answer"
    send_all()

    assert state_of(command) == (Outcome.ACCEPTED, "waiting")
    assert created(sandbox, [command]) == [1]


@pytest.mark.parametrize("late", ["an answer", "no answer", "a refusal"])
def test_an_answer_that_comes_after_the_lease_was_taken_over_changes_nothing(
    three: list[Command], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    """The second worker has repeated the request, and its answer counts."""
    real, before = client.send, []

    def overtaken(request: Request) -> Response:
        monkeypatch.setattr(client, "send", real)
        response = real(request)
        lease_ends()
        elsewhere(send_all)
        before.extend([held(three), JournalEntry.objects.count()])
        if late == "no answer":
            raise Fault(Category.TIMEOUT, "no_answer", "It did not answer")
        return response if late == "an answer" else Response(400, {}, b"{}", response.received_at)

    monkeypatch.setattr(client, "send", lambda r: overtaken(r) if r.method == "PUT" else real(r))
    sending.send_next()

    assert {state_of(command) for command in three} == {(Outcome.ACCEPTED, "waiting")}
    assert [held(three), JournalEntry.objects.count()] == before
    assert not Failure.objects.filter(resolved_at=None).exists()
    assert created(sandbox, three) == [1, 1, 1]


def test_what_another_worker_leased_meanwhile_keeps_its_lease_when_a_late_answer_comes(
    three: list[Command], target: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, before = client.send, []

    def overtaken(request: Request) -> Response:
        response = real(request)
        lease_ends()
        assert elsewhere(lambda: claim(target))
        before.extend(held(three))
        return response

    monkeypatch.setattr(client, "send", lambda r: overtaken(r) if r.method == "PUT" else real(r))
    sending.send_next()

    assert held(three) == before


def test_a_look_that_ends_after_the_lease_was_taken_over_changes_nothing(
    three: list[Command], sandbox: Sandbox, target: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.set_faults({"kind": "cut_after", "on": "PUT *", "times": 1})
    send_all()
    Command.objects.update(key_since=None)
    due_now()
    real, before = client.send, []

    def overtaken(request: Request) -> Response:
        response = real(request)
        lease_ends()
        assert elsewhere(lambda: claim(target))
        before.extend(held(three))
        return response

    monkeypatch.setattr(client, "send", overtaken)
    sending.send_next()

    assert held(three) == before


def test_a_settlement_writes_nothing_to_what_another_worker_has_leased(
    three: list[Command], target: Connection
) -> None:
    late = elsewhere(lambda: claim(target))
    lease_ends()
    assert elsewhere(lambda: claim(target))
    before = held(three)

    with transaction.atomic():
        Settlement(late, timezone.now(), settled=late.claimed).write()

    assert held(three) == before


def test_nothing_leaves_once_another_worker_has_the_lease(
    three: list[Command], sandbox: Sandbox, target: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[Any] = []

    def overtaken(connection: Connection) -> Any:
        access = access_of(connection)
        lease_ends()
        assert elsewhere(lambda: claim(target))
        before.extend(held(three))
        return access

    monkeypatch.setattr(sending, "access_of", overtaken)
    sending.send_next()

    assert sandbox.effects()["requests"] == 0
    assert not Attempt.objects.filter(command__in=three).exists()
    assert held(three) == before


def test_of_what_travelled_together_one_worker_takes_all_and_another_none(
    three: list[Command], sandbox: Sandbox, target: Connection
) -> None:
    """The first worker is about to take the second command when the other one begins."""
    sandbox.set_faults({"kind": "cut_after", "on": "PUT *", "times": 1})
    send_all()
    due_now()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Command.objects.select_for_update(no_key=True).get(pk=three[1].pk)
            first = pool.submit(lambda: elsewhere(lambda: claim(target)))
            wait_until("the first worker waits for the second command", somebody_waits_for_us, 10)

            assert elsewhere(lambda: claim(target, patience="3s")) is None
        taken = first.result(60)

    assert [command.pk for command in taken.claimed] == [command.pk for command in three]


def somebody_waits_for_us() -> bool:
    """Say whether another session waits for a row that this one holds."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    with database.cursor() as cursor:
        cursor.execute(waiting)
        return bool(cursor.fetchone()[0])
