"""What came of intents: read from an answer, or recognised in an object as Xero shows it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from integrations.canonical.money import DECIMALS
from integrations.failures.categories import Fault
from integrations.providers.answers import mismatch
from integrations.providers.base import Effect, Intent
from integrations.providers.xero import errors, writing
from integrations.providers.xero.client import ENDPOINTS
from integrations.providers.xero.reading import amount_of, moment_of, read_list
from integrations.providers.xero.writing import ACTIONS, DELETE, REFUND, TAKE_BACK

_LONGEST_OPERATION: Final = 50
_OPEN: Final = frozenset({"AUTHORISED", "PAID"})
_DRAFTS: Final = frozenset({"DRAFT", "SUBMITTED"})
_UNDONE: Final = frozenset({"VOIDED", "DELETED"})


def operation_of(resource: str, obj: Mapping[str, Any]) -> str:
    """Return the operation id that an object carries, "" where it carries none."""
    endpoint = ENDPOINTS.get(resource)
    value = obj.get(endpoint.operation) if endpoint else None
    return value if isinstance(value, str) and len(value) <= _LONGEST_OPERATION else ""


def of_answer(intents: Sequence[Intent], answer: Any) -> list[Effect]:
    """Read a batch's answer: one effect for each intent, in their order. Raises `Fault` (contract mismatch)."""
    resource = writing.endpoint_of(intents[0].action)
    elements = read_list(answer, resource)
    if len(elements) != len(intents) or not all(isinstance(element, dict) for element in elements):
        raise mismatch("wrong_count", f"Xero answered {len(elements)} results to {len(intents)} requests.")
    places = _places(intents, elements)
    return [_effect(intent, place, elements[place]) for intent, place in zip(intents, places, strict=True)]


def _places(intents: Sequence[Intent], elements: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return where the result of each intent lies: by the mark that it carries, else by its order."""
    endpoint = ENDPOINTS[writing.endpoint_of(intents[0].action)]
    mark = endpoint.operation if ACTIONS[intents[0].action].creates else endpoint.id
    wanted = [intent.operation_id if mark == endpoint.operation else intent.external_id for intent in intents]
    found = {element.get(mark): place for place, element in enumerate(elements)}
    if found.keys() >= set(wanted) and len(set(wanted)) == len(wanted):
        return [found[name] for name in wanted]
    if any(element.get(mark) in wanted and wanted[place] != element[mark] for place, element in enumerate(elements)):
        raise mismatch("wrong_order", "Xero answered the results in an order that cannot be told.", field=mark)
    return list(range(len(intents)))


def _effect(intent: Intent, place: int, element: Mapping[str, Any]) -> Effect:
    endpoint = ENDPOINTS[writing.endpoint_of(intent.action)]
    path = f"/{endpoint.path}/{place}"
    fault, external_id = _refusal(element), external_id_of(intent, element)
    if fault:
        return Effect("", path, fault=fault)
    if not isinstance(external_id, str) or not 0 < len(external_id) <= 255:
        raise mismatch(f"missing:{endpoint.id}", "Xero answered a result without its id.", field=endpoint.id)
    return Effect(external_id, path, element)


def external_id_of(intent: Intent, element: Mapping[str, Any]) -> Any:
    """Return by which id the object is known that came of an intent; of a credit note's payment, it is the note's."""
    if intent.action == TAKE_BACK:
        return intent.external_id
    if intent.action == REFUND:
        return intent.content["credit_note"]
    return element.get(ENDPOINTS[writing.endpoint_of(intent.action)].id)


def _refusal(element: Mapping[str, Any]) -> Fault | None:
    """Return what is wrong with one element. Warnings stand beside what was done all the same."""
    messages = errors.messages_of(element)
    failed = element.get("StatusAttributeString") == "ERROR" or element.get("HasErrors") is True
    if failed or messages:
        return errors.refusal(messages or ["refused without a word"])
    return None


# -- recognising an effect


def shown(intent: Intent, obj: Mapping[str, Any], zone: str) -> bool:
    """Say whether an object of the action's resource has the effect of an intent; a refund's payment shows it too.

    `zone` is the time zone whose days the object has.
    """
    if intent.action == REFUND:
        return operation_of("payment", obj) == intent.operation_id or _is_paid_out(obj, intent.operation_id)
    if intent.action == TAKE_BACK:
        return _is_without(obj, intent.content["payment"])
    if ACTIONS[intent.action].creates:
        return operation_of(ACTIONS[intent.action].resource, obj) == intent.operation_id
    if intent.action == DELETE or intent.action.endswith(".void"):
        return obj.get("Status") in _UNDONE
    if intent.action == "contact.update":
        return _same_contact(intent.content, obj)
    return _same_invoice(intent.content, obj, zone)


def _is_paid_out(credit_note: Mapping[str, Any], operation_id: str) -> bool:
    """Say whether a payment out of a credit note carries an operation id."""
    payments = credit_note.get("Payments")
    return any(
        isinstance(payment, dict) and payment.get("Reference") == operation_id
        for payment in (payments if isinstance(payments, list) else [])
    )


def _is_without(credit_note: Mapping[str, Any], payment_id: str) -> bool:
    """Say whether a credit note that shows its payments does not show this one."""
    payments = credit_note.get("Payments")
    return isinstance(payments, list) and all(
        payment.get("PaymentID") != payment_id or payment.get("Status") == "DELETED"
        for payment in payments
        if isinstance(payment, dict)
    )


def _same_contact(content: Mapping[str, Any], obj: Mapping[str, Any]) -> bool:
    names = {"name": "Name", "email": "EmailAddress", "currency": "DefaultCurrency"}
    gone = content.get("changed") or ()
    return all(
        (obj.get(names[name]) or None) == content.get(name)
        for name in _told(content, names)
        if content.get(name) or name in gone
    )


def _told(content: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Return of which fields an update speaks: what it says has changed, or all."""
    changed = content.get("changed")
    return [name for name in names if changed is None or name in changed]


def _same_invoice(content: Mapping[str, Any], obj: Mapping[str, Any], zone: str) -> bool:
    contact = obj.get("Contact")
    states = _DRAFTS if content.get("state") == "draft" else _OPEN
    shown = {
        "number": obj.get("InvoiceNumber"),
        "currency": obj.get("CurrencyCode"),
        "customer": contact.get("ContactID") if isinstance(contact, dict) else None,
    }
    days = {name: obj.get(f"{field}String") or obj.get(field) for name, field in _DAYS.items()}
    return (
        obj.get("Status") in states
        and all(shown[name] == content.get(name) for name in _told(content, shown))
        and all(_same_amount(content, name, obj.get(_AMOUNTS[name])) for name in _told(content, _AMOUNTS))
        and all(_same_day(content, name, days[name], zone) for name in _told(content, days))
    )


_AMOUNTS: Final = {"subtotal": "SubTotal", "tax": "TotalTax", "total": "Total"}
_DAYS: Final = {"issued_at": "Date", "due_at": "DueDate"}


def _same_amount(content: Mapping[str, Any], field: str, theirs: Any) -> bool:
    ours, currency = content.get(field), content.get("currency")
    return type(ours) is int and currency in DECIMALS and amount_of(theirs) == writing.major(ours, currency)


def _same_day(content: Mapping[str, Any], field: str, theirs: Any, zone: str) -> bool:
    if not content.get(field):
        return True
    moment = moment_of(theirs)
    return moment is not None and f"{moment:%Y-%m-%d}" == writing.day_of(content, field, zone)
