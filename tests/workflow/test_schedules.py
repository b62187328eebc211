"""When something is due next: intervals, and cron fields in a time zone, over the nights when clocks change too."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.workflow.schedules import BadSchedule, next_after, parse_cron, read

#: A Saturday.
NOW = datetime(2026, 11, 21, 9, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "due"),
    [
        ("* * * * *", "2026-11-21 09:08"),
        ("*/15 * * * *", "2026-11-21 09:15"),
        ("7 9 * * *", "2026-11-22 09:07"),  # this minute has begun
        ("8 9 * * *", "2026-11-21 09:08"),
        ("30 2 * * *", "2026-11-22 02:30"),
        ("30 2 * * mon-fri", "2026-11-23 02:30"),
        ("30 2 * * MON", "2026-11-23 02:30"),
        ("0 0 * * 0", "2026-11-22 00:00"),
        ("0 0 * * 7", "2026-11-22 00:00"),  # Sunday is 0 and 7
        ("0 0 * * fri-sun", "2026-11-22 00:00"),
        ("0 0 * * 6-1", "2026-11-22 00:00"),
        ("0 22-2 * * *", "2026-11-21 22:00"),
        ("15,45 9 * * *", "2026-11-21 09:15"),
        ("0 */6 * * *", "2026-11-21 12:00"),
        ("0 12 1 * *", "2026-12-01 12:00"),
        ("0 0 31 * *", "2026-12-31 00:00"),
        ("0 0 1 jan *", "2027-01-01 00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("0 3 1 * 1", "2026-11-23 03:00"),  # both days are named: either is enough
        ("0 3 1 * */2", "2026-12-01 03:00"),  # a step over all days names none: the 1st, when it is a Tuesday
        ("59 23 31 12 *", "2026-12-31 23:59"),
    ],
)
def test_the_next_time_of_cron_fields(cron: str, due: str) -> None:
    assert next_after(NOW, every=0, cron=cron) == datetime.fromisoformat(f"{due}+00:00")


# Berlin's clocks go from 02:00 to 03:00 on 29 March 2026, and from 03:00 back to 02:00 on 25 October.
@pytest.mark.parametrize(
    ("cron", "moment", "due"),
    [
        ("30 2 * * * Europe/Berlin", "2026-03-28 12:00", "2026-03-29 01:00"),  # skipped: as the clocks skip it
        ("30 2 * * * Europe/Berlin", "2026-03-29 01:00", "2026-03-30 00:30"),
        ("30 2 * * * Europe/Berlin", "2026-10-24 12:00", "2026-10-25 00:30"),  # shown twice: the first time
        ("30 2 * * * Europe/Berlin", "2026-10-25 00:30", "2026-10-26 01:30"),
        ("0 2,3 * * * Europe/Berlin", "2026-03-29 00:30", "2026-03-29 01:00"),  # both are one moment
        ("0 2,3 * * * Europe/Berlin", "2026-03-29 01:00", "2026-03-30 00:00"),
        ("30 * * * * Europe/Berlin", "2026-10-25 00:30", "2026-10-25 01:30"),  # every hour: both times
        ("30 * * * * Europe/Berlin", "2026-03-29 00:30", "2026-03-29 01:00"),
        ("30 * * * * Europe/Berlin", "2026-03-29 01:00", "2026-03-29 01:30"),
        ("0 0 * * mon Pacific/Auckland", "2026-11-21 09:07", "2026-11-22 11:00"),  # Monday begins there on our Sunday
        ("45 1 * * * Australia/Lord_Howe", "2026-04-04 13:00", "2026-04-04 14:45"),  # half an hour back
        ("30 23 * * * America/St_Johns", "2026-11-01 01:00", "2026-11-01 02:00"),
        ("0 12 * * * Pacific/Apia", "2011-12-29 23:00", "2011-12-30 10:00"),  # a whole day was skipped
    ],
)
def test_the_clocks_of_a_zone_count(cron: str, moment: str, due: str) -> None:
    found = next_after(datetime.fromisoformat(f"{moment}+00:00"), every=0, cron=cron)

    assert found == datetime.fromisoformat(f"{due}+00:00")


def test_a_leap_day_is_found_across_a_century_without_one() -> None:
    assert parse_cron("0 0 29 2 *").after(datetime(2096, 3, 1, tzinfo=UTC)) == datetime(2104, 2, 29, tzinfo=UTC)


def test_an_interval_counts_from_now() -> None:
    assert next_after(NOW, every=900, cron="") == NOW + timedelta(minutes=15)


def test_what_has_no_schedule_is_never_due() -> None:
    assert next_after(NOW, every=0, cron="") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("15 min", (900, "")),
        ("every 2 h", (7200, "")),
        ("45s", (45, "")),
        ("1 d", (86_400, "")),
        ("  Every  30 S ", (30, "")),
        ("*/5 * * * *", (0, "*/5 * * * *")),
        (" 30  2 * * MON-FRI", (0, "30 2 * * mon-fri")),
        ("30 2 * * MON-FRI europe/berlin", (0, "30 2 * * mon-fri Europe/Berlin")),
        ("30 2 * * * utc", (0, "30 2 * * *")),
    ],
)
def test_a_schedule_is_an_interval_or_five_fields(text: str, found: tuple[int, str]) -> None:
    assert read(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Give an interval"),
        ("often", "Give an interval"),
        ("15", "Give an interval"),
        ("15 months", "Give an interval"),
        ("10 s", "at least 30 s and at most 31 d"),
        ("32 d", "at most 31 d"),
        ("* * * *", "these are 4"),
        ("* * * * * *", "“*” is no time zone"),
        ("30 2 * * * Berlin", "“Berlin” is no time zone"),
        ("30 2 * * * UTC x", "these are 7"),
        ("60 * * * *", "The minute “60” is none: use 0 to 59"),
        ("* 24 * * *", "The hour “24” is none: use 0 to 23"),
        ("* * 0 * *", "The day of the month “0” is none: use 1 to 31"),
        ("* * * 13 *", "The month “13” is none: use 1 to 12"),
        ("* * * * 8", "The day of the week “8” is none: use 0 to 7"),
        ("mon * * * *", "The minute “mon” is none"),
        ("*/0 * * * *", "The minute “*/0” is none"),
        ("1, * * * *", "The minute “1,” is none"),
        ("5/2 * * * *", "The minute “5/2” is none"),
        ("* * * foo *", "The month “foo” is none"),
        ("0 0 30 2 *", "There is no such day"),
        ("١ * * * *", "The minute “١” is none"),
        ("0," * 90 + "0 * * * *", "At most 120 characters"),
        ("0 0 31 feb,apr *", "There is no such day"),
    ],
)
def test_what_is_no_schedule_is_said_in_words(text: str, said: str) -> None:
    with pytest.raises(BadSchedule) as caught:
        read(text)

    assert said in str(caught.value)


PARTS = st.tuples(
    st.integers(0, 59).map(str) | st.just("*/7"),
    st.integers(0, 23).map(str) | st.just("*"),
    st.integers(1, 28).map(str) | st.just("*"),
    st.integers(1, 12).map(str) | st.just("*"),
    st.integers(0, 7).map(str) | st.just("*"),
)


@given(PARTS, st.integers(1_600_000_000, 3_700_000_000))
def test_the_next_time_lies_ahead_and_has_none_before_it(parts: tuple[str, ...], seconds: int) -> None:
    cron, moment = parse_cron(" ".join(parts)), datetime.fromtimestamp(seconds, UTC)

    due = cron.after(moment)

    assert due
    assert due > moment
    assert cron.after(due - timedelta(minutes=1)) == due
    assert cron.after(due - timedelta(seconds=1)) == due


ZONES = ("Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "America/Havana")
#: In each of these zones clocks go forward once and back once in a year.
YEAR = range(366)


def nights(zone: str) -> list[date]:
    """Return the days of 2026 on which the clocks of a zone change."""
    noon = [datetime(2026, 1, 1, 12, tzinfo=ZoneInfo(zone)) + timedelta(days=n) for n in YEAR]
    return [at.date() for at in noon if at.utcoffset() != (at - timedelta(days=1)).utcoffset()]


def dues(cron: str, first: date, days: int) -> list[datetime]:
    """Return when something is due from a day on, for some days."""
    at = datetime(first.year, first.month, first.day, tzinfo=UTC)
    end, found = at + timedelta(days=days), []
    while (due := parse_cron(cron).after(at)) and due < end:
        found.append(at := due)
    return found


@given(st.sampled_from(ZONES), st.integers(0, 23), st.integers(0, 59))
def test_over_both_nights_of_change_a_daily_time_comes_once_a_day(zone: str, hour: int, minute: int) -> None:
    for night in nights(zone):
        found = dues(f"{minute} {hour} * * * {zone}", night - timedelta(days=4), 9)

        days = [due.astimezone(ZoneInfo(zone)).date() for due in found]
        assert days == [days[0] + timedelta(days=n) for n in range(len(days))]
        assert len(days) >= 8
        assert all(timedelta(hours=22) <= late - early <= timedelta(hours=26) for early, late in pairwise(found))


@given(st.sampled_from(ZONES), st.integers(0, 59))
def test_over_both_nights_of_change_an_hourly_time_comes_in_every_hour(zone: str, minute: int) -> None:
    # There clocks go back by half an hour, so that one hour lasts for an hour and a half.
    longest = timedelta(minutes=90 if zone == "Australia/Lord_Howe" else 60)
    for night in nights(zone):
        found = dues(f"{minute} * * * * {zone}", night - timedelta(days=1), 3)

        assert all(timedelta(0) < late - early <= longest for early, late in pairwise(found))
        assert len(found) >= 70
