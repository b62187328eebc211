"""Off-peak windows: over midnight, over the week's end, in a time zone, and where a line names none."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.workflow.windows import BadWindow, Window, closes_at, opens_at, parse, parse_all


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{text}+00:00")


# 21 November 2026 is a Saturday.
@pytest.mark.parametrize(
    ("line", "now", "opens"),
    [
        ("daily 22:00-06:00", "21 22:00", None),
        ("daily 22:00-06:00", "21 23:59", None),
        ("daily 22:00-06:00", "22 00:00", None),
        ("daily 22:00-06:00", "22 05:59", None),
        ("daily 22:00-06:00", "22 06:00", "22 22:00"),
        ("daily 01:00-02:00", "21 00:59", "21 01:00"),
        ("daily 01:00-02:00", "21 02:00", "22 01:00"),
        ("daily 00:00-24:00", "21 12:00", None),
        ("Fri 22:00-06:00", "21 03:00", None),  # it began on Friday
        ("Fri 22:00-06:00", "21 22:30", "27 22:00"),
        ("Sat 22:00-06:00", "21 03:00", "21 22:00"),
        ("Sun 22:00-06:00", "23 05:00", None),  # over the week's end
        ("Mon-Fri 22:00-06:00", "21 12:00", "23 22:00"),
        ("Sat,Sun 00:00-24:00", "21 12:00", None),
        ("Mon-Fri 22:00-06:00 Europe/Berlin", "23 20:59", "23 21:00"),
        ("Mon-Fri 22:00-06:00 Europe/Berlin", "23 21:00", None),
        ("Mon-Fri 22:00-06:00 Europe/Berlin", "24 05:00", "24 21:00"),
        ("daily 20:00-22:00 America/New_York", "22 02:00", None),
        ("daily 01:00-03:00 Pacific/Auckland", "21 12:30", None),
    ],
)
def test_when_a_window_is_open(line: str, now: str, opens: str | None) -> None:
    assert opens_at([parse(line)], at(now)) == (at(opens) if opens else None)


# Berlin's clocks go from 02:00 to 03:00 on 29 March 2026, and from 03:00 back to 02:00 on 25 October.
@pytest.mark.parametrize(
    ("line", "now", "opens", "closes"),
    [
        ("daily 02:30-05:00 Europe/Berlin", "2026-03-29 00:30", "2026-03-29 01:00", None),  # as the clocks skip it
        ("daily 02:30-05:00 Europe/Berlin", "2026-03-29 01:00", None, "2026-03-29 03:00"),
        ("daily 22:00-02:30 Europe/Berlin", "2026-03-29 00:59", None, "2026-03-29 01:00"),
        ("daily 02:00-03:00 Europe/Berlin", "2026-03-29 00:59", "2026-03-30 00:00", None),  # skipped whole
        ("daily 02:30-04:00 Europe/Berlin", "2026-10-25 00:30", None, "2026-10-25 03:00"),  # from the first
        ("daily 22:00-02:30 Europe/Berlin", "2026-10-25 01:29", None, "2026-10-25 01:30"),  # to the second
        ("daily 22:00-02:30 Europe/Berlin", "2026-10-25 01:30", "2026-10-25 21:00", None),
    ],
)
def test_windows_go_by_the_clocks_of_their_zone_when_those_change(
    line: str, now: str, opens: str | None, closes: str | None
) -> None:
    windows, moment = [parse(line)], datetime.fromisoformat(f"{now}+00:00")

    assert opens_at(windows, moment) == (datetime.fromisoformat(f"{opens}+00:00") if opens else None)
    assert closes_at(windows, moment) == (datetime.fromisoformat(f"{closes}+00:00") if closes else None)


def test_without_a_window_bulk_runs_go_on_always() -> None:
    assert opens_at([], at("21 12:00")) is None


def test_any_of_several_windows_is_enough_and_the_next_one_counts() -> None:
    windows = parse_all("Mon-Fri 22:00-06:00\n\nSat 13:00-14:00")

    assert opens_at(windows, at("21 12:00")) == at("21 13:00")
    assert opens_at(windows, at("21 13:30")) is None
    assert opens_at(windows, at("21 14:00")) == at("23 22:00")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Mon-Fri 22:00-06:00", "Mon-Fri 22:00-06:00 UTC"),
        ("mon–fri 22:00 – 6:00 UTC", "Mon-Fri 22:00-06:00 UTC"),
        ("Monday, wednesday-friday 1:00 to 2:30 Europe/Berlin", "Mon, Wed-Fri 01:00-02:30 Europe/Berlin"),
        ("daily 00:00-24:00", "daily 00:00-00:00 UTC"),
        ("Fri-Mon 20:00-23:00", "Mon, Fri-Sun 20:00-23:00 UTC"),
    ],
)
def test_a_line_is_read_kept_and_said_again(line: str, said: str) -> None:
    window = parse(line)

    assert str(window) == said
    assert Window.of(window.kept()) == window
    assert parse(str(window)) == window


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("at night", "Write days, hours and a time zone"),
        ("22:00-06:00", "Write days, hours and a time zone"),
        ("Mon 22-6", "Write days, hours and a time zone"),
        ("Mon 25:00-06:00", "“25:00” is no time of the day"),
        ("Mon 20:00-06:60", "“06:60” is no time of the day"),
        ("Moonday 20:00-06:00", "“Moonday” is no day of the week"),
        ("Mon 20:00-06:00 Berlin", "“Berlin” is no time zone"),
        ("Mon 20:00-06:00\nTue 1-2", "Line 2: "),
        ("Mon 20:00-06:00\n" * 21, "At most 20 windows"),
    ],
)
def test_what_is_no_window_is_said_in_words(text: str, said: str) -> None:
    with pytest.raises(BadWindow) as caught:
        parse_all(text)

    assert said in str(caught.value)


WINDOWS = st.builds(
    Window,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    st.sampled_from(["UTC", "Asia/Kolkata", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
)


@given(st.lists(WINDOWS, min_size=1, max_size=3), st.integers(1_600_000_000, 2_200_000_000))
def test_what_waits_is_let_go_on_when_its_window_opens(windows: list[Window], seconds: int) -> None:
    now = datetime.fromtimestamp(seconds, UTC)

    opens = opens_at(windows, now)

    if opens:
        assert opens > now
        assert opens_at(windows, opens) is None
        assert opens_at(windows, opens - timedelta(minutes=1)) in (None, opens)
