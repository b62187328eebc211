"""Payments and refunds: localstripe charges, and the proxy tells what it is silent about."""

from integrations.providers.stripe.sandbox import shape
from integrations.providers.stripe.sandbox.account import Account, StripeError
from integrations.providers.stripe.sandbox.calls import Call, shown, split
from integrations.providers.stripe.sandbox.faults import JSON

#: Stripe's test card whose refunds stay pending for a while
PENDING_REFUND_CARD = "7726"


async def publish_payment(call: Call, invoice: JSON) -> None:
    """The payment intent behind an invoice's payment: localstripe is silent when it fails."""
    account = call.account
    if not invoice["payment_intent"]:
        await call.natives()
        return
    payment_id = invoice["payment_intent"]
    raw = await account.need("payment_intent", payment_id)
    account.register("payment_intent", payment_id, raw["created"])
    register_charge(account, raw)
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


def register_charge(account: Account, payment: JSON) -> None:
    """Give the charge of a payment its place in the order."""
    if charge_id := shape.reference(payment["latest_charge"]):
        account.register("charge", charge_id, payment["created"])


async def create_payment(call: Call) -> JSON:
    passed, kept = split(call.form, "payment_intent")
    known = dict(passed)
    confirm = known.pop("confirm", "false") == "true"
    known.pop("off_session", None)
    raw = await call.forward(list(known.items()))
    account = call.account
    account.register("payment_intent", raw["id"], raw["created"])
    account.notes(raw["id"]).update(kept)
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
        register_charge(account, raw)
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
    notes = call.account.notes(call.found_id)
    notes.update(canceled_at=call.account.now(), cancellation_reason=reason)
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
        raise StripeError(400, f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if int(known.get("amount", left)) > left:
        raise StripeError(400, "Refund amount is greater than unrefunded amount on charge", param="amount")
    known["amount"] = known.get("amount", str(left))
    raw = await call.forward(list(known.items()))
    account.register("refund", raw["id"], raw["created"])
    account.notes(raw["id"]).update(kept, payment_intent=charge["payment_intent"])
    if await _settles_later(account, charge):
        account.notes(raw["id"])["status"] = "pending"
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
        account.notes(refund_id)["status"] = "succeeded"
        if (found := await account.present("refund", refund_id)) is not None:
            account.publish("refund.updated", found)
