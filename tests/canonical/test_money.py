"""Money as people type it, and as it is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.canonical.money import DECIMALS, major_text, minor_of


@pytest.mark.parametrize(
    ("typed", "currency", "minor"),
    [
        ("26.40", "USD", 2640),
        ("26.4", "USD", 2640),
        (" 26 ", "USD", 2600),
        ("0.07", "EUR", 7),
        ("500", "JPY", 500),
        ("1.234", "KWD", 1234),
        ("0", "EUR", 0),
        ("90071992547409.91", "EUR", 2**53 - 1),
    ],
)
def test_typed_amounts_become_minor_units_exactly(typed: str, currency: str, minor: int) -> None:
    assert minor_of(typed, currency) == minor


@pytest.mark.parametrize(
    ("typed", "currency", "said"),
    [
        ("1,234", "EUR", "no sign, comma or space"),
        ("1 234", "EUR", "no sign, comma or space"),
        ("-5", "EUR", "no sign, comma or space"),
        (".5", "EUR", "no sign, comma or space"),
        ("5.", "EUR", "no sign, comma or space"),
        ("1e3", "EUR", "no sign, comma or space"),
        ("١", "EUR", "no sign, comma or space"),
        ("12.500", "EUR", "EUR has 2 decimals"),
        ("1.5", "JPY", "JPY has no decimals"),
        ("", "EUR", "such as 1234.50"),
    ],
)
def test_what_could_be_read_in_two_ways_is_asked_back(typed: str, currency: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        minor_of(typed, currency)


@given(st.integers(0, 2**53 - 1), st.sampled_from(sorted(DECIMALS)))
def test_what_is_shown_is_read_as_the_same_amount(minor: int, currency: str) -> None:
    assert minor_of(major_text(minor, currency), currency) == minor
