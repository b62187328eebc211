"""Canonical kinds: what we believe about the world, in our words.

Adding a kind: one file here and one name in `KINDS`.
"""

from integrations.canonical.customer import CUSTOMER
from integrations.canonical.invoice import INVOICE
from integrations.canonical.kind import DELETED, Kind
from integrations.canonical.payment import PAYMENT
from integrations.canonical.refund import REFUND

KINDS: dict[str, Kind] = {kind.name: kind for kind in (CUSTOMER, INVOICE, PAYMENT, REFUND)}

__all__ = ["DELETED", "KINDS", "Kind"]
