"""A thousand invoices, paid at one provider and exported to the books: both sides are equal to the cent.

Answers of the books are lost on their way. Some invoices are paid in part: of those the books would take a payment
twice, and say so by what was paid.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import httpx
import pytest
from django.test import Client

from console.models import Role
from integrations.canonical.money import DECIMALS
from integrations.models import Command, Connection, Copy, CopyState, Outcome, Record, Stream, Tenant
from integrations.providers.xero.sandbox.harness import Sandbox
from tests.books import books, books_process, connect_books, held, make_route
from tests.conftest import connected, person, signed, webhook_body
from tests.prepared import Prepared, run_prepared
from tests.processes import Product, wait_until
from tests.stripe_objects import invoice_object, payment_object, refund_object

__all__ = ["books", "books_process"]
pytestmark = pytest.mark.fault

INVOICES = 1000
CUSTOMERS = 150
CREATED = 1_763_000_000
CURRENCIES = ("eur", "usd", "jpy", "kwd")
SECONDS = 150.0
#: What is received of an invoice that is paid in part, in minor units.
PART = 10
WEATHER = (
    {"kind": "cut_after", "on": "PUT */Payments", "probability": 0.2},
    {"kind": "cut_after", "on": "PUT *", "probability": 0.05},
)


@dataclass
class Business:
    """What happened at the provider: its objects, and what the books are to say of them."""

    invoices: dict[str, dict[str, Any]] = field(default_factory=dict)
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)

    def received(self) -> dict[str, int]:
        """Return what was collected for each invoice."""
        found: dict[str, int] = defaultdict(int)
        for payment in self.payments.values():
            if payment["status"] == "succeeded":
                found[payment["payment_details"]["order_reference"]] += payment["amount_received"]
        return found


def make_business(prepared: Prepared) -> Business:
    """Make customers, invoices of every fate, their payments, those that failed too, and refunds."""
    business = Business()
    for number in range(CUSTOMERS):
        # Every tenth is called like the one before it.
        name = f"Company {number - (number % 10 == 9)} Ltd"
        prepared.put({"id": f"cus_{number:04}", "object": "customer", "created": CREATED, "name": name,
                      "email": f"ap{number}@company.example", "currency": None, "livemode": False})  # fmt: skip
    for number in range(INVOICES):
        _bill(business, number)
    prepared.put(*business.invoices.values(), *business.payments.values(), *business.refunds.values())
    return business


def _bill(business: Business, number: int) -> None:
    currency = CURRENCIES[number % 4]
    net, fate = 10 * (1 + number * 37 % 9_999), _fate(number)
    tax = 10 * (net * 19 // 1000) if number % 3 else 0
    external_id, total, created = f"in_{number:04}", net + tax, CREATED + number * 60
    in_part = fate == "open" and number % 10 == 3
    received = total if fate == "paid" else PART if in_part else 0
    business.invoices[external_id] = invoice_object(
        external_id, number=f"NW-{number:04}", customer=f"cus_{number % CUSTOMERS:04}", currency=currency,
        created=created, status=fate, subtotal=net, total_taxes=[{"amount": tax}] if tax else [], total=total,
        amount_due=total, amount_paid=received,
        status_transitions={"finalized_at": None if fate == "draft" else created + 60,
                            "paid_at": created + 3600 if fate == "paid" else None},
    )  # fmt: skip
    if received or number % 10 == 1:
        _pay(business, number, received or total, currency, succeeded=bool(received))
    if fate == "paid" and number % 8 == 0:
        business.refunds[f"re_{number:04}"] = refund_object(
            f"re_{number:04}", payment_intent=f"pi_{number:04}", currency=currency, created=created + 7200,
            amount=total if number % 16 == 0 else 10, status="failed" if number % 40 == 0 else "succeeded",
        )  # fmt: skip


def _fate(number: int) -> str:
    match number % 10:
        case 1:
            return "open"
        case 3:
            return "void" if number % 4 == 3 else "open"
        case 5:
            return "uncollectible" if number % 4 == 1 else "draft"
    return "paid"


def _pay(business: Business, number: int, total: int, currency: str, *, succeeded: bool) -> None:
    business.payments[f"pi_{number:04}"] = payment_object(
        f"pi_{number:04}", currency=currency, amount=total, amount_received=total if succeeded else 0,
        created=CREATED + number * 60 + 1800, status="succeeded" if succeeded else "requires_payment_method",
        latest_charge={"id": f"ch_{number:04}", "object": "charge", "created": CREATED + number * 60 + 1860,
                       "status": "succeeded", "amount_refunded": 0} if succeeded else None,
        last_payment_error=None if succeeded else {"code": "card_declined"},
        payment_details={"order_reference": f"in_{number:04}"},
    )  # fmt: skip


@pytest.fixture
def prepared() -> Iterator[Prepared]:
    with run_prepared() as made:
        yield made


def tell(product: Product, connection: Connection, event_type: str, obj: dict[str, Any], at: int) -> None:
    """Send one webhook to the web."""
    body = webhook_body(event_type, obj, created=at)
    answer = httpx.post(f"{product.url}/hooks/{connection.public_id}/", content=body, headers=signed(body))
    assert answer.status_code == 200


def test_both_sides_are_equal_to_the_cent(product: Product, prepared: Prepared, books: Sandbox) -> None:
    tenant = Tenant.objects.create(slug="both-sides", name="Both sides")
    target = connect_books(tenant, books)
    business = make_business(prepared)
    source = connected(tenant, api_base=prepared.url)
    Stream.objects.filter(connection=source).update(every=86_400)
    books.set_faults(*WEATHER)
    make_route(source, target)

    wait_until("everything has arrived and gone on", lambda: _at_rest(source, len(prepared_ids(prepared))), SECONDS)
    _go_on(business, product, prepared, source)
    wait_until("what changed since went on", lambda: _at_rest(source, len(prepared_ids(prepared))), SECONDS)

    assert all(books.struck())
    books.set_faults()
    _compare_invoices(business, books)
    _compare_refunds(business, books)
    made_once = books.effects()["by_operation"]
    assert Counter(each["created"] for each in made_once.values() if each["created"]).keys() == {1}
    wait_until("all that was asked for was seen there", lambda: not _unseen(target), SECONDS)
    _tell_the_whole_story(tenant)


def prepared_ids(prepared: Prepared) -> list[str]:
    return [external_id for held_there in prepared.held.values() for external_id in held_there]


def _at_rest(source: Connection, records: int) -> bool:
    """Say whether all records are here, and every export is done or left out."""
    if Record.objects.filter(connection=source).count() < records:
        return False
    states = dict(Counter(Copy.objects.filter(route__source=source).values_list("state", flat=True)))
    return sum(states.values()) >= records and not states.keys() - {CopyState.EXPORTED, CopyState.NOT_NEEDED}


def _go_on(business: Business, product: Product, prepared: Prepared, source: Connection) -> None:
    """Let open invoices be paid at the second try, and others be voided; the webhooks tell of it."""
    # Later than what was read, by the provider's clock.
    at = int(time.time()) + 2
    for number in range(1, INVOICES, 50):
        invoice, payment = business.invoices[f"in_{number:04}"], business.payments[f"pi_{number:04}"]
        payment |= {"status": "succeeded", "amount_received": invoice["total"], "last_payment_error": None}
        invoice |= {"status": "paid", "amount_paid": invoice["total"],
                    "status_transitions": invoice["status_transitions"] | {"paid_at": at}}  # fmt: skip
        prepared.put(invoice, payment)
        tell(product, source, "payment_intent.succeeded", payment, at)
        tell(product, source, "invoice.paid", invoice, at)
    for number in range(11, INVOICES, 100):
        invoice = business.invoices[f"in_{number:04}"]
        invoice["status"] = "void"
        prepared.put(invoice)
        tell(product, source, "invoice.voided", invoice, at)
    wait_until("the changes are believed", lambda: _believed(source, at), SECONDS)


def _believed(source: Connection, at: int) -> bool:
    voided = Record.objects.filter(connection=source, kind="invoice", state="void", transitions__version__gt=1)
    paid = Record.objects.filter(connection=source, kind="payment", state="succeeded", transitions__version__gt=1)
    return voided.count() >= len(range(11, INVOICES, 100)) and paid.count() >= len(range(1, INVOICES, 50))


def _major(minor: int, currency: str) -> Decimal:
    return Decimal(minor).scaleb(-DECIMALS[currency.upper()])


def _tax(invoice: dict[str, Any]) -> int:
    return sum(tax["amount"] for tax in invoice["total_taxes"])


def _tax_back(minor: int, invoice: dict[str, Any]) -> Decimal:
    """Return the tax in the one refund of an invoice, to the last decimal that the books keep."""
    currency = invoice["currency"]
    step = Decimal(1) if currency == "jpy" else Decimal("0.01")
    exact: Decimal = _major(minor, currency) * _tax(invoice) / invoice["total"]
    return exact.quantize(step, ROUND_HALF_UP)


def _compare_invoices(business: Business, books: Sandbox) -> None:
    there = {row["InvoiceNumber"]: row for row in held(books, "Invoices")}
    received = business.received()
    for external_id, invoice in business.invoices.items():
        row, currency = there.pop(invoice["number"], None), invoice["currency"]
        if row is None:
            assert invoice["status"] in ("draft", "void"), external_id
            continue
        total, paid = _major(invoice["total"], currency), _major(received[external_id], currency)
        told = tuple(Decimal(str(row[name])) for name in ("Total", "AmountPaid", "AmountDue"))
        assert Decimal(str(row["TotalTax"])) == _major(_tax(invoice), currency), external_id
        # What is due on a voided invoice is nobody's any more.
        void = invoice["status"] == "void"
        assert told == (total, paid, told[2] if void else total - paid), external_id
        assert row["CurrencyCode"] == currency.upper()
        assert row["Status"] == ("VOIDED" if void else "PAID" if paid == total else "AUTHORISED"), external_id
    assert not there


def _compare_refunds(business: Business, books: Sandbox) -> None:
    there = {row["CreditNoteNumber"]: row for row in held(books, "CreditNotes")}
    for external_id, refund in business.refunds.items():
        row = there.pop(external_id, None)
        if refund["status"] != "succeeded":
            assert row is None
            continue
        assert row is not None
        assert Decimal(str(row["Total"])) == _major(refund["amount"], refund["currency"])
        invoice = business.invoices[f"in_{external_id[3:]}"]
        assert Decimal(str(row["TotalTax"])) == _tax_back(refund["amount"], invoice), external_id
        assert row["Status"] == "PAID"
    assert not there


def _unseen(target: Connection) -> int:
    return Command.objects.filter(connection=target).exclude(outcome=Outcome.CONFIRMED).count()


def _tell_the_whole_story(tenant: Tenant) -> None:
    """One record's page names both providers, and what happened at each."""
    client = Client()
    client.force_login(person("reader", tenant, Role.SUPPORT), backend="django.contrib.auth.backends.ModelBackend")
    copy = Copy.objects.filter(record__tenant=tenant, record__data__number="NW-0000").get()

    text = client.get(f"/both-sides/test/records/{copy.record_id}/").content.decode()

    for words in ("in_0000", copy.external_id, "Exported to", "Create invoice", "seen at Books, confirmed", "Stripe"):
        assert words in text
