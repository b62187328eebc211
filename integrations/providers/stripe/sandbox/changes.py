"""What changes an object: localstripe does it, and the proxy adds what localstripe lacks.

Each function answers one call: it hands the work to localstripe, keeps the fields that localstripe
refuses, and publishes the events that Stripe would send and localstripe does not.
Source of rules and words: https://docs.stripe.com/api and https://docs.stripe.com/api/events/types.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from integrations.providers.stripe.sandbox.account import Account, Form
from integrations.providers.stripe.sandbox.calls import Call, publish_with_companions, refusal, shown
from integrations.providers.stripe.sandbox.faults import JSON
from integrations.providers.stripe.sandbox.invoices import (
    create_invoice,
    delete_invoice,
    finalize_invoice,
    pay_invoice,
    update_invoice,
    void_invoice,
    write_off_invoice,
)
from integrations.providers.stripe.sandbox.payments import (
    cancel_payment,
    confirm_payment,
    create_payment,
    create_refund,
)


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
