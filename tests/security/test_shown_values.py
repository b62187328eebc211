"""What a failure says of a value is enough to recognise it, and never a whole object."""

from time import monotonic
from typing import Any

import pytest

from integrations.boundary.conversions import brief
from integrations.boundary.redaction import Redacted, redact
from integrations.providers import get_adapter


@pytest.mark.parametrize(
    "value, said",
    [
        ({"email": "ap@halvorsen.example"}, "(an object of 1)"),
        (["ap@halvorsen.example", "+47 5550 1234"], "(a list of 2)"),
        ("gbpx", '"gbpx"'),
        (12.5, "12.5"),
    ],
)
def test_what_holds_others_is_only_counted(value: Any, said: str) -> None:
    assert brief(value) == said


#: What Stripe's objects hold of people and their accounts, by the places where it stands.
OF_PEOPLE = [
    {"payment_method_details": {"klarna": {"payer_details": {"address": {"country": "NO"}}}}},
    {"payment_method_details": {"paypal": {"payer_email": "x", "payer_name": "x", "payer_id": "x"}}},
    {"payment_method_details": {"upi": {"vpa": "x"}}},
    {"source": {"object": "card", "address_line1": "x", "address_city": "x", "address_zip": "x", "name": "x"}},
    {"sources": {"data": [{"object": "bank_account", "account_holder_name": "x", "routing_number": "x"}]}},
    {"next_action": {"redirect_to_url": {"url": "x"}, "boleto_display_details": {"hosted_voucher_url": "x"}}},
    {"instructions_email": "x"},
    {"shipping": {"address": {"line1": "x", "postal_code": "x"}}},
]


@pytest.mark.parametrize("payload", OF_PEOPLE, ids=lambda payload: next(iter(payload)))
def test_what_stripe_tells_of_people_is_taken_out(payload: dict[str, Any]) -> None:
    clean = str(redact(payload, get_adapter("stripe").sensitive_fields))

    assert "'x'" not in clean
    assert "'NO'" not in clean


@pytest.mark.parametrize("key", ["description", "metadata", "footer", "id", "anything"])
def test_an_address_is_taken_out_wherever_it_stands(key: str) -> None:
    payload = {key: {"note": ["Paid by ada.lovelace+1@mail.example.org, thanks", "kept"]}}

    clean = redact(payload, frozenset({"email"}))

    assert clean[key]["note"] == [Redacted("personal", "text", 47), "kept"]
    assert redact(payload, frozenset()) == payload


@pytest.mark.parametrize("text", ["@" * 200_000, "a" * 500_000 + "@", "a@" * 200_000, "@a." * 100_000])
def test_no_text_takes_long_to_look_through(text: str) -> None:
    begun = monotonic()

    redact({"text": text}, frozenset({"email"}))

    assert monotonic() - begun < 1
