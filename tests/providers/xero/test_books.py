"""The adapter against books that keep Xero's rules: what it writes is there, once, and found again."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from integrations.boundary.mapping import Mapped, apply, load_document
from integrations.failures.categories import Category, Fault
from integrations.providers.base import Access, Effect, Intent, Item, Request, Response
from integrations.providers.xero import client
from integrations.providers.xero.adapter import MAPPING, XeroAdapter
from integrations.providers.xero.client import XeroSettings
from integrations.providers.xero.sandbox.harness import Sandbox, run_sandbox

ADAPTER = XeroAdapter()
DOCUMENT = load_document(MAPPING)
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with run_sandbox() as made:
        made.set_limits(enforced=False)
        yield made


class Books:
    """One organisation, asked through the adapter."""

    def __init__(self, sandbox: Sandbox, http: httpx.Client) -> None:
        self.http = http
        settings = XeroSettings(
            tenant_id=sandbox.tenant_id,
            client_id=sandbox.client_id,
            api_base=sandbox.url,
            identity_base=sandbox.url,
            page_size=7,
        )
        secrets = {"client_secret": sandbox.client_secret, "refresh_token": sandbox.tokens()[1]}
        pair = ADAPTER.refresh(Access(settings, secrets), self.send)
        self.access = Access(settings, {**secrets, **pair.secrets})

    def send(self, request: Request) -> Response:
        answer = self.http.request(
            request.method, request.url, params=list(request.query) or None,
            headers=dict(request.headers), content=request.body or None,
        )  # fmt: skip
        return Response(answer.status_code, dict(answer.headers), answer.content, datetime.now(UTC))

    def ask(self, *intents: Intent, key: str = "") -> list[Effect]:
        """Send intents in one request; raises the fault of the first that was refused."""
        return ADAPTER.effects(intents, self.send(ADAPTER.compose(self.access, intents, key or uuid.uuid4().hex)))

    def do(self, action: str, external_id: str = "", **content: Any) -> tuple[Intent, str]:
        """Have one intent done; return it with the id of its object."""
        intent = intent_to(action, external_id, **content)
        (effect,) = self.ask(intent)
        if effect.fault:
            raise effect.fault
        return intent, effect.external_id

    def fetch(self, resource: str, external_id: str) -> Item:
        found = ADAPTER.fetch(self.access, self.send, resource, external_id)[1].item
        assert found
        return found

    def believe(self, resource: str, external_id: str) -> Mapped:
        """An object in our words."""
        return apply(DOCUMENT, resource, self.fetch(resource, external_id).obj)

    def walk(self, resource: str, since: datetime | None = None) -> list[Item]:
        """A whole list."""
        items, cursor = list[Item](), None
        while True:
            _, page = ADAPTER.list_page(self.access, self.send, resource, cursor, since)
            items += page.items
            if page.next_cursor is None:
                return items
            cursor = page.next_cursor


@pytest.fixture
def books(sandbox: Sandbox) -> Iterator[Books]:
    sandbox.empty()
    with httpx.Client() as http:
        yield Books(sandbox, http)


def intent_to(action: str, external_id: str = "", **content: Any) -> Intent:
    return Intent(f"op-{uuid.uuid4().hex[:12]}", action, external_id, content)


def contact(books: Books, name: str = "Halvorsen Marine AS") -> str:
    return books.do("contact.create", name=f"{name} {uuid.uuid4().hex[:6]}", email="ap@halvorsen.example")[1]


def invoice_content(customer: str, **fields: Any) -> dict[str, Any]:
    return {
        "number": f"INV-{uuid.uuid4().hex[:8]}", "customer": customer, "currency": "EUR", "subtotal": 20001,
        "tax": 4999, "total": 25000, "issued_at": NOW.isoformat(), "due_at": (NOW + timedelta(days=14)).isoformat(),
        "state": "open",
    } | fields  # fmt: skip


def test_the_whole_life_of_an_invoice(books: Books) -> None:
    content = invoice_content(contact(books))
    made, invoice = books.do("invoice.create", **content)
    paid, payment = books.do("payment.create", invoice=invoice, currency="EUR", amount=25000, paid_at=NOW.isoformat())

    believed = books.believe("invoice", invoice)

    assert believed.state == "paid"
    told = ("number", "subtotal", "tax", "total", "amount_due", "amount_paid")
    assert {name: believed.data[name] for name in told} == {
        "number": content["number"], "subtotal": 20001, "tax": 4999, "total": 25000, "amount_due": 0,
        "amount_paid": 25000,
    }  # fmt: skip
    assert believed.data["issued_at"] == f"{NOW:%Y-%m-%d}T00:00:00Z"
    assert believed.links == (("customer", "contact", content["customer"]),)
    assert books.believe("payment", payment).data["amount"] == 25000
    assert ADAPTER.operation_of("invoice", books.fetch("invoice", invoice).obj) == made.operation_id
    assert ADAPTER.operation_of("payment", books.fetch("payment", payment).obj) == paid.operation_id


def test_a_refund_is_a_credit_note_that_is_paid_out(books: Books) -> None:
    made, note = books.do(
        "credit_note.create", number="CN-1", customer=contact(books), currency="EUR", amount=4999,
        issued_at=NOW.isoformat(), reason="Broken on arrival",
    )  # fmt: skip
    assert books.believe("credit_note", note).state == "pending"

    refund, found = books.do(
        "credit_note.refund", credit_note=note, currency="EUR", amount=4999, paid_at=NOW.isoformat()
    )

    believed = books.believe("credit_note", note)
    assert found == note
    assert (believed.state, believed.data["amount"], believed.data["reason"]) == (
        "succeeded",
        4999,
        "Broken on arrival",
    )
    assert ADAPTER.shows(refund, books.fetch("credit_note", note).obj, {})
    assert ADAPTER.shows(made, books.fetch("credit_note", note).obj, {})
    assert books.walk("payment") == []


@pytest.mark.parametrize(("currency", "minor"), [("EUR", 1), ("EUR", 123456789012), ("JPY", 5000), ("USD", 110)])
def test_amounts_come_back_to_the_last_unit(books: Books, currency: str, minor: int) -> None:
    content = invoice_content(contact(books), currency=currency, subtotal=minor, tax=0, total=minor)

    _, invoice = books.do("invoice.create", **content)

    assert books.believe("invoice", invoice).data["total"] == minor


def changes(books: Books) -> Mapping[str, tuple[Intent, str]]:
    """One intent of each action that changes something, and what it changes, before it is done."""
    customer = contact(books)
    first, second, third = (books.do("invoice.create", **invoice_content(customer))[1] for _ in range(3))
    _, payment = books.do("payment.create", invoice=third, currency="EUR", amount=25000, paid_at=NOW.isoformat())
    _, note = books.do(
        "credit_note.create", number="CN-2", customer=customer, currency="EUR", amount=5, issued_at=NOW.isoformat()
    )
    _, paid_out = books.do(
        "credit_note.create", number="CN-9", customer=customer, currency="EUR", amount=5, issued_at=NOW.isoformat()
    )
    books.do("credit_note.refund", credit_note=paid_out, currency="EUR", amount=5, paid_at=NOW.isoformat())
    (refund,) = books.fetch("credit_note", paid_out).obj["Payments"]
    found = {
        "contact.update": intent_to("contact.update", customer, name="Halvorsen Shipping", email="b@halvorsen.example"),
        "invoice.update": intent_to(
            "invoice.update", first, **invoice_content(customer, subtotal=100, tax=20, total=120)
        ),
        "invoice.void": intent_to("invoice.void", second),
        "payment.delete": intent_to("payment.delete", payment),
        "credit_note.take_back": intent_to("credit_note.take_back", paid_out, payment=refund["PaymentID"]),
        "credit_note.void": intent_to("credit_note.void", note),
    }
    return {action: (intent, ADAPTER.actions[action].resource) for action, intent in found.items()}


def test_what_is_changed_shows_and_did_not_before(books: Books) -> None:
    for intent, resource in changes(books).values():
        assert not ADAPTER.shows(intent, books.fetch(resource, intent.external_id).obj, {}), intent.action
        assert ADAPTER.find_effect(books.access, books.send, intent)[1] is None

        (effect,) = books.ask(intent)

        assert effect.fault is None, intent.action
        assert effect.external_id == intent.external_id
        assert ADAPTER.shows(intent, books.fetch(resource, intent.external_id).obj, {}), intent.action
        assert ADAPTER.find_effect(books.access, books.send, intent)[1] is not None


def creations(books: Books) -> list[Intent]:
    """One intent of each action that makes something."""
    customer = contact(books)
    _, invoice = books.do("invoice.create", **invoice_content(customer))
    number: dict[str, Any] = {"customer": customer, "currency": "EUR", "amount": 5000, "issued_at": NOW.isoformat()}
    _, note = books.do("credit_note.create", number="CN-3", **number)
    money: dict[str, Any] = {"currency": "EUR", "amount": 5000, "paid_at": NOW.isoformat()}
    return [
        intent_to("contact.create", name="Fjord Logistics", email="ap@fjord.example"),
        intent_to("invoice.create", **invoice_content(customer)),
        intent_to("payment.create", invoice=invoice, **money),
        intent_to("credit_note.create", number="CN-4", **number),
        intent_to("credit_note.refund", credit_note=note, **money),
    ]


def test_a_refund_that_a_person_undid_is_found_all_the_same(books: Books) -> None:
    """Sent again, it would pay out once more what somebody took back on purpose."""
    money: dict[str, Any] = {"currency": "EUR", "amount": 5000}
    _, note = books.do("credit_note.create", customer=contact(books), issued_at=NOW.isoformat(), number="CN-5", **money)
    refund, _ = books.do("credit_note.refund", credit_note=note, paid_at=NOW.isoformat(), **money)
    (payment,) = books.fetch("credit_note", note).obj["Payments"]
    books.ask(intent_to("payment.delete", payment["PaymentID"]))

    _, found = ADAPTER.find_effect(books.access, books.send, refund)

    assert found
    assert (found.external_id, found.obj["Status"]) == (note, "DELETED")
    assert ADAPTER.shows(refund, found.obj, {})


def test_what_was_made_before_an_answer_got_lost_is_found(books: Books) -> None:
    for intent in creations(books):
        assert ADAPTER.find_effect(books.access, books.send, intent)[1] is None, intent.action

        (made,) = books.ask(intent)
        _, found = ADAPTER.find_effect(books.access, books.send, intent)

        assert found is not None, intent.action
        assert found.external_id == made.external_id
        assert ADAPTER.find_effect(books.access, books.send, replace(intent, operation_id="op-other"))[1] is None


def test_the_same_key_has_one_effect(sandbox: Sandbox, books: Books) -> None:
    for intent in creations(books):
        first, second = (books.ask(intent, key=f"key-{intent.operation_id}") for _ in range(2))

        assert first == second
        assert sandbox.effects()["by_operation"][intent.operation_id]["created"] == 1


def test_a_batch_of_fifty_goes_through_but_for_those_that_are_refused(books: Books) -> None:
    customer = contact(books)
    intents = [intent_to("invoice.create", **invoice_content(customer)) for _ in range(50)]
    intents[7] = replace(intents[7], content={**intents[7].content, "customer": str(uuid.uuid4())})
    intents[30] = replace(intents[30], content={**intents[30].content, "number": intents[2].content["number"]})

    effects = books.ask(*intents)

    assert [place for place, effect in enumerate(effects) if effect.fault] == [7, 30]
    faults = [effect.fault for effect in effects if effect.fault]
    assert [fault.field for fault in faults] == ["customer", "number"]
    assert all(fault.category == Category.VALIDATION for fault in faults)
    made = [books.fetch("invoice", effect.external_id).obj for effect in effects[:3]]
    assert [obj["Reference"] for obj in made] == [intent.operation_id for intent in intents[:3]]


def test_what_the_books_refuse_names_the_field(books: Books) -> None:
    customer = contact(books)
    _, invoice = books.do("invoice.create", **invoice_content(customer))
    wrong = {
        "amount": intent_to("payment.create", invoice=invoice, currency="EUR", amount=25001, paid_at=NOW.isoformat()),
        "invoice": intent_to(
            "payment.create", invoice=str(uuid.uuid4()), currency="EUR", amount=1, paid_at=NOW.isoformat()
        ),
        "email": intent_to("contact.create", name="No Mail", email="nobody at nowhere"),
    }
    for field, intent in wrong.items():
        (effect,) = books.ask(intent)

        assert effect.fault is not None, field
        assert effect.fault.category == Category.VALIDATION
        assert effect.fault.field == field


def test_a_paid_invoice_is_not_voided(books: Books) -> None:
    _, invoice = books.do("invoice.create", **invoice_content(contact(books)))
    books.do("payment.create", invoice=invoice, currency="EUR", amount=25000, paid_at=NOW.isoformat())

    with pytest.raises(Fault) as refused:
        books.do("invoice.void", invoice)

    assert refused.value.category == Category.BUSINESS


def test_lists_are_walked_page_by_page_and_by_what_changed(sandbox: Sandbox, books: Books) -> None:
    ids = {contact(books) for _ in range(20)}
    since = datetime.now(UTC) + timedelta(hours=1)
    sandbox.set_clock(skew=7200)
    changed = sorted(ids)[3]
    books.do("contact.update", changed, name="Renamed", email="new@halvorsen.example")
    sandbox.set_clock(skew=0)

    assert {item.external_id for item in books.walk("contact")} == ids
    assert [item.external_id for item in books.walk("contact", since)] == [changed]


def test_what_was_deleted_stays_in_the_list_and_says_so(sandbox: Sandbox, books: Books) -> None:
    _, invoice = books.do("invoice.create", **invoice_content(contact(books), state="draft"))
    books.do("invoice.void", invoice, state="draft")

    (item,) = books.walk("invoice")

    assert apply(DOCUMENT, "invoice", item.obj).state == "deleted"


def test_what_is_gone_is_found_to_be_none(sandbox: Sandbox, books: Books) -> None:
    customer = contact(books)
    sandbox.lose("Contacts", customer, gone=True)

    assert ADAPTER.fetch(books.access, books.send, "contact", customer)[1].item is None


def test_the_organisation_is_named(books: Books) -> None:
    assert ADAPTER.check(books.access, books.send).name == "Northwind Books"


def test_an_organisation_that_the_app_may_not_see_is_refused(sandbox: Sandbox, books: Books) -> None:
    settings = XeroSettings.model_validate({**books.access.settings.model_dump(), "tenant_id": str(uuid.uuid4())})

    with pytest.raises(Fault) as refused:
        ADAPTER.check(replace(books.access, settings=settings), books.send)

    assert refused.value.category == Category.AUTHORIZATION


def test_an_expired_token_is_named(sandbox: Sandbox, books: Books) -> None:
    sandbox.expire_tokens()

    with pytest.raises(Fault) as refused:
        books.walk("contact")

    assert (refused.value.category, refused.value.code) == (Category.TIMEOUT, "token_expired")


def test_several_are_the_same_as_each_by_itself(sandbox: Sandbox, books: Books) -> None:
    contacts = [contact(books) for _ in range(3)]
    sandbox.lose("Contacts", contacts[1])
    invoices = [books.do("invoice.create", **invoice_content(contacts[0]))[1] for _ in range(2)]
    books.do("payment.create", invoice=invoices[1], currency="EUR", amount=100, paid_at=NOW.isoformat())

    for resource, ids in (("contact", contacts), ("invoice", invoices)):
        told = ADAPTER.fetch_several(books.access, books.send, resource, [*ids, str(uuid.uuid4())])[1]

        assert {name: found.item.obj for name, found in told.items() if found.item} == {
            external_id: books.fetch(resource, external_id).obj for external_id in ids
        }


def test_limits_are_told_and_obeyed(sandbox: Sandbox, books: Books) -> None:
    sandbox.set_limits(enforced=True, minute=2)
    told = [
        books.send(Request("GET", f"{sandbox.url}/api.xro/2.0/Contacts", (), client.headers(books.access)))
        for _ in range(3)
    ]
    sandbox.set_limits(enforced=False, minute=60)

    left = [ADAPTER.remaining(response) for response in told[:2]]
    assert [one.this_minute for one in left if one] == [1, 0]
    fault = ADAPTER.classify(told[2])
    assert fault is not None
    assert (fault.category, fault.code) == (Category.RATE_LIMIT, "minute")
    assert fault.retry_after is not None
    assert 0 < fault.retry_after <= 60
