"""How much of a refund is tax, so that the refunds of an invoice never credit more or less tax than it bore."""

from collections.abc import Mapping
from typing import Any

from integrations.providers.exporting import Part


def tax_of(part: Part, invoice: Part, *, step: int) -> int:
    """Return the tax in a refund of an invoice, in minor units and a multiple of `step`.

    All refunds of an invoice together credit its tax in proportion to what they amount to, rounded once. So what one
    rounds off the next makes up for, and a full refund credits exactly the tax of the invoice. What was credited
    counts as it stands; refunds that are not yet follow each other as their records do, whoever goes first.
    """
    notes = [note for peer in part.peers if (note := _note_of(peer)) is not None]
    credited = sum(note["amount"] for note in notes)
    tax = sum(note.get("tax", 0) for note in notes)
    ahead = [peer.data["amount"] for peer in part.peers if _is_ahead(peer, part)]
    if ahead:
        credited += sum(ahead)
        tax = _share(invoice, credited, step)
    amount: int = part.data["amount"]
    owed: int = _share(invoice, credited + amount, step) - tax
    return max(0, min(amount, owed))


def _note_of(peer: Part) -> Mapping[str, Any] | None:
    """Return what the credit note of a refund was asked with, None where there is none, or it has to go."""
    noted = peer.made.get("credit_note.create")
    return noted.content if noted and peer.state == "succeeded" and noted.content else None


def _is_ahead(peer: Part, part: Part) -> bool:
    return peer.state == "succeeded" and _note_of(peer) is None and peer.record_id < part.record_id


def _share(invoice: Part, refunded: int, step: int) -> int:
    """Return the tax in so much of an invoice, rounded half up."""
    total: int = invoice.data["total"]
    tax: int = invoice.data["tax"] // step
    return step * ((2 * tax * min(refunded, total) + total) // (2 * total)) if total > 0 else 0
