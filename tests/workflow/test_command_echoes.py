"""What a provider shows of commands' effects: it confirms them, hangs on their records, and changes no belief."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from integrations.models import Command, Connection, Event, Outcome, Record, Reference, Stream, Transition
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.workflow import confirming, process, runs, sending, stuck, sync
from integrations.workflow.commands import submit
from tests.commanding import ask, due_now, see, send_all, state_of
from tests.conftest import TESTER, in_thread, wait_until_in_the_way
from tests.fake_provider import work_off

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_evidence_locks_records_before_commands_as_answers_do(
    target: Connection, record: Record, sandbox: Sandbox
) -> None:
    """In another order, the two would wait for each other."""
    command = ask(target, record=record)
    sandbox.set_faults({"kind": "cut_after", "on": "PUT *", "times": 1})
    send_all()
    read(target)

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        stuck.lock([record.pk])
        settled = pool.submit(in_thread, process.process_batch)
        wait_until_in_the_way()
        Command.objects.select_for_update(nowait=True).get(pk=command.pk)

    assert settled.result() is None
    assert state_of(command) == (Outcome.CONFIRMED, "done")


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
