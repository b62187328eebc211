"""What becomes of our records in the books: invoices to contacts, payments on them, and credit notes for refunds.

Xero adds up what it is given: the total is the sum of the lines and their tax, what is due follows from the
payments. So an invoice goes there with its net amount, which is the total less the tax, whatever was taken off
before. Days count there and no hours.
https://developer.xero.com/documentation/api/accounting/invoices
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from integrations.canonical.invoice import outstanding
from integrations.canonical.money import DECIMALS, major_text
from integrations.providers.exporting import Ask, Await, Expected, Hold, Impossible, Made, Nothing, Part, Plan
from integrations.providers.xero.crediting import tax_of
from integrations.providers.xero.days import day_in, noon_of, zone_in
from integrations.providers.xero.undoing import GIVEN_UP, holds_of, keep_payment, take_back, void_invoice

#: Amounts are kept with as many decimals, whatever the currency has.
_DECIMALS: Final = 2
_LONGEST: Final = 255
_ISSUED: Final = frozenset({"open", "paid"})


class XeroExporter:
    """The rules by which records go into the books."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that the books take, in the order in which they need each other."""
        return tuple(_PLANS)

    @property
    def peers(self) -> Mapping[str, tuple[str, ...]]:
        """The refunds of one invoice share its tax among them."""
        return _PEERS

    def plan(self, part: Part) -> Plan:
        """Say what is to be done next for a record to stand in the books as it does here."""
        plan = _PLANS.get(part.kind)
        return plan(part) if plan else Nothing(f"The books know no {part.kind}.")

    def holds(self, obj: Mapping[str, Any]) -> tuple[Hold, ...]:
        """Return what hangs on an object as the books show it."""
        return holds_of(obj)

    def expected(self, part: Part) -> Expected | None:
        """Say how its object is to look by what was made; None where nothing was."""
        expect = _EXPECTED.get(part.kind)
        return expect(part) if expect and part.made else None


def _customer(part: Part) -> Plan:
    sent = _sent(part, "contact.create", "contact.update")
    if sent is None:
        return Ask("contact.create", _contact(part))
    if part.state == "deleted":
        return Nothing("It was deleted here. Its contact stays, because documents name it.")
    content = _contact(part)
    if sent.content.get("email"):
        # An address that was taken away here goes there, too.
        content.setdefault("email", None)
    return _changed(part, "contact.update", content, sent.content)


def _contact(part: Part) -> dict[str, Any]:
    email = part.data.get("email")
    # A name shows where an e-mail address may not.
    name = (part.data.get("name") or "").strip() or part.source_id or email or part.label
    if part.namesake:
        # No two contacts may have the same name.
        name = f"{name[: _LONGEST - 3 - len(part.source_id)]} ({part.source_id})"
    content = {"name": name[:_LONGEST], "email": email, "currency": part.data.get("currency")}
    return {field: value for field, value in content.items() if value}


def _invoice(part: Part) -> Plan:
    sent = _sent(part, "invoice.create", "invoice.update")
    if sent is None:
        return _new_invoice(part)
    if part.state in GIVEN_UP:
        return void_invoice(part)
    if part.state == "uncollectible":
        return Nothing("It was given up here. The books ask for it until somebody writes it off there.")
    content = _content_of_invoice(part)
    return _changed(part, "invoice.update", content, sent.content) if isinstance(content, dict) else content


def _new_invoice(part: Part) -> Plan:
    if part.state == "draft":
        return Nothing("It is a draft. It goes into the books once it is issued.")
    if part.state in GIVEN_UP:
        return Nothing(f"It was {part.state} before it was exported: the books never need to know.")
    content = _content_of_invoice(part)
    return Ask("invoice.create", content) if isinstance(content, dict) else content


def _content_of_invoice(part: Part) -> dict[str, Any] | Plan:
    data, customer = part.data, part.links.get("customer")
    if customer is None:
        return Impossible("It names no customer, and an invoice in the books needs one. Give it one at its provider.")
    if not customer.external_id:
        return Await(customer)
    wrong = _wrong_amount(data, "total", "tax")
    if wrong:
        return wrong
    issued_at = data.get("issued_at") or data["created_at"]
    return {
        "number": data.get("number") or part.source_id,
        "customer": customer.external_id,
        "currency": data["currency"],
        "subtotal": data["total"] - data["tax"],
        "tax": data["tax"],
        "total": data["total"],
        "issued_at": issued_at,
        "due_at": data.get("due_at") or issued_at,
        "state": "open",
    }


def _payment(part: Part) -> Plan:
    if "payment.create" in part.made:
        return keep_payment(part)
    if part.state != "succeeded":
        return Nothing(f"{_stands(part)}: nothing was collected that the books could show.")
    invoice = part.links.get("invoice")
    if invoice is None:
        return Nothing("It pays no invoice, and the books know payments on invoices only.")
    if not invoice.external_id:
        return Await(invoice)
    if invoice.state in GIVEN_UP:
        return Nothing(f"Its invoice {invoice.label} was voided, and the books take no payment on it.")
    wrong = _wrong_amount(part.data, "amount_received")
    if wrong:
        return wrong
    collected_at = _collected_at(part, invoice)
    if not collected_at and _pays_alone(part, invoice) and invoice.state == "open":
        return Await(invoice, reason="Waits until its provider or its invoice tells when the money was collected.")
    if not collected_at:
        return Impossible(
            "Nobody has told when its money was collected. Publish a mapping that tells it, then check the payment."
        )
    content = {
        "invoice": invoice.external_id,
        "currency": part.data["currency"],
        "amount": part.data["amount_received"],
        "paid_at": collected_at,
    }
    return Ask("payment.create", content)


def _collected_at(part: Part, invoice: Part) -> str | None:
    """Return when the money of a payment came in, None where nobody told.

    An invoice is paid with its last payment. So its time is that of a payment only where that pays it alone.
    """
    told = part.data.get("collected_at") or part.entered_at
    return told or (invoice.data.get("paid_at") if _pays_alone(part, invoice) else None)


def _pays_alone(part: Part, invoice: Part) -> bool:
    return bool(part.data["amount_received"] >= invoice.data["total"])


def _refund(part: Part) -> Plan:
    if part.state != "succeeded" and "credit_note.create" in part.made:
        done = "paid it out" if "credit_note.refund" in part.made else "credited it"
        return take_back(part, f"{_stands(part)} after the books had {done}")
    if part.state != "succeeded":
        return Nothing(f"{_stands(part)}: nothing went back that the books could show.")
    if "credit_note.refund" in part.made:
        return Nothing()
    noted = part.made.get("credit_note.create")
    if noted is None:
        return _credit_note(part)
    content = {
        "credit_note": noted.external_id,
        "currency": part.data["currency"],
        "amount": part.data["amount"],
        "paid_at": part.data["created_at"],
    }
    return Ask("credit_note.refund", content)


def _credit_note(part: Part) -> Plan:
    payment = part.links.get("payment")
    invoice = payment.links.get("invoice") if payment else None
    if payment is None or invoice is None:
        return Nothing("Its payment is for no invoice, so the books have nothing to credit.")
    if not payment.external_id:
        return Await(payment)
    customer = invoice.links.get("customer")
    if customer is None or not customer.external_id:
        return Await(invoice)
    wrong = _wrong_amount(part.data, "amount")
    if wrong:
        return wrong
    tax = tax_of(part, invoice, step=_step(part.data["currency"]))
    content = {
        "number": part.source_id or f"refund {part.record_id}",
        "customer": customer.external_id,
        "currency": part.data["currency"],
        "subtotal": part.data["amount"] - tax,
        "tax": tax,
        "amount": part.data["amount"],
        "issued_at": part.data["created_at"],
        "invoice_number": invoice.data.get("number") or invoice.source_id,
    }
    reason = part.data.get("reason")
    return Ask("credit_note.create", {**content, "reason": reason} if reason else content)


# -- the parts


def _stands(part: Part) -> str:
    return "It failed" if part.state == "failed" else f"It is {part.state.replace('_', ' ')}"


def _sent(part: Part, *actions: str) -> Made | None:
    """Return what was made last by actions of which each writes the whole."""
    return next((part.made[action] for action in reversed(actions) if action in part.made), None)


def _changed(part: Part, action: str, content: dict[str, Any], sent: Mapping[str, Any]) -> Plan:
    """Return the action where the books would look otherwise by it; what was left otherwise there stays so."""
    zone = zone_in(part.settings)
    ours = {name: value for name, value in content.items() if name not in part.kept}
    changed = [
        name for name, value in ours.items() if _as_shown(name, value, zone) != _as_shown(name, sent.get(name), zone)
    ]
    if not changed:
        return Nothing()
    kept = {name: _as_told(name, value, zone) for name, value in part.kept.items() if name in content}
    return Ask(action, content | kept | {"changed": changed}, part.external_id)


def _wrong_amount(data: Mapping[str, Any], *fields: str) -> Plan | None:
    """Return why amounts cannot stand in the books."""
    currency = data["currency"]
    step = _step(currency)
    for name in fields:
        minor = data[name]
        said = f"{name.replace('_', ' ').capitalize()} is {major_text(minor, currency)} {currency}"
        if minor < 0:
            return Impossible(f"{said}: the books take no negative amount. Enter it there by hand.")
        if minor % step:
            return Impossible(f"{said}, and the books keep two decimals. Enter it there by hand.")
    return None


def _step(currency: str) -> int:
    """Return how many minor units of a currency are the smallest amount in the books."""
    return int(10 ** max(0, DECIMALS[currency] - _DECIMALS))


def _as_shown(name: str, value: Any, zone: str) -> Any:
    """Return a value as the books show it again: of a time, the day."""
    return f"{day_in(value, zone)}T00:00:00Z" if value is not None and name.endswith("_at") else value


def _as_told(name: str, value: Any, zone: str) -> Any:
    """Return what the books show as content says it: of a day, its noon."""
    return noon_of(value[:10], zone) if value is not None and name.endswith("_at") else value


def _shows(part: Part, sent: Mapping[str, Any], *names: str) -> dict[str, Any]:
    zone = zone_in(part.settings)
    return {name: _as_shown(name, sent[name], zone) for name in names if name in sent}


def _expected_contact(part: Part) -> Expected | None:
    sent = _sent(part, "contact.create", "contact.update")
    if sent is None:
        return None
    names = ("name", "email")
    return Expected(frozenset({"active"}), _shows(part, sent.content, *names), _shows(part, _contact(part), *names))


def _expected_invoice(part: Part) -> Expected | None:
    sent = _sent(part, "invoice.create", "invoice.update")
    if sent is None:
        return None
    names = ("number", "customer", "currency", "subtotal", "tax", "total", "issued_at", "due_at")
    content = _content_of_invoice(part)
    now = _shows(part, content, *names) if isinstance(content, dict) else {}
    shown = _shows(part, sent.content, *names)
    if _is_settled(part):
        # Of another amount that is not there yet, as much is paid as of the one that is.
        now["amount_due"] = outstanding(part.state, part.data)
        unsent = part.data["total"] - shown.get("total", part.data["total"])
        shown["amount_due"] = now["amount_due"] - unsent
    return Expected(_states_of_invoice(part), shown, now)


def _is_settled(part: Part) -> bool:
    """Say whether the books have to show as much paid as is paid here."""
    return part.settled and part.state in _ISSUED


def _states_of_invoice(part: Part) -> frozenset[str]:
    """Return in which states it may stand there: while it is to be voided, also as it stood before."""
    if "invoice.void" in part.made:
        return GIVEN_UP
    if part.state in GIVEN_UP:
        return GIVEN_UP | _ISSUED if part.under_way else GIVEN_UP
    return frozenset({part.state}) if _is_settled(part) else _ISSUED


def _expected_payment(part: Part) -> Expected | None:
    sent = _sent(part, "payment.create")
    states = frozenset({"canceled" if "payment.delete" in part.made else "succeeded"})
    return Expected(states, _shows(part, sent.content, "invoice", "currency", "amount")) if sent else None


def _expected_refund(part: Part) -> Expected | None:
    sent = _sent(part, "credit_note.create")
    begun = {"pending", "succeeded"} if part.state == "succeeded" else {"pending", "canceled"}
    states = next((state for action, state in _REFUND_STATES if action in part.made), begun)
    return Expected(frozenset(states), _shows(part, sent.content, "currency", "amount")) if sent else None


#: The newest step of a refund that was made -> the states in which its credit note stands by then.
_REFUND_STATES: Final = (
    ("credit_note.void", {"canceled"}),
    ("credit_note.take_back", {"pending"}),
    ("credit_note.refund", {"succeeded"}),
)
_PEERS: Final = {"refund": ("payment", "invoice")}
_PLANS: Final[dict[str, Callable[[Part], Plan]]] = {
    "customer": _customer,
    "invoice": _invoice,
    "payment": _payment,
    "refund": _refund,
}
_EXPECTED: Final[dict[str, Callable[[Part], Expected | None]]] = {
    "customer": _expected_contact,
    "invoice": _expected_invoice,
    "payment": _expected_payment,
    "refund": _expected_refund,
}
