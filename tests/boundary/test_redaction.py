"""Redaction: what is secret or personal goes, the shape of the payload stays."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.boundary.redaction import Redacted, mask, redact, strip_headers

SENSITIVE = frozenset({"email", "card", "billing_details.name", "a.b.c"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["email", "x", "client_secret"]), inner),
    max_leaves=12,
)


def test_a_sensitive_key_is_taken_out_wherever_it_stands() -> None:
    payload = {"email": "a@b.c", "deep": [{"email": "d@e.f", "id": "x"}]}

    assert redact(payload, SENSITIVE) == {
        "email": Redacted("personal", "text", 5),
        "deep": [{"email": Redacted("personal", "text", 5), "id": "x"}],
    }


def test_a_dotted_key_is_taken_out_only_under_its_parents() -> None:
    payload = {
        "name": "plan",
        "billing_details": {"name": "Ada", "address": {"name": "home"}},
        "a": [{"b": {"c": 1}}],
        "b": {"c": 1},
    }

    assert redact(payload, SENSITIVE) == {
        "name": "plan",
        "billing_details": {"name": Redacted("personal", "text", 3), "address": {"name": "home"}},
        "a": [{"b": {"c": Redacted("personal", "number")}}],
        "b": {"c": 1},
    }


def test_under_a_sensitive_key_all_leaves_go_and_the_shape_stays() -> None:
    assert redact({"card": {"last4": "4242", "checks": [True, None, ""], "exp": 12}}, SENSITIVE) == {
        "card": {
            "last4": Redacted("personal", "text", 4),
            "checks": [Redacted("personal", "true or false"), None, ""],
            "exp": Redacted("personal", "number"),
        }
    }


@pytest.mark.parametrize("key", ["client_secret", "Secret", "api_key", "password", "access_token"])
def test_secrets_go_whatever_the_provider_calls_sensitive(key: str) -> None:
    assert redact({key: "hush"}, frozenset()) == {key: Redacted("secret", "text", 4)}


def test_nothing_deeper_than_an_honest_payload_is_read() -> None:
    payload: Any = "bottom"
    for _ in range(5000):
        payload = {"x": payload}

    assert "bottom" not in repr(redact(payload, SENSITIVE))


def test_what_is_redacted_does_not_tell_itself() -> None:
    assert "ada" not in repr(redact({"email": "ada"}, SENSITIVE))
    assert str(Redacted()) == "personal"


@given(JSON)
def test_no_sensitive_leaf_survives_and_the_rest_is_the_same(value: Any) -> None:
    redacted = redact(value, SENSITIVE)

    def walk(before: Any, after: Any, hidden: bool) -> None:
        if isinstance(before, dict):
            assert before.keys() == after.keys()
            for key in before:
                walk(before[key], after[key], hidden or key != "x")
        elif isinstance(before, list):
            assert len(before) == len(after)
            for one, other in zip(before, after, strict=True):
                walk(one, other, hidden)
        elif hidden and before not in (None, ""):
            assert isinstance(after, Redacted)
        else:
            assert after == before

    walk(value, redacted, hidden=False)


def test_redaction_leaves_the_payload_alone() -> None:
    payload = {"email": "a@b.c", "x": [1]}
    before = json.dumps(payload)

    redact(payload, SENSITIVE)

    assert json.dumps(payload) == before


@pytest.mark.parametrize(
    ("text", "hint"),
    [("", ""), ("short", "…"), ("fifteen letters", "…"), ("whsec_0123456789abcdef", "whse…cdef")],
)
def test_a_mask_shows_only_the_ends_of_a_long_text(text: str, hint: str) -> None:
    assert mask(text) == hint


@pytest.mark.parametrize(
    "name",
    ["Authorization", "cookie", "Set-Cookie", "Stripe-Signature", "X-Hub-Signature-256", "X-Api-Key", "apikey",
     "X-Auth-Token", "Proxy-Authorization"],
)  # fmt: skip
def test_a_header_that_is_or_proves_a_secret_is_stripped(name: str) -> None:
    assert strip_headers({name: "hush"}) == {name.lower(): "(removed)"}


def test_other_headers_stay() -> None:
    assert strip_headers({"Content-Type": "application/json", "X-Request-Id": "req_1"}) == {
        "content-type": "application/json",
        "x-request-id": "req_1",
    }
