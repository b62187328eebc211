"""What is believed of a record, in sentences: what it is, how it stands, and what is in its way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from console import values, wording
from integrations.canonical import DELETED
from integrations.models import Failure, Record


@dataclass(frozen=True)
class Belief:
    """`what`: the record's plain facts; `why`: how it stands and what happens next. Both are markup."""

    what: SafeString
    why: SafeString


@dataclass(frozen=True)
class Teller:
    """A record with what its sentences need. `url_of` leads to another record's page."""

    record: Record
    linked: Mapping[str, Record]
    now: datetime
    url_of: Callable[[Record], str]

    @property
    def state(self) -> str:
        return self.record.state

    def money(self, field: str) -> str:
        minor = self.record.data.get(field)
        return (
            wording.money(minor, self.record.data.get("currency") or "") if type(minor) is int else "an unknown amount"
        )

    def has(self, field: str) -> bool:
        """Whether there is an amount, and it is not zero."""
        return bool(self.record.data.get(field))

    def at(self, field: str) -> datetime | None:
        return values.moment_of(self.record.data.get(field))

    def day(self, field: str) -> SafeString:
        at = self.at(field)
        return values.told_day(at, self.now) if at else mark_safe("an unknown day")

    def time(self, field: str) -> SafeString:
        """The time with its word: "at 14:04", "on 18 Nov, 16:41"."""
        at = self.at(field)
        return values.told_on(at, self.now) if at else mark_safe("at an unknown time")

    def other(self, field: str, missing: str) -> SafeString:
        """Return the linked record of a field as a link, its id where it is no record here, else `missing`."""
        target = self.linked.get(field)
        if target:
            return format_html('<a href="{}">{}</a>', self.url_of(target), target.label)
        external_id = self.record.data.get(field)
        return format_html("<code>{}</code>", external_id) if external_id else conditional_escape(missing)


def tell(teller: Teller, failure: Failure | None, provider: str) -> Belief:
    """Return the sentences about a record; `failure` is what keeps newer evidence from being believed."""
    what, how = _KINDS.get(teller.record.kind, (_thing, _thing_stands))
    stands = how(teller) if teller.state != DELETED else _deleted(teller, provider)
    return Belief(_join(what(teller)), _join([*stands, *_stuck(teller, failure, provider)]))


def _join(sentences: list[Any]) -> SafeString:
    return format_html_join(" ", "{}", ((sentence,) for sentence in sentences if sentence))


def _deleted(teller: Teller, provider: str) -> list[Any]:
    return [format_html("<b>Deleted at {}.</b>", provider), "What was believed of it until then is kept."]


def _stuck(teller: Teller, failure: Failure | None, provider: str) -> list[Any]:
    record = teller.record
    if record.stuck_since is None:
        return []
    since = values.told_ago(record.stuck_since, teller.now)
    waits = record.waits_for or "a person"
    stuck = format_html("Newer evidence from {} came {} and <b>waits for {}</b>", provider, since, waits)
    if failure is None:
        return [format_html("{}.", stuck), "Until then, belief stays as it is."]
    said = failure.message.rstrip(".")
    return [format_html("{}: {}.", stuck, said), "Until then, belief stays as it is."]


def _thing(teller: Teller) -> list[Any]:
    return [
        f"{teller.record.kind.capitalize()} since",
        format_html("{}.", values.told_day(teller.record.occurred_at, teller.now)),
    ]


def _thing_stands(teller: Teller) -> list[Any]:
    return [format_html("It is <b>{}</b>.", teller.state.replace("_", " "))]


def _invoice(teller: Teller) -> list[Any]:
    tax = f", with {teller.money('tax')} tax" if teller.has("tax") else ""
    first = format_html("Invoice to {}{}.", teller.other("customer", "nobody in particular"), tax)
    if not teller.at("issued_at"):
        return [first, format_html("Drafted {}.", teller.day("created_at"))]
    due = format_html(", due {}", teller.day("due_at")) if teller.at("due_at") else ""
    return [first, format_html("Issued {}{}.", teller.day("issued_at"), due)]


def _invoice_stands(teller: Teller) -> list[Any]:
    total, paid = teller.money("total"), teller.money("amount_paid")
    if teller.state == "paid":
        at = format_html(" {}", teller.time("paid_at")) if teller.at("paid_at") else ""
        part = "in full" if teller.record.data.get("amount_paid") == teller.record.data.get("total") else f"with {paid}"
        return [format_html("<b>Paid {}</b>{}.", part, at)]
    if teller.state == "open":
        return _open_invoice(teller, total, paid)
    sentences = {
        "draft": f"A draft over {total}: nobody has been asked to pay it yet.",
        "void": f"Void: the {total} are not to be paid any more.",
        "uncollectible": f"Given up: {teller.money('amount_due')} are not expected any more. It may still be paid.",
    }
    return [sentences.get(teller.state, f"It is {teller.state}.")]


def _open_invoice(teller: Teller, total: str, paid: str) -> list[Any]:
    due = teller.at("due_at")
    some = f", {paid} of it has been paid" if teller.has("amount_paid") else ""
    if due and due < teller.now:
        late = values.told_age(due, teller.now)
        return [format_html("<b>Not paid, {} overdue</b>: {} is asked{}.", late, total, some)]
    by = format_html(" by {}", values.told_day(due, teller.now)) if due else ""
    return [format_html("<b>Waits to be paid</b>: {} is asked{}{}.", total, by, some)]


def _payment(teller: Teller) -> list[Any]:
    invoice = teller.other("invoice", "")
    purpose = format_html(" for {}", invoice) if invoice else ""
    return [
        format_html(
            "Payment of {} by {}{}.", teller.money("amount"), teller.other("customer", "somebody unnamed"), purpose
        ),
        format_html("Begun {}.", teller.time("created_at")),
    ]


def _payment_stands(teller: Teller) -> list[Any]:
    reason = teller.record.data.get("failure_reason")
    because = format_html(" (<code>{}</code>)", reason) if reason else ""
    sentences: dict[str, Any] = {
        "pending": "Nothing has been collected yet.",
        "requires_action": mark_safe("<b>The customer has to do something</b>, such as confirm at their bank."),
        "processing": "The money is on its way; the bank has not said yes yet.",
        "succeeded": format_html("<b>{} was collected.</b>", teller.money("amount_received")),
        "canceled": "It was called off; nothing will be collected.",
        "failed": format_html("<b>The last try failed</b>{}. The customer may try again by another means.", because),
    }
    refunded = f"{teller.money('amount_refunded')} of it went back." if teller.has("amount_refunded") else ""
    return [sentences.get(teller.state, f"It is {teller.state}."), refunded]


def _refund(teller: Teller) -> list[Any]:
    reason = teller.record.data.get("reason")
    because = f", because: {reason.replace('_', ' ')}" if isinstance(reason, str) else ""
    of = teller.other("payment", "a payment that is not named")
    return [format_html("Refund of {} from {}{}.", teller.money("amount"), of, because), _asked(teller)]


def _asked(teller: Teller) -> SafeString:
    return format_html("Asked for {}.", teller.time("created_at"))


def _refund_stands(teller: Teller) -> list[Any]:
    amount = teller.money("amount")
    sentences: dict[str, Any] = {
        "pending": f"{amount} is on its way back.",
        "succeeded": format_html("<b>{} went back to the customer.</b>", amount),
        "failed": mark_safe("<b>The money did not go back.</b> The customer’s bank refused it, or returned it later."),
        "canceled": "It was called off; the money stays.",
    }
    return [sentences.get(teller.state, f"It is {teller.state}.")]


def _customer(teller: Teller) -> list[Any]:
    currency = teller.record.data.get("currency")
    billed = f", billed in {currency}" if currency else ""
    return [format_html("Customer since {}{}.", teller.day("created_at"), billed)]


def _customer_stands(teller: Teller) -> list[Any]:
    return ["Active: invoices and payments may name it."]


Sentences = Callable[[Teller], list[Any]]

_KINDS: dict[str, tuple[Sentences, Sentences]] = {
    "customer": (_customer, _customer_stands),
    "invoice": (_invoice, _invoice_stands),
    "payment": (_payment, _payment_stands),
    "refund": (_refund, _refund_stands),
}
