from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from console import wording

NOW = datetime(2026, 11, 19, 14, 32, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (481250, "EUR", "€4,812.50"),
        (481250, "eur", "€4,812.50"),
        (5, "USD", "$0.05"),
        (0, "GBP", "£0.00"),
        (-31000, "EUR", "−€310.00"),
        (5000, "JPY", "¥5,000"),
        (1234567, "KWD", "KWD 1,234.567"),
        (1825000, "NOK", "NOK 18,250.00"),
        (123, "CLF", "CLF 0.0123"),
        (1234, "XXQ", "XXQ 1,234"),
        (None, "EUR", "none"),
        (2**63 - 1, "EUR", "€92,233,720,368,547,758.07"),
    ],
)
def test_money_has_the_digits_of_its_currency(minor: int | None, currency: str, shown: str) -> None:
    assert wording.money(minor, currency) == shown


@pytest.mark.parametrize("wrong", [48.12, True, "481250"])
def test_money_is_never_anything_but_whole_minor_units(wrong: Any) -> None:
    with pytest.raises(TypeError):
        wording.money(wrong, "EUR")


@pytest.mark.parametrize(
    ("number", "one", "shown"),
    [
        (0, "event", "0 events"),
        (1, "event", "1 event"),
        (1134, "event", "1,134 events"),
        (2, "reply", "2 replies"),
        (2, "day", "2 days"),
        (2, "match", "2 matches"),
    ],
)
def test_counts_agree_with_their_noun(number: int, one: str, shown: str) -> None:
    assert wording.count(number, one) == shown


def test_an_irregular_plural_is_given() -> None:
    assert wording.count(3, "person", "people") == "3 people"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 B"),
        (843, "843 B"),
        (999, "999 B"),
        (6143, "6.1 kB"),
        (999_600, "1.0 MB"),
        (5_000_000_000_000, "5000.0 GB"),
    ],
)
def test_sizes_go_by_thousands(number: int, shown: str) -> None:
    assert wording.size(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3600 - 1, "59 min"),
        (3600, "1 h"),
        (3600 + 47 * 60, "1 h 47 min"),
        (9 * 3600 + 59 * 60, "9 h 59 min"),
        (10 * 3600 + 59 * 60, "10 h"),
        (86400 - 1, "23 h"),
        (86400 + 3600, "1 d 1 h"),
        (3 * 86400 + 5 * 3600, "3 d"),
        (400 * 86400, "400 d"),
        (3 * 366 * 86400, "3 y"),
    ],
)
def test_an_age_has_at_most_two_units(seconds: float, shown: str) -> None:
    assert wording.age(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.084, "84 ms"),
        (0.9996, "1.0 s"),
        (1.21, "1.2 s"),
        (9.96, "10 s"),
        (52.4, "52 s"),
        (59.7, "1 min"),
        (252, "4 min 12 s"),
        (7200, "2 h"),
    ],
)
def test_a_duration_is_exact_where_it_is_short(seconds: float, shown: str) -> None:
    assert wording.duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "just now"), (-1, "just now"), (5, "5 s ago"), (6420, "1 h 47 min ago"), (-90, "in 1 min")],
)
def test_ago_counts_from_now_and_knows_the_future(seconds: float, shown: str) -> None:
    assert wording.ago(NOW - timedelta(seconds=seconds), NOW) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(52, "in 52 s"), (0, "now"), (-60, "now")])
def test_until_says_now_when_the_time_has_come(seconds: float, shown: str) -> None:
    assert wording.until(NOW + timedelta(seconds=seconds), NOW) == shown


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (datetime(2026, 11, 19, 0, 5, tzinfo=UTC), "00:05"),
        (datetime(2026, 11, 18, 16, 41, 7, tzinfo=UTC), "18 Nov, 16:41"),
        (datetime(2025, 11, 18, 16, 41, tzinfo=UTC), "18 Nov 2025, 16:41"),
        (datetime(2026, 11, 19, 1, 0, tzinfo=timezone(timedelta(hours=2))), "18 Nov, 23:00"),
    ],
)
def test_a_moment_is_in_utc_and_names_the_day_unless_it_is_today(at: datetime, shown: str) -> None:
    assert wording.moment(at, NOW) == shown


def test_the_exact_time_says_utc() -> None:
    assert wording.exact(datetime(2026, 11, 19, 16, 4, 12, tzinfo=timezone(timedelta(hours=2)))) == (
        "2026-11-19 14:04:12 UTC"
    )


def test_a_long_identifier_is_cut_in_its_middle() -> None:
    short = wording.shorten("in_1PxYzAB7WZ01zgkWq3mT8dLc")

    assert short == "in_1PxYzAB7W…3mT8dLc"
    assert len(short) == 20
    assert wording.shorten("op_01JD2Y8Q4M7T") == "op_01JD2Y8Q4M7T"
