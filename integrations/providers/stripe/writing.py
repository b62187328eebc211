"""Asking Stripe to do something: refunds, and invoices that are voided.

Every request carries an idempotency key. A refund carries its operation id in its metadata; voiding cannot, so its
effect is the invoice's state. https://docs.stripe.com/api/refunds/create, https://docs.stripe.com/api/invoices/void
"""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote, urlencode

from integrations.canonical import asking
from integrations.canonical.money import DECIMALS
from integrations.failures.categories import Category, Fault
from integrations.providers.answers import ODD
from integrations.providers.base import ActionSpec, Effect, Intent
from integrations.providers.stripe.reading import read_object

REFUND: Final = "refund.create"
VOID: Final = "invoice.void"
ACTIONS: Final[dict[str, ActionSpec]] = {
    REFUND: ActionSpec(REFUND, "refund", "Refund payment", creates=True, content=asking.Refund),
    VOID: ActionSpec(VOID, "invoice", "Void invoice", content=asking.Void),
}
_NOT_ARRIVED: Final = frozenset({"failed", "canceled"})
_OPERATION: Final = "operation_id"
#: The reasons that Stripe knows; any other is told in the metadata.
_REASONS: Final = frozenset({"duplicate", "fraudulent", "requested_by_customer"})
_DECIMALS: Final[dict[str, int]] = tomllib.loads(
    files("integrations.providers.stripe").joinpath("mapping.toml").read_text()
)["currency_decimals"]


def path_of(intent: Intent) -> str:
    """Return the path that an intent is posted to. Raises `Fault`."""
    if intent.action == REFUND:
        return "/v1/refunds"
    if not intent.external_id:
        raise _refused("external_id", "is missing: nothing says which invoice")
    return f"/v1/invoices/{quote(intent.external_id, safe='')}/void"


def body_of(intent: Intent) -> bytes:
    """Return the form that asks for an intent; voiding takes none. Raises `Fault` (validation)."""
    return urlencode(_refund(intent)).encode() if intent.action == REFUND else b""


def _refund(intent: Intent) -> list[tuple[str, str]]:
    content = intent.content
    payment, reason = content.get("payment"), content.get("reason")
    if not isinstance(payment, str) or not payment:
        raise _refused("payment", "is missing, and a refund needs it")
    if not 0 < len(intent.operation_id) <= 50:
        raise _refused("operation_id", "does not have 1 to 50 characters")
    form = [
        ("payment_intent", payment),
        ("amount", str(_counted(content))),
        (f"metadata[{_OPERATION}]", intent.operation_id),
    ]
    if reason in _REASONS:
        form.append(("reason", reason))
    elif reason:
        form.append(("metadata[reason]", str(reason)[:500]))
    return form


def _counted(content: Mapping[str, Any]) -> int:
    """Return the amount as Stripe counts it, which for some currencies is not as ISO 4217 does."""
    amount, currency = content.get("amount"), content.get("currency")
    if currency not in DECIMALS:
        raise _refused("currency", "is no ISO 4217 currency")
    if type(amount) is not int or amount <= 0:
        raise _refused("amount", "is no positive number of minor units")
    shift = _DECIMALS.get(currency, DECIMALS[currency]) - DECIMALS[currency]
    counted = Decimal(amount).scaleb(shift)
    if counted != counted.to_integral_value():
        raise _refused("amount", f"is a fraction of what Stripe counts in {currency}")
    return int(counted)


def _refused(field: str, said: str) -> Fault:
    return Fault(Category.VALIDATION, f"content:{field}", f"The {field.replace('_', ' ')} {said}.", field=field)


def operation_of(obj: Mapping[str, Any]) -> str:
    """Return the operation id in an object's metadata, "" where there is none."""
    metadata = obj.get("metadata")
    value = metadata.get(_OPERATION) if isinstance(metadata, dict) else None
    return value if isinstance(value, str) and len(value) <= 50 else ""


def shown(intent: Intent, obj: Mapping[str, Any]) -> bool:
    """Say whether an object has the effect of an intent."""
    if intent.action == REFUND:
        return operation_of(obj) == intent.operation_id
    return obj.get("status") == "void"


def failed(refund: Mapping[str, Any]) -> Fault | None:
    """Return why a refund did not arrive, None for one that did or is on its way.

    A refund may fail long after it succeeded: https://docs.stripe.com/refunds#failed-refunds
    """
    status = refund.get("status")
    if status not in _NOT_ARRIVED:
        return None
    reason = refund.get("failure_reason")
    why = ODD.sub("_", reason[:80]) if isinstance(reason, str) and reason else "no reason told"
    return Fault(
        Category.BUSINESS,
        f"refund_{status}",
        f"The refund {'was canceled' if status == 'canceled' else 'failed'} at Stripe: {why.replace('_', ' ')}.",
        next_step="Give the money back in another way, or ask for a new refund under a new operation id.",
    )


def effect_of(intent: Intent, obj: Any, path: str = "") -> Effect:
    """Return the object of an answer as the effect. Raises `Fault` (contract mismatch)."""
    item = read_object(obj, ACTIONS[intent.action].resource, path, datetime.now(UTC))
    return Effect(item.external_id, path, item.obj)


def first_of(intent: Intent, entries: Sequence[Any]) -> Effect | None:
    """Return the first entry of a list that shows the effect of an intent."""
    for place, entry in enumerate(entries):
        if isinstance(entry, dict) and shown(intent, entry):
            return effect_of(intent, entry, f"/data/{place}")
    return None
