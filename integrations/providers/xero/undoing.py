"""How what stands in the books is undone: first what hangs on it, then itself.

Xero voids no invoice and no credit note on which money hangs, and deletes no payment by itself.
https://developer.xero.com/documentation/api/accounting/invoices#voiding-an-invoice
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from integrations.providers.exporting import Ask, Await, Hold, Impossible, Nothing, Part, Plan

GIVEN_UP: Final = frozenset({"void", "deleted"})
#: Lists in an invoice or a credit note: what hangs on it, and under which name its id lies.
_LISTS: Final = (
    ("Payments", "payment", "PaymentID"),
    ("CreditNotes", "credit_note", "CreditNoteID"),
    ("Prepayments", "prepayment", "PrepaymentID"),
    ("Overpayments", "overpayment", "OverpaymentID"),
    ("Allocations", "allocation", "AllocationID"),
)


def holds_of(obj: Mapping[str, Any]) -> tuple[Hold, ...]:
    """Return what hangs on an invoice or a credit note as Xero shows it."""
    return tuple(hold for name, resource, id_field in _LISTS for hold in _listed(obj.get(name), resource, id_field))


def _listed(entries: Any, resource: str, id_field: str) -> Iterator[Hold]:
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("Status") != "DELETED" and entry.get("IsDeleted") is not True:
            operation = entry.get("Reference") if resource == "payment" else ""
            yield Hold(resource, str(entry.get(id_field, "")), operation if isinstance(operation, str) else "")


def void_invoice(part: Part) -> Plan:
    """Say what is next for an invoice that is void here to be void there: its payments of ours go first."""
    if "invoice.void" in part.made or part.shown_state in GIVEN_UP:
        return Nothing("It is void here and there.")
    theirs = [hold for hold in part.holds if not _pays(hold, part)]
    if theirs:
        return Impossible(f"It is void here, but {_told(theirs)} there. Take that off there, then export it again.")
    for hold in part.holds:
        if hold.part and not _is_gone(hold.part):
            return Await(hold.part, gone=True)
    return Ask("invoice.void", {}, part.external_id)


def _pays(hold: Hold, invoice: Part) -> bool:
    """Say whether something on an invoice is a payment that we entered for it."""
    payment = hold.part
    if payment is None or "payment.create" not in payment.made or "invoice" not in payment.links:
        return False
    return payment.links["invoice"].record_id == invoice.record_id


def _is_gone(payment: Part) -> bool:
    return "payment.delete" in payment.made or payment.shown_state == "canceled"


def keep_payment(part: Part) -> Plan:
    """Say what becomes of a payment in the books: it stays, unless its invoice has to go."""
    invoice = part.links.get("invoice")
    if invoice is None or invoice.state not in GIVEN_UP:
        return Nothing()
    voided = f"Its invoice {invoice.label} was voided here"
    if _is_gone(part):
        return Nothing(f"{voided}, and the books void none with a payment on it. So it was deleted there.")
    if part.data.get("amount_refunded"):
        return Impossible(
            f"{voided}, and some of it was paid back. Deleted there, the books would show what went out and not what "
            "came in. Decide there how it is to be booked."
        )
    return Ask("payment.delete", {}, part.external_id, f"{voided}, and the books void none with a payment on it")


def take_back(part: Part, why: str) -> Plan:
    """Say what is next for a refund that came to nothing after all: its payment goes, then its credit note is void."""
    if "credit_note.void" in part.made or part.shown_state == "canceled":
        return Nothing(f"{why}. Its credit note is void there.")
    ours = [hold for hold in part.holds if hold.part and hold.part.record_id == part.record_id]
    theirs = [hold for hold in part.holds if hold not in ours]
    if theirs:
        return Impossible(f"{why}, but {_told(theirs)} there. Take that off there, then export it again.")
    deleted = part.made.get("credit_note.take_back")
    for hold in ours:
        if deleted is None or deleted.content["payment"] != hold.external_id:
            return Ask("credit_note.take_back", {"payment": hold.external_id}, part.external_id, why)
    return Ask("credit_note.void", {}, part.external_id, why)


def _told(holds: Sequence[Hold]) -> str:
    if len(holds) == 1:
        what = holds[0].resource.replace("_", " ")
        return f"somebody has put {'an' if what[0] in 'ao' else 'a'} {what} on it"
    return f"somebody has put {len(holds)} entries on it"
