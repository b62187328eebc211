"""A command by hand: the adapter's own schema makes the form, and one form makes one command."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pydantic import BaseModel

from console.access import grant
from console.commands.fields import ContentForm
from console.models import Role, User
from integrations.configuration.connect import connect
from integrations.models import Breaker, BreakerState, Command, Connection, JournalEntry, Record, Tenant, WorkState
from integrations.models import Link as Tie
from integrations.providers.base import ActionSpec
from integrations.workflow import commands
from tests.conftest import TESTER, connected

pytestmark = pytest.mark.django_db

OPERATION = "op_0123456789abcdef0123"
REFUND = {"payment": "pi_0001", "amount": "26.40", "currency": "EUR", "reason": "Asked by phone"}
INVOICE = {
    "number": "INV-0042", "customer": "c-1", "currency": "EUR", "subtotal": "100.00", "tax": "19.00", "total": "119.00",
    "issued_at": "2026-11-18T09:15", "due_at": "", "state": "open", "reason": "It was sold by phone",
}  # fmt: skip


@pytest.fixture
def books(tenant: Tenant) -> Connection:
    values = {"tenant_id": "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f", "client_id": "0123456789ABCDEF"}
    return connect(tenant, provider="xero", name="Books", environment="test", values=values, actor=TESTER)


@pytest.fixture
def as_operations(client_of: Callable[[User], Client], operations: User) -> Client:
    return client_of(operations)


def url(connection: Connection, action: str, operation: str = "") -> str:
    base = f"/northwind/{connection.environment}/commands/new/{connection.pk}/{action}/"
    return f"{base}{operation}/" if operation else base


def send(client: Client, connection: Connection, action: str = "refund.create", **typed: str) -> Any:
    return client.post(url(connection, action, OPERATION), named(REFUND | typed if "refund" in action else typed))


def named(typed: dict[str, str]) -> dict[str, str]:
    """Return what was typed as the form sends it: why it is asked for is no part of the content."""
    return {name if name == "reason" else f"content-{name}": value for name, value in typed.items()}


def test_a_form_makes_one_command_with_exact_minor_units(
    as_operations: Client, connection: Connection, operations: User
) -> None:
    answer = send(as_operations, connection)

    command = Command.objects.get()
    assert answer.headers["Location"] == f"/northwind/test/commands/{command.pk}/"
    assert command.content == {"payment": "pi_0001", "amount": 2640, "currency": "EUR"}
    assert (command.operation_id, command.action, command.state) == (OPERATION, "refund.create", WorkState.READY)
    assert (command.asked_by, command.reason) == (operations.name, "Asked by phone")
    assert JournalEntry.objects.get(action="command.submitted").reason == "Asked by phone"


def test_the_reason_of_the_question_is_not_that_of_the_content(as_operations: Client, connection: Connection) -> None:
    """Both are called so at one provider: each has its own box."""
    page = as_operations.get(url(connection, "refund.create", OPERATION)).content.decode()

    assert page.count('name="reason"') == page.count('name="content-reason"') == 1
    assert "Reason told there" in page


def test_sent_twice_it_stays_one_command(as_operations: Client, connection: Connection) -> None:
    first, second = send(as_operations, connection), send(as_operations, connection)

    assert Command.objects.count() == 1
    assert first.headers["Location"] == second.headers["Location"]


def test_the_id_stands_in_the_address_so_that_a_reload_asks_for_the_same(
    as_operations: Client, connection: Connection
) -> None:
    opened = as_operations.get(url(connection, "refund.create")).headers["Location"]
    again = as_operations.get(url(connection, "refund.create")).headers["Location"]

    assert opened.startswith(url(connection, "refund.create") + "op_")
    assert opened != again
    assert f'action="{opened}"' in as_operations.get(opened).content.decode()
    assert not Command.objects.exists()


def test_the_way_back_to_a_sent_form_leads_to_its_command(as_operations: Client, connection: Connection) -> None:
    sent = send(as_operations, connection)

    back = as_operations.get(url(connection, "refund.create", OPERATION), follow=True)

    assert back.redirect_chain[0][0] == sent.headers["Location"]
    assert "This form was sent already" in back.content.decode()


def test_sent_again_with_other_content_it_is_refused(as_operations: Client, connection: Connection) -> None:
    send(as_operations, connection)

    answer = send(as_operations, connection, amount="99.00")

    assert answer.status_code == 422
    assert "sent already with other content: Refund payment pi_0001 in Stripe" in answer.content.decode()
    assert Command.objects.get().content["amount"] == 2640


def test_a_command_that_one_may_not_see_is_not_told_of(
    client_of: Callable[[User], Client], tenant: Tenant, connection: Connection
) -> None:
    other = connected(tenant, "Other")
    commands.submit(other, action="invoice.void", content={}, external_id="in_1", operation_id=OPERATION, actor=TESTER)
    visitor = User.objects.create_user(username="v@x.example", email="v@x.example", password="right horse")
    grant(visitor, Role.OPERATIONS, tenant, by="the tests", connection=connection)

    answer = send(client_of(visitor), connection)

    assert answer.status_code == 422
    assert "Void invoice" not in answer.content.decode()


@pytest.mark.parametrize("operation", ["op_world", "op_0123", "xop_0123456789abcdef0123"])
def test_only_ids_that_were_made_here_open_a_form(
    as_operations: Client, connection: Connection, operation: str
) -> None:
    assert as_operations.get(url(connection, "refund.create", operation)).status_code == 404


@pytest.mark.parametrize("action", ["refund.undo", "contact.create"])
def test_what_the_provider_cannot_be_asked_for_has_no_form(
    as_operations: Client, connection: Connection, action: str
) -> None:
    assert as_operations.get(url(connection, action)).status_code == 404


def test_it_says_where_in_which_environment_and_under_which_id(as_operations: Client, connection: Connection) -> None:
    page = as_operations.get(url(connection, "refund.create", OPERATION)).content.decode()

    assert "Refund payment in Stripe, test" in page
    assert "This is Stripe’s test environment." in page
    assert OPERATION in page


def test_in_live_it_says_that_it_is_real(as_operations: Client, tenant: Tenant) -> None:
    live = connected(tenant, environment="live")

    page = as_operations.get(url(live, "refund.create", OPERATION)).content.decode()

    assert "This is live: what Stripe does is real." in page
    assert "Refund payment in Stripe, live" in page


def test_without_a_reason_nothing_is_asked_for_and_what_was_typed_stays(
    as_operations: Client, connection: Connection
) -> None:
    answer = send(as_operations, connection, reason=" ")

    assert answer.status_code == 422
    assert 'value="26.40"' in answer.content.decode()
    assert not Command.objects.exists()


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"amount": "26,40"}, "amount", "Write digits alone"),
        ({"amount": "1,234.00"}, "amount", "Write digits alone"),
        ({"amount": "-5"}, "amount", "Write digits alone"),
        ({"amount": "26.401"}, "amount", "EUR has 2 decimals."),
        ({"amount": "26.40", "currency": "JPY"}, "amount", "JPY has no decimals."),
        ({"amount": "0"}, "amount", "greater than 0"),
        ({"amount": "99999999999999.00"}, "amount", "9007199254740991"),
        ({"amount": ""}, "amount", "required"),
        ({"currency": "EUX"}, "currency", "There is no currency EUX."),
        ({"payment": ""}, "payment", "required"),
        ({"payment": "p" * 300}, "payment", "at most 255 characters"),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field(
    as_operations: Client, connection: Connection, typed: dict[str, str], field: str, said: str
) -> None:
    answer = send(as_operations, connection, **typed)

    assert answer.status_code == 422
    assert said in " ".join(answer.context["form"].errors[field])
    assert not Command.objects.exists()


def test_small_letters_are_taken_for_a_currency(as_operations: Client, connection: Connection) -> None:
    send(as_operations, connection, currency="jpy", amount="2640")

    assert Command.objects.get().content == {"payment": "pi_0001", "amount": 2640, "currency": "JPY"}


def test_times_are_typed_in_utc_and_what_is_left_out_is_left_out(as_operations: Client, books: Connection) -> None:
    send(as_operations, books, "invoice.create", **INVOICE)

    assert Command.objects.get().content == {
        "number": "INV-0042", "customer": "c-1", "currency": "EUR", "subtotal": 10_000, "tax": 1_900, "total": 11_900,
        "issued_at": "2026-11-18T09:15:00Z", "state": "open",
    }  # fmt: skip


def test_sums_that_do_not_add_up_are_refused_before_anything_is_sent(as_operations: Client, books: Connection) -> None:
    answer = send(as_operations, books, "invoice.create", **INVOICE | {"total": "120.00"})

    assert answer.status_code == 422
    assert "The total is not the subtotal and the tax together." in answer.content.decode()


def test_what_acts_on_an_object_asks_for_its_id(as_operations: Client, connection: Connection) -> None:
    without = send(as_operations, connection, "invoice.void", reason="x")
    send(as_operations, connection, "invoice.void", reason="x", **{"external-id": "in_1"})

    assert without.context["form"].errors.keys() == {"external-id"}
    command = Command.objects.get()
    assert (command.external_id, command.content, command.summary) == ("in_1", {}, "Void invoice in_1 in Stripe")


class Odd(BaseModel):
    """What no adapter here asks with, and another package's may."""

    count: int
    share: float | None = None
    told: bool = False
    lines: list[dict[str, str]]
    amount: int


def test_a_schema_of_another_package_has_a_form_too() -> None:
    typed = named({"count": "3", "lines": '[{"sku": "A"}]', "amount": "250", "told": "on"})

    form = ContentForm(typed, spec=ActionSpec("thing.do", "thing", "Do a thing", creates=True, content=Odd))

    assert form.is_valid(), form.errors
    assert form.values == {"count": 3, "told": True, "lines": [{"sku": "A"}], "amount": 250}


def test_an_action_that_takes_anything_takes_json() -> None:
    form = ContentForm(
        named({"whole-content": '{"a": 1}'}), spec=ActionSpec("thing.do", "thing", "Do a thing", creates=True)
    )

    assert form.is_valid(), form.errors
    assert form.values == {"a": 1}


def test_a_disabled_connection_is_not_asked(as_operations: Client, connection: Connection) -> None:
    Connection.objects.filter(pk=connection.pk).update(disabled_at=timezone.now())

    page = as_operations.get(url(connection, "refund.create", OPERATION)).content.decode()

    assert "Stripe is disabled. Enable it first." in page
    assert '<button class="button primary' not in page
    assert "Send a command" not in as_operations.get(f"/northwind/test/connections/{connection.pk}/").content.decode()


def test_a_paused_connection_and_an_open_breaker_say_that_it_waits(
    as_operations: Client, connection: Connection
) -> None:
    Breaker.objects.create(connection=connection, state=BreakerState.OPEN)
    broken = as_operations.get(url(connection, "refund.create", OPERATION)).content.decode()
    Connection.objects.filter(pk=connection.pk).update(paused_at=timezone.now())
    paused = as_operations.get(url(connection, "refund.create", OPERATION)).content.decode()

    assert "The breaker of Stripe is open: it waits until that closes." in broken
    assert "Stripe is paused: it waits until somebody resumes it." in paused


def test_the_page_of_a_connection_offers_what_its_provider_does(
    as_operations: Client, client_of: Callable[[User], Client], support: User, connection: Connection
) -> None:
    address = f"/northwind/test/connections/{connection.pk}/"

    assert url(connection, "refund.create") in as_operations.get(address).content.decode()
    assert "Send a command" not in client_of(support).get(address).content.decode()


def test_the_page_of_a_record_offers_what_is_about_it(
    as_operations: Client, connection: Connection, books: Connection, make_record: Callable[..., Record]
) -> None:
    payment, invoice = make_record("payment"), make_record("invoice", data={"number": "INV-0042"})

    of_payment = as_operations.get(f"/northwind/test/records/{payment.pk}/").content.decode()
    of_invoice = as_operations.get(f"/northwind/test/records/{invoice.pk}/").content.decode()

    assert f"{url(connection, 'refund.create')}?record={payment.pk}" in of_payment
    assert "invoice.void" not in of_payment
    assert f"{url(connection, 'invoice.void')}?record={invoice.pk}" in of_invoice
    assert url(books, "invoice.void") not in of_invoice  # It is not there.


def test_from_a_record_the_form_knows_its_ids_and_leaves_the_amount_to_the_person(
    as_operations: Client, connection: Connection, make_record: Callable[..., Record]
) -> None:
    payment = make_record("payment", external_id="pi_0042", data={"amount": 11_900, "currency": "EUR"})

    page = as_operations.get(f"{url(connection, 'refund.create', OPERATION)}?record={payment.pk}")

    form = page.context["form"]
    assert (form["payment"].value(), form["currency"].value(), form["amount"].value()) == ("pi_0042", "EUR", None)


def test_from_a_record_of_its_own_kind_the_form_knows_its_fields_in_major_units(
    as_operations: Client, connection: Connection, books: Connection, make_record: Callable[..., Record]
) -> None:
    customer = make_record("customer", external_id="c-1", on=books)
    invoice = make_record("invoice", external_id="i-1", on=books, state="open", data={
        "number": "INV-0042", "currency": "EUR", "subtotal": 10_000, "tax": 1_900, "total": 11_900,
        "issued_at": "2026-11-18T09:15:00Z"})  # fmt: skip
    customer.references.update(resource="contact")
    Tie.objects.create(record=invoice, field="customer", target=customer)

    page = as_operations.get(f"{url(books, 'invoice.update', OPERATION)}?record={invoice.pk}").content.decode()

    for shown in ('value="i-1"', 'value="c-1"', 'value="INV-0042"', 'value="119.00"', 'value="2026-11-18T09:15"'):
        assert shown in page


def test_a_command_from_a_record_stands_on_its_page(
    as_operations: Client, connection: Connection, make_record: Callable[..., Record]
) -> None:
    invoice = make_record("invoice", external_id="in_1", data={"number": "INV-0042"})
    typed = {"external-id": "in_1", "reason": "It was never sold"}

    as_operations.post(f"{url(connection, 'invoice.void', OPERATION)}?record={invoice.pk}", named(typed))

    command = Command.objects.get()
    assert (command.record, command.summary) == (invoice, "Void invoice INV-0042 in Stripe")


def test_a_hidden_record_opens_no_form(
    as_operations: Client, connection: Connection, other_connection: Connection, make_record: Callable[..., Record]
) -> None:
    hidden = make_record("payment", on=other_connection)

    assert as_operations.get(f"{url(connection, 'refund.create')}?record={hidden.pk}").status_code == 404


@pytest.mark.parametrize("role", ["support", "finance", "auditor", "administrator"])
def test_other_roles_are_refused(
    request: pytest.FixtureRequest, client_of: Callable[[User], Client], connection: Connection, role: str
) -> None:
    assert send(client_of(request.getfixturevalue(role)), connection).status_code == 403
    assert not Command.objects.exists()
