"""Repeating a request: as it was and under its key, for as long as that is known; else its effect is looked for."""

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from integrations.configuration import settings
from integrations.models import Attempt, Command, Connection, Failure, Outcome
from integrations.providers import get_adapter
from integrations.providers.xero.sandbox.harness import Sandbox
from tests.books import cents_for
from tests.commanding import ask, created, due_now, later, pay, send_all, state_of
from tests.conftest import TESTER
from tests.providers.xero.test_books import invoice_content

pytestmark = pytest.mark.django_db(transaction=True)

#: Seconds.
TIME_TO_ANSWER = django_settings.PROVIDER_TIMEOUT


@pytest.mark.parametrize("kind", ["cut", "cut_after", "error", "error_after"])
def test_without_a_clear_answer_the_same_bytes_leave_again_under_the_same_key(
    target: Connection, sandbox: Sandbox, invoice: str, kind: str
) -> None:
    made = [pay(target, invoice, n) for n in range(3)]
    sandbox.set_faults({"kind": kind, "on": "PUT *", "times": 1})

    send_all()
    assert {state_of(command) for command in made} == {(Outcome.UNKNOWN, "waiting")}
    assert Failure.objects.filter(resolved_at=None).count() == 3
    due_now()
    send_all()

    assert {state_of(command) for command in made} == {(Outcome.ACCEPTED, "waiting")}
    tries = Attempt.objects.filter(command=made[0]).values_list("key", "request_id")
    assert (len(tries), len(set(tries))) == (2, 1)
    assert created(sandbox, made) == [1, 1, 1]
    assert not Failure.objects.filter(resolved_at=None).exists()


@pytest.mark.parametrize(
    ("action", "setting", "account"),
    [("payment.create", "payment_account", "880"), ("invoice.create", "sales_account", "260")],
)
def test_a_repetition_arrives_as_the_first_try_did_whatever_was_set_since(
    target: Connection, sandbox: Sandbox, invoice: str, action: str, setting: str, account: str
) -> None:
    customer = ask(target)
    send_all()
    state_of(customer)
    contents = {
        "payment.create": [cents_for(invoice)] * 2,
        "invoice.create": [invoice_content(customer.external_id) for _ in range(2)],
    }
    made = [ask(target, action=action, content=content) for content in contents[action]]
    sandbox.set_faults({"kind": "cut", "on": "PUT *", "times": 1})
    send_all()

    settings.change(target, values={setting: account}, actor=TESTER, reason="The accountant wants it so")
    due_now()
    send_all()

    assert {state_of(command)[0] for command in made} == {Outcome.ACCEPTED}
    first, again = [(entry["key"], entry["sha256"]) for entry in sandbox.log() if "key" in entry][-2:]
    assert first == again
    assert created(sandbox, made) == [1, 1]


def test_after_an_answer_that_nobody_can_read_the_effect_is_looked_for(
    target: Connection, sandbox: Sandbox, invoice: str
) -> None:
    command = pay(target, invoice)
    sandbox.set_faults({"kind": "malformed", "on": "PUT *", "times": 1})

    send_all()
    assert state_of(command) == (Outcome.UNKNOWN, "waiting")
    due_now()
    send_all()

    assert state_of(command) == (Outcome.CONFIRMED, "done")
    assert created(sandbox, [command]) == [1]


@pytest.mark.parametrize(("kind", "left"), [("cut", Outcome.ACCEPTED), ("cut_after", Outcome.CONFIRMED)])
def test_once_the_key_is_forgotten_the_effect_is_looked_for_first(
    target: Connection, sandbox: Sandbox, invoice: str, kind: str, left: str
) -> None:
    made = [pay(target, invoice, n) for n in range(3)]
    sandbox.set_faults({"kind": kind, "on": "PUT *", "times": 1})
    send_all()
    sandbox.set_clock(advance=400)
    later()

    due_now()
    send_all()
    due_now()
    send_all()

    assert {state_of(command)[0] for command in made} == {left}
    assert created(sandbox, made) == [1, 1, 1]


@pytest.mark.parametrize(
    ("left", "methods"),
    [
        # Its repetition could arrive when the key is forgotten: a provider has so long to answer.
        (1, ["PUT", "GET"]),
        (TIME_TO_ANSWER - 1, ["PUT", "GET"]),
        (TIME_TO_ANSWER + 30, ["PUT", "PUT"]),
    ],
)
def test_a_key_that_could_be_forgotten_under_way_is_not_used_again(
    target: Connection, sandbox: Sandbox, invoice: str, left: float, methods: list[str]
) -> None:
    made = [pay(target, invoice, n) for n in range(3)]
    sandbox.set_faults({"kind": "cut_after", "on": "PUT *", "times": 1})
    send_all()
    since = timezone.now() - get_adapter("xero").key_lifetime + timedelta(seconds=left)
    Command.objects.filter(pk__in=[command.pk for command in made]).update(key_since=since)

    due_now()
    send_all()

    for command in made:
        tried = Attempt.objects.filter(command=command).order_by("pk").values_list("method", flat=True)
        assert list(tried) == methods
    assert created(sandbox, made) == [1, 1, 1]


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
