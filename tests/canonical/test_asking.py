import json
from typing import Any

import pytest
from pydantic import ValidationError

from integrations.canonical import asking
from integrations.providers import get_adapter

INVOICE = {
    "number": "INV-1", "customer": "c-1", "currency": "EUR", "subtotal": 100, "tax": 25, "total": 125,
    "issued_at": "2026-11-20T10:00:00Z", "state": "open",
}  # fmt: skip


def read(content: dict[str, Any]) -> asking.Invoice:
    return asking.Invoice.model_validate_json(json.dumps(content), strict=True)


def test_an_invoice_that_adds_up_is_taken() -> None:
    assert read(INVOICE).total == 125


@pytest.mark.parametrize(
    "wrong",
    [
        {"total": 126},
        {"total": "125"},
        {"subtotal": 100.0},
        {"subtotal": -100, "total": -75},
        {"currency": "eur"},
        {"currency": "XXY"},
        {"issued_at": "2026-11-20"},
        {"issued_at": "2026-11-20T10:00:00"},
        {"state": "paid"},
        {"customer": ""},
        {"customer": "."},
        {"customer": ".."},
        {"colour": "red"},
    ],
)
def test_what_no_book_takes_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(INVOICE | wrong)


@pytest.mark.parametrize("provider", ["stripe", "xero"])
def test_every_action_says_what_it_is_asked_with(provider: str) -> None:
    assert [name for name, spec in get_adapter(provider).actions.items() if spec.content is None] == []
