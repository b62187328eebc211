"""One business on Stripe: what it can do, each by the official SDK."""

import itertools
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import stripe

from integrations.providers.stripe.sandbox import names
from integrations.providers.stripe.sandbox.api import CALM

GOOD_CARD = "4242424242424242"
BAD_CARD = "4000000000000341"  # can be attached, is declined when charged
CAREFUL_CARD = "4000002500003155"  # asks for authentication
SLOW_REFUND_CARD = "4000000000007726"  # refunds stay pending for a while
SHARES = {"eur": 5, "usd": 3, "gbp": 2, "jpy": 1}
TAXES = {"eur": "19", "gbp": "20", "jpy": "10", "usd": "0"}
MEMORY = 300


@dataclass(frozen=True)
class Buyer:
    """A customer as the shop remembers it."""

    id: str
    name: str
    email: str
    currency: str


class Shop:
    """A business that remembers a bounded number of its customers and sales."""

    def __init__(self, key: str, url: str, seed: str) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a demo, the same each time
        self.buyers: deque[Buyer] = deque(maxlen=MEMORY)
        self.customers = 0
        self.invoices = 0
        self._taxes: dict[str, str] = {}
        stripe.enable_telemetry = False
        self._client = stripe.StripeClient(key, base_addresses={"api": url + CALM}, max_network_retries=1)
        self._api = self._client.v1

    # -- memory

    def remember(self) -> None:
        """Learn the latest customers, after a restart."""
        found = self._api.customers.list({"limit": 100}).auto_paging_iter()
        for one in reversed(list(itertools.islice(found, MEMORY))):
            currency = one.currency or self.random.choice(list(SHARES))
            self.buyers.append(Buyer(one.id, one.name or "", one.email or "", currency))

    def buyer(self) -> Buyer:
        """A customer who buys again."""
        return self.random.choice(self.buyers) if self.buyers else self.sign_up()

    # -- customers

    def sign_up(self, card: str = GOOD_CARD, currency: str = "") -> Buyer:
        """A new customer with a card."""
        currency = currency or self._pick(SHARES)
        name = self._company(currency)
        host = name.lower().split()[0] + "-" + name.lower().split()[1]
        city, country, code = self.random.choice(names.PLACES[currency])
        method = self._card(card)
        params = {
            "name": name,
            "email": f"accounts@{host}.example",
            "address": {
                "line1": f"{self.random.randrange(1, 180)} {self.random.choice(names.STREETS)}",
                "city": city,
                "country": country,
                "postal_code": code,
            },
            "payment_method": method,
            "invoice_settings": {"default_payment_method": method},
            "metadata": {"crm_id": f"C-{self.random.randrange(10_000, 99_999)}"},
        }
        found = self._api.customers.create(cast(Any, params))
        self.customers += 1
        buyer = Buyer(found.id, name, str(params["email"]), currency)
        self.buyers.append(buyer)
        return buyer

    def _company(self, currency: str) -> str:
        first, second = self.random.choice(names.FIRST), self.random.choice(names.SECOND)
        return f"{first} {second} {self.random.choice(names.LEGAL[currency])}"

    def _card(self, number: str) -> str:
        card = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"}
        method = self._api.payment_methods.create(cast(Any, {"type": "card", "card": card}))
        return method.id

    def change_card(self, buyer: Buyer, card: str = GOOD_CARD) -> None:
        """The customer pays with another card from now on."""
        method = self._card(card)
        self._api.payment_methods.attach(method, {"customer": buyer.id})
        settings = {"invoice_settings": {"default_payment_method": method}}
        self._api.customers.update(buyer.id, cast(Any, settings))

    def move(self, buyer: Buyer) -> None:
        """The customer's invoices go to another address."""
        host = buyer.email.partition("@")[2]
        desk = self.random.choice(("finance", "invoices", "ap", "office"))
        self._api.customers.update(buyer.id, {"email": f"{desk}@{host}"})

    def leave(self, buyer: Buyer) -> None:
        """The customer goes away, and is deleted."""
        if buyer in self.buyers:
            self.buyers.remove(buyer)
        self._api.customers.delete(buyer.id)

    # -- invoices

    def draft(self, buyer: Buyer) -> str:
        """A draft invoice of one to three lines; returns its id."""
        for _ in range(self.random.randrange(1, 4)):
            self._api.invoice_items.create(
                {
                    "customer": buyer.id,
                    "amount": self.amount(buyer.currency),
                    "currency": buyer.currency,
                    "description": self.random.choice(names.GOODS),
                }
            )
        params = {
            "customer": buyer.id,
            "days_until_due": self.random.choice((14, 30)),
            "collection_method": "charge_automatically",
            "auto_advance": False,
            "pending_invoice_items_behavior": "include",
            "default_tax_rates": self._tax_rates(buyer.currency),
            "metadata": {"order": f"SO-{self.random.randrange(100_000, 999_999)}"},
        }
        self.invoices += 1
        return str(self._api.invoices.create(cast(Any, params)).id)

    def amount(self, currency: str) -> int:
        """A price in the currency's smallest unit: yen have no cents."""
        whole = self.random.choice((19, 49, 79, 120, 240, 490, 990, 1450))
        return whole * 150 if currency == "jpy" else whole * 100

    def _tax_rates(self, currency: str) -> list[str]:
        percentage = TAXES[currency]
        if percentage == "0":
            return []
        if currency not in self._taxes:
            params = {"display_name": "VAT", "percentage": percentage, "inclusive": False}
            self._taxes[currency] = self._api.tax_rates.create(cast(Any, params)).id
        return [self._taxes[currency]]

    def finalize(self, invoice: str) -> None:
        """The draft becomes an open invoice with a number."""
        self._api.invoices.finalize_invoice(invoice)

    def pay(self, invoice: str) -> bool:
        """Charge the customer's card; returns whether it was accepted."""
        try:
            self._api.invoices.pay(invoice)
        except stripe.CardError:
            return False
        return True

    def void(self, invoice: str) -> None:
        """The invoice was a mistake."""
        self._api.invoices.void_invoice(invoice)

    def write_off(self, invoice: str) -> None:
        """Nobody will pay the invoice."""
        self._api.invoices.mark_uncollectible(invoice)

    def discard(self, invoice: str) -> None:
        """Delete a draft."""
        self._api.invoices.delete(invoice)

    def book(self, invoice: str) -> None:
        """Note on the invoice that it is in the books."""
        entry = f"J-{self.random.randrange(10_000, 99_999)}"
        self._api.invoices.update(invoice, {"metadata": {"booked": entry}})

    # -- payments

    def charge(self, buyer: Buyer, card: str = GOOD_CARD, *, confirm: bool = True) -> str:
        """A payment without an invoice; returns its id."""
        params = {
            "amount": self.amount(buyer.currency),
            "currency": buyer.currency,
            "customer": buyer.id,
            "payment_method": self._card(card),
            "confirm": confirm,
        }
        return str(self._api.payment_intents.create(cast(Any, params)).id)

    def authenticate(self, payment: str) -> None:
        """The customer proves that the card is theirs."""
        secret = self._api.payment_intents.retrieve(payment).client_secret
        self._client.raw_request(
            "post",
            f"/v1/payment_intents/{payment}/_authenticate",
            client_secret=secret,
            success="true",
        )

    def cancel(self, payment: str) -> None:
        """The order was called off before it was paid."""
        self._api.payment_intents.cancel(payment, {"cancellation_reason": "abandoned"})

    def payment_of(self, invoice: str) -> str:
        """The payment intent that paid an invoice."""
        found = self._api.invoices.retrieve(invoice, {"expand": ["payments"]})
        payments: Iterable[Any] = found.payments.data if found.payments else ()
        return str(next(iter(payments)).payment.payment_intent)

    def refund(self, payment: str, share: float = 1.0) -> None:
        """Give back a share of a payment."""
        params: dict[str, Any] = {"payment_intent": payment, "reason": "requested_by_customer"}
        if share < 1:
            received = self._api.payment_intents.retrieve(payment).amount_received
            params["amount"] = max(1, int(received * share))
        self._api.refunds.create(cast(Any, params))

    def _pick(self, shares: dict[str, int]) -> str:
        return self.random.choices(list(shares), list(shares.values()))[0]
