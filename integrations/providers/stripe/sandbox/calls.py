"""One call that changes something, and what every such call needs."""

from dataclasses import dataclass

from integrations.providers.stripe.sandbox import shape
from integrations.providers.stripe.sandbox.account import Account, Form, StripeError, missing
from integrations.providers.stripe.sandbox.faults import JSON

#: parameters that localstripe refuses or forgets; the proxy keeps them itself
KEPT = {
    "invoice": frozenset({"auto_advance", "collection_method", "days_until_due", "description", "due_date", "footer"}),
    "payment_intent": frozenset({"description", "receipt_email", "setup_future_usage"}),
    "refund": frozenset({"reason"}),
}
WHOLE_NUMBERS = frozenset({"due_date", "days_until_due"})


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
        notes = account.notes(obj["id"])
        notes.setdefault("paid_at", account.now())
        paid = account.publish_native({**native, "id": "", "type": "invoice.paid"}, request)
        account.publish_native(native, request)
        for payment in await account.payments(obj["id"]):
            account.publish("invoice_payment.paid", payment, request=request)
        account.notes(paid["data"]["object"]["customer"])["delinquent"] = False
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
