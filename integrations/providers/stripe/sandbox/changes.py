"""What changes an object: localstripe does it, and the proxy adds what localstripe lacks.

Each function answers one call: it hands the work to localstripe, keeps the fields that localstripe
refuses, and publishes the events that Stripe would send and localstripe does not.
Source of rules and words: https://docs.stripe.com/api and https://docs.stripe.com/api/events/types.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from integrations.providers.stripe.sandbox import shape
from integrations.providers.stripe.sandbox.account import Account, Form, StripeError, missing
from integrations.providers.stripe.sandbox.faults import JSON

#: parameters that localstripe refuses or forgets; the proxy keeps them itself
KEPT = {
    "invoice": frozenset(
        {"auto_advance", "collection_method", "days_until_due", "description", "due_date", "footer"}
    ),
    "payment_intent": frozenset({"description", "receipt_email", "setup_future_usage"}),
    "refund": frozenset({"reason"}),
}
WHOLE_NUMBERS = frozenset({"due_date", "days_until_due"})
DAY = 86_400
#: Stripe's test card whose refunds stay pending for a while
PENDING_REFUND_CARD = "7726"


@dataclass(frozen=True)
class Call:
    """One call that changes something: `ids` are the ids in its path."""

    account: Account
    path: str
    found_id: str
    form: Form
    request: str

    def publish(self, kind: str, obj: JSON) -> None:
        """Publish an event caused by this call."""
        self.account.publish(kind, obj, request=self.request)

    async def forward(self, form: Form | None = None, *, method: str = "POST") -> JSON:
        """Let localstripe do it; returns its object. Raises `StripeError` with its refusal."""
        path = self.path
        status, found = await self.account.call(method, path, self.form if form is None else form)
        if status == 404 and self.found_id:
            raise missing(path.split("/")[2].removesuffix("s"), self.found_id)
        if status >= 400:
            raise refusal(status, found)
        return found

    async def natives(self) -> None:
        """Publish what localstripe said about this call, with Stripe's companions of each."""
        for native in await self.account.natives():
            await publish_with_companions(self.account, native, self.request)


def refusal(status: int, found: JSON) -> StripeError:
    """localstripe's error, with the type that Stripe gives a declined card."""
    error = dict(found.get("error", {}))
    message = error.pop("message", None) or "Invalid request."
    kind = error.pop("type", "invalid_request_error")
    if status == 402:
        return StripeError(402, message, "card_error", decline_code="generic_decline", **error)
    return StripeError(status, message, kind, **error)


async def publish_with_companions(account: Account, native: JSON, request: str | None) -> None:
    """Publish an event of localstripe and those that Stripe always sends beside it."""
    kind = native["type"]
    obj = native["data"]["object"]
    if kind == "invoice.payment_succeeded":
        extra = account.extra(obj["id"])
        extra.setdefault("paid_at", account.now())
        paid = account.publish_native({**native, "id": "", "type": "invoice.paid"}, request)
        account.publish_native(native, request)
        for payment in await account.payments(obj["id"]):
            account.publish("invoice_payment.paid", payment, request=request)
        account.extra(paid["data"]["object"]["customer"])["delinquent"] = False
        return
    account.publish_native(native, request)
    if kind == "payment_intent.succeeded" and obj["latest_charge"]:
        charge_id = str(shape.reference(obj["latest_charge"]))
        account.register("charge", charge_id, obj["created"])
        if (charge := await account.present("charge", charge_id)) is not None:
            account.publish("charge.succeeded", charge, request=request)


def split(form: Form, one: str) -> tuple[list[tuple[str, str]], JSON]:
    """The parameters for localstripe, and those that the proxy keeps."""
    kept: JSON = {}
    passed: list[tuple[str, str]] = []
    for name, value in form:
        if name in KEPT.get(one, ()):
            kept[name] = int(value) if name in WHOLE_NUMBERS else value
        else:
            passed.append((name, value))
    if "auto_advance" in kept:
        kept["auto_advance"] = kept["auto_advance"] == "true"
    return passed, kept


def metadata(form: Form) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """The form without its metadata, and the metadata."""
    found = {name[9:-1]: value for name, value in form if name.startswith("metadata[")}
    return [(name, value) for name, value in form if not name.startswith("metadata[")], found


async def shown(call: Call, one: str, found_id: str) -> JSON:
    """The object as it stands after the call."""
    found = await call.account.present(one, found_id)
    if found is None:
        raise missing(one, found_id)
    return found


# -- customers


async def create_customer(call: Call) -> JSON:
    raw = await call.forward()
    call.account.register("customer", raw["id"], raw["created"])
    await call.natives()
    return await shown(call, "customer", raw["id"])


async def update_customer(call: Call) -> JSON:
    await call.account.need("customer", call.found_id)
    await call.forward()
    await call.natives()
    return await shown(call, "customer", call.found_id)


async def delete_customer(call: Call) -> JSON:
    await call.account.need("customer", call.found_id)
    await call.forward(method="DELETE")
    await call.natives()
    call.account.book.deleted[call.found_id] = "customer"
    return {"id": call.found_id, "object": "customer", "deleted": True}


# -- invoices


async def create_invoice(call: Call) -> JSON:
    form, tags = metadata(call.form)
    passed, kept = split(form, "invoice")
    raw = await call.forward(passed)
    account = call.account
    account.register("invoice", raw["id"], raw["created"])
    owner = await account.present("customer", raw["customer"]) or {}
    account.extra(raw["customer"]).setdefault("currency", raw["currency"])
    days = kept.pop("days_until_due", None)
    if days is not None:
        kept["due_date"] = account.now() + days * DAY
    account.extra(raw["id"]).update(
        kept,
        metadata=tags,
        customer_name=owner.get("name"),
        customer_address=owner.get("address"),
        account_name=account.settings.title or None,
        account_country=account.settings.country,
    )
    await call.natives()
    return await shown(call, "invoice", raw["id"])


async def update_invoice(call: Call) -> JSON:
    await call.account.need("invoice", call.found_id)
    form, tags = metadata(call.form)
    passed, kept = split(form, "invoice")
    if passed:
        raise StripeError(
            400,
            f"Received unknown parameter: {passed[0][0]}",
            code="parameter_unknown",
            param=passed[0][0],
        )
    extra = call.account.extra(call.found_id)
    extra.update(kept)
    extra["metadata"] = {**extra.get("metadata", {}), **tags}
    found = await shown(call, "invoice", call.found_id)
    call.publish("invoice.updated", found)
    return found


async def delete_invoice(call: Call) -> JSON:
    raw = await call.account.need("invoice", call.found_id)
    found = call.account.shaped("invoice", raw)
    allow(found, {"draft"}, "delete")
    await call.forward(method="DELETE")
    call.account.book.deleted[call.found_id] = "invoice"
    call.publish("invoice.deleted", found)
    return {"id": call.found_id, "object": "invoice", "deleted": True}


def allow(invoice: JSON, states: set[str], action: str) -> None:
    """Refuse an action on an invoice whose status does not allow it."""
    if invoice["status"] not in states:
        raise StripeError(
            400,
            f"You can only {action} an invoice that is {' or '.join(sorted(states))}. "
            f"This invoice is {invoice['status']}.",
            code="invoice_not_editable",
        )


async def _finalize(call: Call) -> JSON:
    account = call.account
    raw = await account.need("invoice", call.found_id)
    allow(account.shaped("invoice", raw), {"draft"}, "finalize")
    owner = account.extra(raw["customer"])
    owner["invoices"] = owner.get("invoices", 0) + 1
    account.extra(call.found_id).update(
        status="open",
        finalized_at=account.now(),
        number=f"{shape.prefix(raw['customer'])}-{owner['invoices']:04d}",
    )
    found = await shown(call, "invoice", call.found_id)
    call.publish("invoice.finalized", found)
    return found


async def finalize_invoice(call: Call) -> JSON:
    return await _finalize(call)


async def pay_invoice(call: Call) -> JSON:
    account = call.account
    before = account.shaped("invoice", await account.need("invoice", call.found_id))
    if before["status"] == "paid":
        raise StripeError(400, "Invoice is already paid", code="invoice_already_paid")
    allow(before, {"draft", "open", "uncollectible"}, "pay")
    if before["status"] == "draft":
        await _finalize(call)
    extra = account.extra(call.found_id)
    extra["attempt_count"] = extra.get("attempt_count", 0) + 1
    raw = await call.forward([])
    await _publish_payment(call, raw)
    if raw["status"] == "paid":
        return await shown(call, "invoice", call.found_id)
    account.extra(raw["customer"])["delinquent"] = True
    call.publish("invoice.payment_failed", await shown(call, "invoice", call.found_id))
    raise StripeError(
        402, "Your card was declined.", "card_error", code="card_declined",
        decline_code="generic_decline",
    )  # fmt: skip


async def _publish_payment(call: Call, invoice: JSON) -> None:
    """The payment intent behind an invoice's payment: localstripe is silent when it fails."""
    account = call.account
    if not invoice["payment_intent"]:
        return await call.natives()
    payment_id = invoice["payment_intent"]
    raw = await account.need("payment_intent", payment_id)
    account.register("payment_intent", payment_id, raw["created"])
    _register_charge(account, raw)
    call.publish("payment_intent.created", as_created(await shown(call, "payment_intent", payment_id)))
    await call.natives()
    if raw["status"] == "requires_payment_method":
        found = await shown(call, "payment_intent", payment_id)
        call.publish("payment_intent.payment_failed", found)


def as_created(payment: JSON) -> JSON:
    """A payment intent as it was before anything happened to it."""
    return {
        **payment,
        "amount_received": 0,
        "amount_capturable": 0,
        "last_payment_error": None,
        "latest_charge": None,
        "next_action": None,
        "status": "requires_confirmation" if payment["payment_method"] else "requires_payment_method",
    }


def _register_charge(account: Account, payment: JSON) -> None:
    if charge_id := shape.reference(payment["latest_charge"]):
        account.register("charge", charge_id, payment["created"])


async def void_invoice(call: Call) -> JSON:
    account = call.account
    raw = await account.need("invoice", call.found_id)
    allow(account.shaped("invoice", raw), {"open", "uncollectible"}, "void")
    if payment_id := raw["payment_intent"]:
        await call.forward([])
        account.extra(payment_id)["canceled_at"] = account.now()
        call.publish("payment_intent.canceled", await shown(call, "payment_intent", payment_id))
    account.extra(call.found_id).update(status="void", voided_at=account.now())
    found = await shown(call, "invoice", call.found_id)
    call.publish("invoice.voided", found)
    return found


async def write_off_invoice(call: Call) -> JSON:
    account = call.account
    raw = await account.need("invoice", call.found_id)
    allow(account.shaped("invoice", raw), {"open"}, "mark as uncollectible")
    account.extra(call.found_id).update(
        status="uncollectible", marked_uncollectible_at=account.now()
    )
    found = await shown(call, "invoice", call.found_id)
    call.publish("invoice.marked_uncollectible", found)
    return found


# -- payments and refunds


async def create_payment(call: Call) -> JSON:
    passed, kept = split(call.form, "payment_intent")
    known = dict(passed)
    confirm = known.pop("confirm", "false") == "true"
    known.pop("off_session", None)
    raw = await call.forward(list(known.items()))
    account = call.account
    account.register("payment_intent", raw["id"], raw["created"])
    account.extra(raw["id"]).update(kept)
    call.publish("payment_intent.created", await shown(call, "payment_intent", raw["id"]))
    if confirm:
        path = f"/v1/payment_intents/{raw['id']}/confirm"
        return await confirm_payment(Call(account, path, raw["id"], (), call.request))
    return await shown(call, "payment_intent", raw["id"])


async def confirm_payment(call: Call) -> JSON:
    """Confirm, authenticate or capture: a declined card has changed the payment all the same."""
    account = call.account
    try:
        await call.forward()
    finally:
        raw = await account.need("payment_intent", call.found_id)
        _register_charge(account, raw)
        await call.natives()
    found = await shown(call, "payment_intent", call.found_id)
    told = {
        "requires_action": "payment_intent.requires_action",
        "processing": "payment_intent.processing",
        "requires_capture": "payment_intent.amount_capturable_updated",
    }
    if kind := told.get(found["status"]):
        call.publish(kind, found)
    return found


async def cancel_payment(call: Call) -> JSON:
    reason = dict(call.form).get("cancellation_reason")
    await call.account.need("payment_intent", call.found_id)
    await call.forward([])
    extra = call.account.extra(call.found_id)
    extra.update(canceled_at=call.account.now(), cancellation_reason=reason)
    found = await shown(call, "payment_intent", call.found_id)
    call.publish("payment_intent.canceled", found)
    return found


async def create_refund(call: Call) -> JSON:
    account = call.account
    passed, kept = split(call.form, "refund")
    known = dict(passed)
    charge = await _refundable(account, known)
    left = charge["amount_captured"] - charge["amount_refunded"]
    if left <= 0:
        raise StripeError(
            400, f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    if int(known.get("amount", left)) > left:
        raise StripeError(400, "Refund amount is greater than unrefunded amount on charge", param="amount")
    known["amount"] = known.get("amount", str(left))
    raw = await call.forward(list(known.items()))
    account.register("refund", raw["id"], raw["created"])
    account.extra(raw["id"]).update(kept, payment_intent=charge["payment_intent"])
    if await _settles_later(account, charge):
        account.extra(raw["id"])["status"] = "pending"
    await call.natives()
    found = await shown(call, "refund", raw["id"])
    call.publish("refund.created", found)
    call.publish("charge.refunded", await shown(call, "charge", charge["id"]))
    return found


async def _refundable(account: Account, known: dict[str, str]) -> JSON:
    """The charge that a refund is about."""
    charge_id = known.get("charge")
    if charge_id is None and "payment_intent" in known:
        payment = await account.need("payment_intent", known["payment_intent"])
        charge_id = shape.reference(payment["latest_charge"])
    if charge_id is None:
        raise StripeError(400, "One of the following params should be provided: payment_intent or charge.")
    return account.shaped("charge", await account.need("charge", charge_id))


async def _settles_later(account: Account, charge: JSON) -> bool:
    status, method = await account.call("GET", f"/v1/payment_methods/{charge['payment_method']}")
    return status == 200 and method.get("card", {}).get("last4") == PENDING_REFUND_CARD


async def settle_refund(account: Account, refund_id: str) -> None:
    """A pending refund succeeds, as its bank says some time later."""
    async with account.lock:
        account.extra(refund_id)["status"] = "succeeded"
        if (found := await account.present("refund", refund_id)) is not None:
            account.publish("refund.updated", found)


async def update_plain(call: Call) -> JSON:
    """An update that localstripe does alone, and that Stripe tells nobody of."""
    one = call.path.split("/")[2].removesuffix("s")
    await call.account.need(one, call.found_id)
    await call.forward()
    found = await shown(call, one, call.found_id)
    if one in ("refund", "charge"):
        call.publish(f"{one}.updated", found)
    return found


Change = Callable[[Call], Awaitable[JSON]]

ID = r"(\w+)"
CHANGES: list[tuple[str, re.Pattern[str], Change]] = [
    (method, re.compile(f"/v1/{path}"), change)
    for method, path, change in (
        ("POST", "customers", create_customer),
        ("POST", f"customers/{ID}", update_customer),
        ("DELETE", f"customers/{ID}", delete_customer),
        ("POST", "invoices", create_invoice),
        ("POST", f"invoices/{ID}", update_invoice),
        ("DELETE", f"invoices/{ID}", delete_invoice),
        ("POST", f"invoices/{ID}/finalize", finalize_invoice),
        ("POST", f"invoices/{ID}/pay", pay_invoice),
        ("POST", f"invoices/{ID}/void", void_invoice),
        ("POST", f"invoices/{ID}/mark_uncollectible", write_off_invoice),
        ("POST", "payment_intents", create_payment),
        ("POST", f"payment_intents/{ID}", update_plain),
        ("POST", f"payment_intents/{ID}/(?:confirm|capture|_authenticate)", confirm_payment),
        ("POST", f"payment_intents/{ID}/cancel", cancel_payment),
        ("POST", "refunds", create_refund),
        ("POST", f"refunds/{ID}", update_plain),
        ("POST", f"charges/{ID}", update_plain),
    )
]


async def change(account: Account, method: str, path: str, form: Form, request: str) -> tuple[int, Any]:
    """Carry out a call that changes something; returns status and document."""
    async with account.lock:
        for wanted, pattern, act in CHANGES:
            if wanted == method and (found := pattern.fullmatch(path)):
                found_id = found.group(1) if pattern.groups else ""
                return 200, await act(Call(account, path, found_id, form, request))
        status, answer = await account.call(method, path, form)
        if status >= 400:
            raise refusal(status, answer)
        for native in await account.natives():
            await publish_with_companions(account, native, request)
        return status, answer
