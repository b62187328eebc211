"""Invoices: localstripe bills, and the proxy adds the steps of an invoice that it lacks."""

from integrations.providers.stripe.sandbox import shape
from integrations.providers.stripe.sandbox.account import Account, StripeError
from integrations.providers.stripe.sandbox.calls import Call, metadata, refusal, shown, split
from integrations.providers.stripe.sandbox.faults import JSON
from integrations.providers.stripe.sandbox.payments import publish_payment

DAY = 86_400


async def create_invoice(call: Call) -> JSON:
    form, tags = metadata(call.form)
    passed, kept = split(form, "invoice")
    account = call.account
    await agree(account, dict(form))
    raw = await call.forward([pair for pair in passed if pair[0] != "currency"])
    account.register("invoice", raw["id"], raw["created"])
    owner = await account.present("customer", raw["customer"]) or {}
    account.notes(raw["customer"]).setdefault("currency", raw["currency"])
    days = kept.pop("days_until_due", None)
    if days is not None:
        kept["due_date"] = account.now() + days * DAY
    account.notes(raw["id"]).update(
        kept,
        metadata=tags,
        customer_name=owner.get("name"),
        customer_address=owner.get("address"),
        account_name=account.settings.title or None,
        account_country=account.settings.country,
    )
    await call.natives()
    return await shown(call, "invoice", raw["id"])


async def agree(account: Account, form: dict[str, str]) -> None:
    """localstripe invoices only customers with a subscription, so each gets one that costs nothing.

    Nobody sees it: its events are not published, and its line is left out of invoices.
    """
    customer = form.get("customer", "")
    await account.need("customer", customer)
    if account.notes(customer).get("agreement"):
        return
    _, pending = await account.call("GET", "/v1/invoiceitems", [("customer", customer)])
    lines = pending.get("data") or [{"currency": form.get("currency", account.settings.currency)}]
    plan = f"nothing_{lines[0]['currency']}"
    if (await account.call("GET", f"/v1/plans/{plan}"))[0] == 404:
        params = {"id": plan, "amount": "0", "currency": lines[0]["currency"], "interval": "year"}
        await account.call("POST", "/v1/plans", [*params.items(), ("product[name]", "Nothing")])
    terms = [("customer", customer), ("items[0][plan]", plan), ("trial_period_days", "365")]
    status, found = await account.call("POST", "/v1/subscriptions", terms)
    if status >= 400:
        raise refusal(status, found)
    account.notes(customer)["agreement"] = found["id"]
    await account.natives()


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
    notes = call.account.notes(call.found_id)
    notes.update(kept)
    notes["metadata"] = {**notes.get("metadata", {}), **tags}
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
    owner = account.notes(raw["customer"])
    owner["invoices"] = owner.get("invoices", 0) + 1
    account.notes(call.found_id).update(
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
    notes = account.notes(call.found_id)
    notes["attempt_count"] = notes.get("attempt_count", 0) + 1
    raw = await call.forward([])
    await publish_payment(call, raw)
    if raw["status"] == "paid":
        return await shown(call, "invoice", call.found_id)
    account.notes(raw["customer"])["delinquent"] = True
    call.publish("invoice.payment_failed", await shown(call, "invoice", call.found_id))
    raise StripeError(
        402, "Your card was declined.", "card_error", code="card_declined",
        decline_code="generic_decline",
    )  # fmt: skip


async def void_invoice(call: Call) -> JSON:
    account = call.account
    raw = await account.need("invoice", call.found_id)
    allow(account.shaped("invoice", raw), {"open", "uncollectible"}, "void")
    if payment_id := raw["payment_intent"]:
        await call.forward([])
        account.notes(raw["customer"]).pop("agreement", None)  # it ends with its voided invoice
        account.notes(payment_id)["canceled_at"] = account.now()
        call.publish("payment_intent.canceled", await shown(call, "payment_intent", payment_id))
    account.notes(call.found_id).update(status="void", voided_at=account.now())
    found = await shown(call, "invoice", call.found_id)
    call.publish("invoice.voided", found)
    return found


async def write_off_invoice(call: Call) -> JSON:
    account = call.account
    raw = await account.need("invoice", call.found_id)
    allow(account.shaped("invoice", raw), {"open"}, "mark as uncollectible")
    account.notes(call.found_id).update(status="uncollectible", marked_uncollectible_at=account.now())
    found = await shown(call, "invoice", call.found_id)
    call.publish("invoice.marked_uncollectible", found)
    return found
