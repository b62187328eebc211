"""The kinds as declared: states, steps, what people call a record."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from integrations.canonical import KINDS, Kind
from integrations.canonical.money import DECIMALS, major_text, rescaled

ALL = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@ALL
def test_states_and_steps_speak_of_the_same_states(kind: Kind) -> None:
    named = set(kind.steps) | {state for steps in kind.steps.values() for state in steps} | kind.initial

    assert named <= set(kind.states)
    assert len(set(kind.states)) == len(kind.states)


@ALL
def test_every_state_can_be_reached_from_an_initial_one(kind: Kind) -> None:
    for state in kind.states:
        assert any(kind.can_become(start, state) for start in kind.initial)


@ALL
def test_fields_named_by_the_kind_exist(kind: Kind) -> None:
    named = {kind.amount, kind.label} - {""}

    assert named | set(kind.links) | kind.sensitive <= set(kind.fields)
    assert set(kind.links.values()) <= KINDS.keys()


@ALL
def test_links_never_run_in_a_circle(kind: Kind) -> None:
    ahead, seen = list(kind.links.values()), set[str]()
    while ahead:
        name = ahead.pop()
        assert name != kind.name
        if name not in seen:
            seen.add(name)
            ahead.extend(KINDS[name].links.values())


@pytest.mark.parametrize(
    ("kind", "old", "new", "legal"),
    [
        ("invoice", "draft", "open", True),
        ("invoice", "draft", "paid", True),  # the evidence of `open` never arrived
        ("invoice", "draft", "void", True),
        ("invoice", "uncollectible", "paid", True),
        ("invoice", "paid", "paid", True),
        ("invoice", "paid", "open", False),
        ("invoice", "void", "paid", False),
        ("invoice", "open", "deleted", False),
        ("invoice", "open", "draft", False),
        ("payment", "failed", "succeeded", True),
        ("payment", "succeeded", "failed", False),
        ("payment", "canceled", "succeeded", False),
        ("refund", "pending", "failed", True),
        ("refund", "succeeded", "failed", True),
        ("refund", "failed", "succeeded", False),
        ("customer", "active", "deleted", True),
        ("customer", "deleted", "active", False),
        ("invoice", "draft", "frozen", False),
        ("invoice", "frozen", "draft", False),
        ("invoice", "frozen", "frozen", False),
    ],
)
def test_a_state_may_follow_another(kind: str, old: str, new: str, legal: bool) -> None:
    assert KINDS[kind].can_become(old, new) is legal


@pytest.mark.parametrize(
    ("kind", "terminal"),
    [
        ("customer", {"deleted"}),
        ("invoice", {"paid", "void", "deleted"}),
        ("payment", {"succeeded", "canceled"}),
        ("refund", {"failed", "canceled"}),
    ],
)
def test_terminal_states(kind: str, terminal: set[str]) -> None:
    assert {state for state in KINDS[kind].states if not KINDS[kind].steps.get(state)} == terminal


@pytest.mark.parametrize(
    ("kind", "data", "external_id", "label"),
    [
        ("invoice", {"number": "INV-2041"}, "in_1", "INV-2041"),
        ("invoice", {"number": None}, "in_1SVx7PKz3bT9mQeA5hJdRw2c", "…5hJdRw2c"),
        ("invoice", {"number": "  "}, "in_1", "in_1"),
        ("customer", {"name": " Halvorsen Marine AS "}, "cus_1", "Halvorsen Marine AS"),
        ("payment", {}, "pi_1SVx7PKz3bT9mQeA5hJdRw2c", "…5hJdRw2c"),
    ],
)
def test_what_people_call_a_record(kind: str, data: dict[str, Any], external_id: str, label: str) -> None:
    assert KINDS[kind].label_of(data, external_id) == label


@pytest.mark.parametrize(
    ("kind", "data", "amount"),
    [
        ("invoice", {"total": 2640, "currency": "USD"}, (2640, "USD")),
        ("payment", {"amount": 500, "currency": "JPY"}, (500, "JPY")),
        ("invoice", {"total": None, "currency": "USD"}, None),
        ("invoice", {}, None),
        ("customer", {"currency": "USD"}, None),
    ],
)
def test_what_a_record_is_worth(kind: str, data: dict[str, Any], amount: tuple[int, str] | None) -> None:
    assert KINDS[kind].amount_of(data) == amount


def test_a_record_is_found_by_its_texts_links_and_amount() -> None:
    data = {"number": "INV-2041", "customer": "cus_1", "total": 481250, "currency": "EUR"}

    assert KINDS["invoice"].search_text(data) == "inv-2041 cus_1 4812.50 eur"


def test_a_canonical_object_cannot_be_changed_nor_widened() -> None:
    model = KINDS["refund"].model
    data = {"currency": "USD", "amount": 1, "created_at": "2026-11-19T14:32:00Z"}

    with pytest.raises(ValidationError):
        model.model_validate({**data, "colour": "red"})
    with pytest.raises(ValidationError):
        model.model_validate(data).amount = 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("amount", [True, "12", 12.0, 2**63, None])
def test_an_amount_is_a_whole_number(amount: Any) -> None:
    with pytest.raises(ValidationError):
        KINDS["refund"].model.model_validate(
            {"currency": "USD", "amount": amount, "created_at": "2026-11-19T14:32:00Z"}
        )


@pytest.mark.parametrize("moment", ["2026-11-19T14:32:00", "yesterday", None])
def test_a_time_has_a_zone(moment: Any) -> None:
    with pytest.raises(ValidationError):
        KINDS["refund"].model.model_validate({"currency": "USD", "amount": 1, "created_at": moment})


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (2640, "USD", "26.40"),
        (5, "USD", "0.05"),
        (-5, "USD", "-0.05"),
        (0, "USD", "0.00"),
        (500, "JPY", "500"),
        (-500, "JPY", "-500"),
        (5120, "KWD", "5.120"),
        (7, "KWD", "0.007"),
        (12345, "CLF", "1.2345"),
        (99, "???", "99"),
    ],
)
def test_money_in_major_units(minor: int, currency: str, text: str) -> None:
    assert major_text(minor, currency) == text


@pytest.mark.parametrize(
    ("amount", "currency", "decimals", "minor"),
    [
        (500, "ISK", 2, 5),
        (501, "ISK", 2, None),
        (-500, "ISK", 2, -5),
        (5, "MGA", 0, 500),
        (1099, "USD", 2, 1099),
        (5120, "KWD", 3, 5120),
    ],
)
def test_amounts_counted_otherwise_than_iso(amount: int, currency: str, decimals: int, minor: int | None) -> None:
    assert rescaled(amount, currency, decimals) == minor


@given(st.integers(), st.sampled_from(sorted(DECIMALS)), st.integers(0, 4))
def test_rescaling_never_loses_money(amount: int, currency: str, decimals: int) -> None:
    minor = rescaled(amount, currency, decimals)

    if minor is not None:
        assert minor * 10**decimals == amount * 10 ** DECIMALS[currency]
