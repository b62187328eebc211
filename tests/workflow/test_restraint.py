"""Commands while a provider fails and while it limits: they wait as they are, and go on in order."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from integrations.boundary import client
from integrations.health import breaker
from integrations.models import Attempt, Breaker, Command, Connection, JournalEntry
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.workflow import runs, sending
from integrations.workflow.commands import submit
from tests.commanding import created, pay
from tests.conftest import TESTER
from tests.fake_provider import work_off

pytestmark = pytest.mark.django_db(transaction=True)


def ask(target: Connection, n: int) -> Command:
    return submit(target, action="contact.create", content={"name": f"Customer {n}", "email": ""}, actor=TESTER)


def send_all() -> int:
    """Send what may go now; return how many requests that took."""
    for number in range(200):
        if not sending.send_next():
            return number
    raise AssertionError("the work never ends")


def held(**fields: Any) -> Breaker:
    Breaker.objects.update(**fields)
    return Breaker.objects.get()


def open_by_failing(asked: Callable[[int], Command], sandbox: Sandbox, kind: str = "error") -> list[Command]:
    """Let writes fail until the breaker is open; return the commands that were tried."""
    sandbox.set_faults({"kind": kind, "on": "PUT *"})
    tried = []
    for n in range(breaker.FAILURES):
        tried.append(asked(n))
        send_all()
    assert held().state == "open"
    return tried


def test_while_it_is_open_commands_wait_untried_and_reading_goes_on(target: Connection, sandbox: Sandbox) -> None:
    open_by_failing(partial(ask, target), sandbox)
    waiting = [ask(target, n) for n in range(10, 13)]

    assert send_all() == 0
    runs.ask(target.streams.get(resource="contact"), actor=TESTER)
    work_off()

    for command in waiting:
        command.refresh_from_db()
        assert (command.state, command.tries, command.outcome, command.category) == ("ready", 0, "submitted", "")
    assert not Attempt.objects.filter(command__in=waiting).exists()
    assert target.streams.get(resource="contact").last_success_at


def test_one_probe_goes_and_keeps_it_open_while_the_provider_fails(target: Connection, sandbox: Sandbox) -> None:
    open_by_failing(partial(ask, target), sandbox)
    for n in range(10, 13):
        ask(target, n)
    before = Attempt.objects.filter(method="PUT").count()

    held(probe_at=timezone.now())
    sent = send_all()

    assert sent == 1
    assert Attempt.objects.filter(method="PUT").count() == before + 1, "one command, though three could travel together"
    assert held().refused_probes == 1
    assert JournalEntry.objects.filter(action="breaker.probe_failed").count() == 1


@pytest.mark.parametrize("kind", ["error", "error_after"])
def test_after_the_outage_everything_goes_once_and_oldest_first(
    target: Connection, sandbox: Sandbox, invoice: str, kind: str
) -> None:
    tried = open_by_failing(lambda n: pay(target, invoice, n), sandbox, kind)
    waiting = [pay(target, invoice, n) for n in range(10, 13)]
    sandbox.set_faults()

    held(probe_at=timezone.now())
    send_all()
    # Some wait to be tried again, the others for their place in the drain.
    Command.objects.filter(outcome__in=["submitted", "unknown"]).update(due_at=timezone.now())
    send_all()

    assert held().state == "closed"
    assert set(Command.objects.values_list("outcome", flat=True)) == {"accepted"}
    assert set(created(sandbox, [*tried, *waiting])) == {1}
    first_sent = list(Command.objects.order_by("sent_at", "pk").values_list("pk", flat=True))
    assert first_sent == [command.pk for command in [*tried, *waiting]]


def test_looking_for_an_effect_closes_nothing(target: Connection, sandbox: Sandbox) -> None:
    tried = open_by_failing(partial(ask, target), sandbox)
    # The provider no longer remembers their keys: they are looked for before they go out again.
    long_ago = timezone.now() - timedelta(days=9)
    Command.objects.update(due_at=timezone.now(), key_since=long_ago)

    held(probe_at=timezone.now())
    sending.send_next()

    assert held().state == "open"
    assert Attempt.objects.filter(command=tried[0]).latest("pk").method == "GET"
    assert not JournalEntry.objects.filter(action="breaker.closed").exists()


def test_a_refused_secret_holds_all_but_the_first(target: Connection, sandbox: Sandbox) -> None:
    sandbox.set_faults({"kind": "error", "status": 401, "on": "PUT *"})
    refused = ask(target, 1)
    send_all()
    others = [ask(target, n) for n in range(2, 5)]

    assert send_all() == 0

    refused.refresh_from_db()
    assert refused.state == "parked"
    assert held().category == "authentication"
    assert {Command.objects.get(pk=command.pk).tries for command in others} == {0}


def test_several_workers_keep_to_the_limits_of_the_provider(target: Connection, sandbox: Sandbox, invoice: str) -> None:
    """With the provider's limits in force, and small ones, so that it takes seconds."""
    target.limits = {"per_minute": 600, "per_day": None, "at_once": 2}
    target.save(update_fields=["limits"])
    sandbox.set_limits(enforced=True, minute=600, concurrent=2)
    made = [pay(target, invoice, n) for n in range(40)]
    # So that each travels alone.
    Command.objects.update(tries=1)

    def worker() -> None:
        try:
            send_all()
        finally:
            client.http().close()
            database.close()

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    send_all()

    assert not Attempt.objects.filter(status=429).exists()
    assert created(sandbox, made) == [1] * 40
