"""What these tests share."""

from typing import Any

from integrations.boundary.mapping import (
    load_document,
)

SOURCE = b"""
[currency_decimals]
ISK = 2

[person]
kind = "customer"
fields.state = { convert = "constant:active" }
fields.name = { source = "name", convert = "text", null = "null" }
fields.email = { source = "contact.email", convert = "text", missing = "keep", null = "null" }
fields.currency = { source = "currency", convert = "currency", missing = "null", null = "null" }
fields.created_at = { source = "created", convert = "unix_time" }

[bill]
kind = "invoice"
fields.state = { source = "status", convert = "state" }
fields.number = { source = ["number", "old_number"], convert = "text", missing = "null", null = "null" }
fields.customer = { source = "person", convert = "link:person", null = "null" }
fields.currency = { source = "currency", convert = "currency" }
fields.subtotal = { source = "subtotal", convert = "minor_units" }
fields.tax = { source = ["taxes", "tax"], convert = "minor_units_sum:amount", null = "default", default = 0 }
fields.total = { source = "total", convert = "minor_units" }
fields.amount_due = { source = "sum([total, `0`])", convert = "minor_units" }
fields.amount_paid = { source = "paid", convert = "minor_units", missing = "default", default = 0 }
fields.issued_at = { source = "times.issued", convert = "unix_time", missing = "null", null = "null" }
fields.due_at = { source = "times.due", convert = "unix_time", missing = "null", null = "null" }
fields.paid_at = { source = "times.paid", convert = "unix_time", missing = "null", null = "null" }
fields.created_at = { source = "created", convert = "unix_time" }
states = { new = "draft", sent = "open", settled = "paid" }
"""
DOCUMENT = load_document(SOURCE)
BILL: dict[str, Any] = {
    "status": "sent",
    "number": "B-7",
    "person": "p_1",
    "currency": "usd",
    "subtotal": 1000,
    "taxes": [{"amount": 150}, {"amount": 50}],
    "total": 1200,
    "times": {"issued": 1_795_020_000, "due": None},
    "created": 1_795_010_000,
}
