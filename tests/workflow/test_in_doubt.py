"""Commands that travelled together and whose outcome is unknown: whatever is done with one, no effect happens twice.

They are payments: nothing at the provider stops a second one.
"""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.boundary import client, limits
from integrations.configuration.reach import access_of
from integrations.failures.categories import Category, Fault
from integrations.models import Attempt, Command, Connection, JournalEntry, Outcome, Token
from integrations.providers import get_adapter
from integrations.providers.base import Request, Response
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.workflow import commands, sending
from integrations.workflow.commands import submit
from integrations.workflow.errors import Refusal
from integrations.workflow.outcomes import IllegalStep, move
from integrations.workflow.parcels import claim
from tests.commanding import due_now, later, send_all
from tests.conftest import TESTER
from tests.providers.xero.test_books import NOW, invoice_content

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def invoice(target: Connection) -> str:
    """The id of an invoice at the provider, of which much is left to pay."""
    contact = submit(target, action="contact.create", content={"name": "Halvorsen Marine AS"}, actor=TESTER)
    send_all()
    contact.refresh_from_db()
    made = submit(target, action="invoice.create", content=invoice_content(contact.external_id), actor=TESTER)
    send_all()
    made.refresh_from_db()
    return made.external_id


@pytest.fixture
def three(target: Connection, invoice: str) -> list[Command]:
    """Payments of a part of the invoice, that travel in one request."""
    content = {"invoice": invoice, "currency": "EUR", "amount": 1000, "paid_at": NOW.isoformat()}
    return [
        submit(target, action="payment.create", content=content, operation_id=f"pay-{n}", actor=TESTER)
        for n in (1, 2, 3)
    ]


def outcomes(made: list[Command]) -> list[str]:
    return [Command.objects.get(pk=command.pk).outcome for command in made]


def paid(sandbox: Sandbox) -> dict[str, int]:
    """How often each payment was made, by the provider's own count."""
    found = sandbox.effects()["by_operation"]
    return {name: told["created"] for name, told in found.items() if name.startswith("pay")}


def cut(sandbox: Sandbox, *more: dict[str, Any]) -> None:
    """Let the next request be lost on its way, and nobody know."""
    sandbox.set_faults({"kind": "cut", "on": "PUT *", "times": 1}, *more)
    send_all()


# -- one is let go


def test_what_travelled_with_one_that_is_looked_for_is_not_repeated(three: list[Command], sandbox: Sandbox) -> None:
    cut(sandbox, {"kind": "error", "on": "GET *", "skip": 1, "times": 1})

    commands.look_for_effect(three[0], actor=TESTER, reason="The bank asks")
    for _ in range(5):
        send_all()
        later()
        due_now()

    assert paid(sandbox) == {"pay-1": 1, "pay-2": 1, "pay-3": 1}
    assert set(outcomes(three)) == {Outcome.ACCEPTED}


@pytest.mark.parametrize("place", [0, 2])
def test_looking_is_looking_whichever_of_them_is_asked_for(three: list[Command], sandbox: Sandbox, place: int) -> None:
    cut(sandbox)

    commands.look_for_effect(three[place], actor=TESTER, reason="The bank asks")
    sending.send_next()

    tried = Attempt.objects.filter(command=three[place]).order_by("pk").values_list("method", flat=True)
    assert list(tried) == ["PUT", "GET"]


def test_what_a_person_knows_not_to_be_there_is_not_made_by_the_others(three: list[Command], sandbox: Sandbox) -> None:
    cut(sandbox)

    commands.resolve(three[0], outcome=Outcome.FAILED, actor=TESTER, reason="Not on the statement")
    for _ in range(4):
        due_now()
        send_all()
        later()

    assert paid(sandbox) == {"pay-2": 1, "pay-3": 1}
    assert outcomes(three) == [Outcome.FAILED, Outcome.ACCEPTED, Outcome.ACCEPTED]


def test_what_was_cancelled_after_it_was_looked_for_is_not_made_by_the_others(
    three: list[Command], sandbox: Sandbox
) -> None:
    cut(sandbox, {"kind": "error", "on": "GET *", "skip": 1, "times": 1})
    commands.look_for_effect(three[0], actor=TESTER, reason="The bank asks")
    later()
    sending.send_next()

    commands.cancel(three[0], actor=TESTER, reason="No longer wanted")
    for _ in range(4):
        due_now()
        send_all()
        later()

    assert paid(sandbox) == {"pay-2": 1, "pay-3": 1}
    assert outcomes(three)[0] == Outcome.CANCELLED


@pytest.mark.parametrize("act", [commands.look_for_effect, commands.resolve])
def test_one_cannot_be_let_go_while_the_others_are_on_their_way(
    three: list[Command], sandbox: Sandbox, target: Connection, act: Any
) -> None:
    cut(sandbox)
    Command.objects.filter(pk=three[0].pk).update(state="parked")
    due_now()
    parcel = claim(target, get_adapter("xero"), uuid.uuid4())
    more = {"outcome": Outcome.FAILED} if act is commands.resolve else {}

    with pytest.raises(Refusal, match="on its way right now"):
        act(three[0], actor=TESTER, reason="The bank asks", **more)

    assert parcel is not None
    assert [command.pk for command in parcel.claimed] == [three[1].pk, three[2].pk]
    assert parcel.remembered(timezone.now())


# -- not there, and perhaps not there yet


def slow_at_first(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Hold the first request back on its way: we hear nothing, and it arrives when it is sent from the list."""
    held: list[Request] = []
    real = client.send

    def send(request: Request) -> Response:
        if request.method == "PUT" and not held:
            held.append(request)
            raise Fault(Category.TIMEOUT, "no_answer", "It did not answer")
        return real(request)

    monkeypatch.setattr(client, "send", send)
    return held


def test_a_request_that_arrives_after_the_look_makes_no_second_effect(
    three: list[Command], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = slow_at_first(monkeypatch)
    send_all()

    commands.look_for_effect(three[0], actor=TESTER, reason="The bank asks")
    send_all()
    client.send(held[0])
    later()
    due_now()
    send_all()

    assert paid(sandbox) == {"pay-1": 1, "pay-2": 1, "pay-3": 1}
    assert set(outcomes(three)) == {Outcome.CONFIRMED}


def test_until_its_request_can_have_arrived_it_waits_and_says_so(three: list[Command], sandbox: Sandbox) -> None:
    cut(sandbox)

    commands.look_for_effect(three[0], actor=TESTER, reason="The bank asks")
    send_all()

    command = Command.objects.get(pk=three[0].pk)
    sent = Attempt.objects.filter(command=command, method="PUT").latest("pk")
    assert (command.outcome, command.state) == (Outcome.UNKNOWN, "waiting")
    assert command.due_at == sent.started_at + timedelta(minutes=5)
    assert command.outcome_reason == "Looked for and not there yet: what was sent may still arrive"


def test_what_the_provider_has_answered_to_is_not_waited_for(three: list[Command], sandbox: Sandbox) -> None:
    body = '{"Type": "ValidationException", "Elements": [{"ValidationErrors": [{"Message": "Amount must be valid"}]}]}'
    cut(sandbox, {"kind": "error", "status": 400, "body": body, "on": "PUT *", "times": 1})

    for _ in range(3):
        due_now()
        send_all()

    assert set(outcomes(three)) == {Outcome.ACCEPTED}
    assert paid(sandbox) == {"pay-1": 1, "pay-2": 1, "pay-3": 1}


@pytest.mark.parametrize("status", [401, 409, 429])
def test_what_was_turned_away_at_the_door_is_waited_for(three: list[Command], sandbox: Sandbox, status: int) -> None:
    cut(sandbox, {"kind": "error", "status": status, "on": "PUT *", "times": 1})
    due_now()
    Connection.objects.update(wait_until=None)
    send_all()

    Connection.objects.update(wait_until=None)
    commands.look_for_effect(three[0], actor=TESTER, reason="The bank asks")
    send_all()

    assert outcomes(three)[0] == Outcome.UNKNOWN
    assert paid(sandbox) == {}


def test_alone_it_goes_again_at_once_under_the_key_that_it_had(
    target: Connection, invoice: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {"invoice": invoice, "currency": "EUR", "amount": 1000, "paid_at": NOW.isoformat()}
    alone = submit(target, action="payment.create", content=content, operation_id="pay-1", actor=TESTER)
    held = slow_at_first(monkeypatch)
    send_all()

    commands.look_for_effect(alone, actor=TESTER, reason="The bank asks")
    send_all()
    client.send(held[0])

    assert outcomes([alone]) == [Outcome.ACCEPTED]
    assert paid(sandbox) == {"pay-1": 1}


def test_a_change_that_is_not_there_does_not_write_over_what_somebody_did_since(
    target: Connection, invoice: str, sandbox: Sandbox
) -> None:
    contact = Command.objects.get(action="contact.create").external_id
    change = submit(target, action="contact.update", external_id=contact, content={"name": "Ours"}, actor=TESTER)
    sandbox.set_faults({"kind": "cut_after", "on": "POST *", "times": 1})
    send_all()
    sandbox.alter("Contacts", contact, Name="Theirs, newer")

    later()
    due_now()
    send_all()

    change.refresh_from_db()
    assert (change.outcome, change.state, change.category) == (Outcome.FAILED, "parked", "business rule")
    assert "somebody may have changed the object since" in change.outcome_reason
    assert list(Attempt.objects.filter(command=change).order_by("pk").values_list("method", flat=True)) == [
        "POST",
        "GET",
    ]


# -- nothing left


def test_what_never_left_is_not_in_doubt_and_travels_together_still(three: list[Command], sandbox: Sandbox) -> None:
    Token.objects.update(expires_at=timezone.now())
    sandbox.set_faults({"kind": "error", "on": "* /connect/token", "times": 1})

    send_all()
    refused = outcomes(three)
    due_now()
    send_all()

    assert set(refused) == {Outcome.SUBMITTED}
    assert set(outcomes(three)) == {Outcome.ACCEPTED}
    assert len(set(Attempt.objects.filter(command__in=three).values_list("key", flat=True))) == 1


def test_after_a_429_they_travel_together_again(three: list[Command], sandbox: Sandbox) -> None:
    sandbox.set_faults({"kind": "rate_limit", "on": "PUT *", "times": 1, "retry_after": 0})

    send_all()
    due_now()
    send_all()

    assert set(outcomes(three)) == {Outcome.ACCEPTED}
    assert Attempt.objects.filter(command__in=three).values("key").distinct().count() == 2


@pytest.mark.parametrize("message", ["The document date cannot be before the period lock date", "Name must be unique"])
def test_refused_as_a_whole_for_the_data_of_one_each_goes_alone(
    three: list[Command], sandbox: Sandbox, message: str
) -> None:
    body = f'{{"Type": "ValidationException", "Elements": [{{"ValidationErrors": [{{"Message": "{message}"}}]}}]}}'
    sandbox.set_faults({"kind": "error", "status": 400, "body": body, "on": "PUT *", "times": 1})

    send_all()

    assert set(outcomes(three)) == {Outcome.ACCEPTED}


def test_what_cannot_be_repeated_at_all_is_parked_after_its_tries(three: list[Command], sandbox: Sandbox) -> None:
    cut(sandbox)
    Command.objects.filter(pk__in=[command.pk for command in three]).update(request_id=10**12)

    for _ in range(12):
        due_now()
        send_all()

    assert set(Command.objects.filter(outcome=Outcome.UNKNOWN).values_list("state", flat=True)) == {"parked"}


def test_nothing_leaves_once_the_lease_is_over(
    three: list[Command], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = access_of

    def slow(connection: Connection) -> Any:
        Command.objects.filter(state="leased").update(leased_until=timezone.now() - timedelta(seconds=1))
        return real(connection)

    monkeypatch.setattr(sending, "access_of", slow)
    sending.send_next()

    assert outcomes(three) == [Outcome.SUBMITTED] * 3
    assert not Attempt.objects.filter(command__in=three).exists()


def test_a_longer_wait_that_was_told_before_is_kept(three: list[Command], sandbox: Sandbox, target: Connection) -> None:
    sandbox.set_faults({"kind": "rate_limit", "on": "PUT *", "times": 1, "retry_after": 1})
    Connection.objects.filter(pk=target.pk).update(wait_until=None)

    real = client.send

    def told_meanwhile(request: Request) -> Response:
        limits.told_to_wait(target, 3600)
        return real(request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "send", told_meanwhile)
        sending.send_next()

    target.refresh_from_db()
    assert target.wait_until is not None
    assert target.wait_until > timezone.now() + timedelta(minutes=50)


# -- operation ids and outcomes


@pytest.mark.parametrize("name", ["opération", "op~2", 'a"b', "a\\b", " op", "op ", "o" * 51])
def test_an_operation_id_that_could_not_travel_is_refused(target: Connection, name: str) -> None:
    with pytest.raises(Refusal, match="An operation id has at most 50"):
        submit(target, action="contact.create", content={"name": "A"}, operation_id=name, actor=TESTER)

    assert not Command.objects.exists()


def test_a_known_id_is_answered_at_a_disabled_connection_too(target: Connection) -> None:
    asked: dict[str, Any] = {"action": "contact.create", "content": {"name": "A"}, "actor": TESTER}
    first = submit(target, operation_id="op-1", **asked)
    target.disabled_at = timezone.now()

    assert submit(target, operation_id="op-1", **asked).pk == first.pk
    with pytest.raises(Refusal, match="is disabled"):
        submit(target, operation_id="op-2", **asked)


@pytest.mark.parametrize(
    ("before", "after"),
    [(Outcome.CONFIRMED, Outcome.SENT), (Outcome.CANCELLED, Outcome.SENT), (Outcome.SUBMITTED, Outcome.CONFIRMED)],
)
def test_an_outcome_that_does_not_follow_is_never_set(before: str, after: str) -> None:
    command = Command(operation_id="op-1", outcome=before)

    with pytest.raises(IllegalStep, match="op-1"):
        move(command, after, "no reason")

    assert command.outcome == before


def test_the_journal_tells_of_a_look_in_vain(three: list[Command], sandbox: Sandbox) -> None:
    cut(sandbox)

    commands.look_for_effect(three[0], actor=TESTER, reason="The bank asks")
    send_all()

    looked = JournalEntry.objects.filter(action="command.looked_for", lane="commands").order_by("pk")
    assert looked.count() == 3
    assert "not there yet; looked for again at" in looked[0].summary
