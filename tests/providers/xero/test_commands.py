"""Commands to the books, through the engine: sent once, and confirmed by what the books show afterwards."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.boundary.client import http
from integrations.models import Command, Connection, Outcome, Stream, Tenant, Token
from integrations.providers.xero.sandbox.harness import Sandbox, run_sandbox
from integrations.workflow import commands, runs, sending
from tests.books import cents_for, held, make_invoices
from tests.conftest import TESTER
from tests.fake_provider import work_off
from tests.providers.xero.connecting import connect_to
from tests.providers.xero.test_books import NOW, invoice_content

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with run_sandbox() as made:
        made.set_limits(enforced=False)
        yield made
    http().close()


@pytest.fixture
def books(sandbox: Sandbox, tenant: Tenant) -> Connection:
    made = connect_to(sandbox, tenant)
    Connection.objects.update(limits={"per_minute": None, "per_day": None, "at_once": None})
    return made


def submit(books: Connection, action: str, external_id: str = "", **content: Any) -> Command:
    return commands.submit(books, action=action, content=content, external_id=external_id, actor=TESTER)


def sent(*asked: Command) -> list[Command]:
    """Send everything that is due; return the commands as they are then."""
    while sending.send_next():
        pass
    return [Command.objects.get(pk=command.pk) for command in asked]


def look() -> None:
    """Read every stream of the books again."""
    for stream in Stream.objects.all():
        runs.ask(stream, actor=TESTER)
    work_off()


def done(*asked: Command) -> list[Command]:
    """Have commands sent and confirmed; return them."""
    accepted = sent(*asked)
    assert [(one.outcome, one.outcome_reason) for one in accepted if one.outcome != Outcome.ACCEPTED] == []
    look()
    confirmed = [Command.objects.get(pk=command.pk) for command in asked]
    assert [one.action for one in confirmed if one.outcome != Outcome.CONFIRMED] == []
    return confirmed


def test_every_action_is_done_once_and_confirmed_by_what_the_books_show(sandbox: Sandbox, books: Connection) -> None:
    day = NOW.isoformat()
    (customer,) = done(submit(books, "contact.create", name="Halvorsen Marine AS", email="ap@halvorsen.example"))
    content = invoice_content(customer.external_id)
    first, second, note = done(
        submit(books, "invoice.create", **content),
        submit(books, "invoice.create", **invoice_content(customer.external_id)),
        submit(
            books, "credit_note.create", number="CN-1", customer=customer.external_id, currency="EUR", amount=5000,
            issued_at=day,
        ),
    )  # fmt: skip
    payment, refund = done(
        submit(books, "payment.create", invoice=first.external_id, currency="EUR", amount=25000, paid_at=day),
        submit(books, "credit_note.refund", credit_note=note.external_id, currency="EUR", amount=5000, paid_at=day),
    )
    (paid_out,) = held(sandbox, "CreditNotes")
    done(
        submit(books, "payment.delete", payment.external_id),
        submit(books, "credit_note.take_back", note.external_id, payment=paid_out["Payments"][0]["PaymentID"]),
    )
    (other,) = done(
        submit(
            books, "credit_note.create", number="CN-2", customer=customer.external_id, currency="EUR", amount=70,
            issued_at=day,
        )
    )  # fmt: skip
    done(
        submit(books, "invoice.void", second.external_id),
        submit(books, "credit_note.void", other.external_id),
        submit(books, "credit_note.void", note.external_id),
        submit(books, "contact.update", customer.external_id, name="Halvorsen Shipping", email="b@halvorsen.example"),
        submit(books, "invoice.update", first.external_id, **content | {"subtotal": 100, "tax": 0, "total": 100}),
    )

    counted = sandbox.effects()["by_operation"]
    made = [one.operation_id for one in (customer, first, second, note, payment, refund, other)]
    assert [counted[operation]["created"] for operation in made] == [1] * 7
    assert not Command.objects.exclude(outcome=Outcome.CONFIRMED).exists()


def test_an_answer_that_is_lost_leads_to_no_second_effect(sandbox: Sandbox, books: Connection) -> None:
    payment = lost_payment(sandbox, books)

    Command.objects.filter(pk=payment.pk).update(due_at=timezone.now())
    done(payment)

    assert sandbox.effects()["by_operation"][payment.operation_id]["created"] == 1


def test_after_its_key_is_forgotten_the_effect_is_looked_for(sandbox: Sandbox, books: Connection) -> None:
    payment = lost_payment(sandbox, books)
    hour_ago = timezone.now() - timedelta(hours=1)
    sandbox.set_clock(advance=3600)
    Token.objects.filter(replaced_at=None).update(expires_at=hour_ago)
    Command.objects.filter(pk=payment.pk).update(due_at=timezone.now(), key_since=hour_ago)

    sent(payment)
    look()

    assert Command.objects.get(pk=payment.pk).outcome == Outcome.CONFIRMED
    assert sandbox.effects()["by_operation"][payment.operation_id]["created"] == 1


def lost_payment(sandbox: Sandbox, books: Connection) -> Command:
    """Have a cent paid for a large invoice, which could be paid again, and the answer lost."""
    (invoice,) = make_invoices(sandbox, 1)
    sandbox.set_faults({"kind": "cut_after", "on": "PUT *", "times": 1})
    (lost,) = sent(submit(books, "payment.create", **cents_for(invoice)))
    assert lost.outcome == Outcome.UNKNOWN
    return lost
