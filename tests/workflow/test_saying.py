"""What commands ask for, in words that serve every action."""

from typing import Any

import pytest

from integrations.models import Record
from integrations.providers import PROVIDERS, get_adapter
from integrations.workflow.saying import asks


@pytest.mark.parametrize(
    ("provider", "action", "content", "external_id", "record", "said"),
    [
        ("xero", "invoice.create", {"number": "INV-0042", "customer": "c"}, "", ("invoice", "INV-0042"),
         "Create invoice INV-0042 in Books"),
        ("xero", "invoice.void", {"state": "open"}, "i-1", ("invoice", "INV-0042"), "Void invoice INV-0042 in Books"),
        ("xero", "invoice.void", {}, "i-1", None, "Void invoice i-1 in Books"),
        ("xero", "contact.create", {"name": "Halvorsen"}, "", ("customer", "Halvorsen"),
         "Create contact Halvorsen in Books"),
        ("xero", "payment.create", {"invoice": "i-1", "amount": 1}, "", ("payment", "…9f3a21bc"),
         "Enter payment …9f3a21bc in Books"),
        ("xero", "payment.create", {"invoice": "i-1", "amount": 1}, "", ("invoice", "INV-0042"),
         "Enter payment for invoice INV-0042 in Books"),
        ("xero", "payment.create", {"invoice": "i-1", "amount": 1}, "", None, "Enter payment in Books"),
        ("xero", "credit_note.create", {"number": "CN-7", "customer": "c"}, "", ("refund", "…12345678"),
         "Create credit note CN-7 in Books"),
        ("xero", "credit_note.refund", {"credit_note": "n-1"}, "", None, "Refund credit note n-1 in Books"),
        ("stripe", "refund.create", {"payment": "pi_1"}, "", None, "Refund payment pi_1 in Books"),
        ("stripe", "refund.create", {"payment": "pi_1"}, "", ("payment", "…9f3a21bc"),
         "Refund payment …9f3a21bc in Books"),
    ],
)  # fmt: skip
def test_a_command_is_called_by_what_it_is_about(
    provider: str, action: str, content: dict[str, Any], external_id: str, record: tuple[str, str] | None, said: str
) -> None:
    spec = get_adapter(provider).actions[action]
    about = Record(kind=record[0], label=record[1]) if record else None

    assert asks(spec, "Books", content=content, external_id=external_id, record=about) == said


@pytest.mark.parametrize("spec", [spec for slug in PROVIDERS for spec in get_adapter(slug).actions.values()])
def test_no_word_stands_in_it_twice_and_it_fits_where_it_is_kept(spec: Any) -> None:
    about = Record(kind=spec.resource, label="X" * 300)

    said = asks(spec, "Books", content={}, record=about)

    assert said.lower().count(spec.resource.replace("_", " ")) == 1
    assert said.endswith(" in Books")
    assert len(said) <= 200
