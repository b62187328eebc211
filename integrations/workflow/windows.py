"""Off-peak windows: when bulk runs of a connection may begin and go on. Pure: no database, no clock.

A window names the days on which it begins. One that ends no later than it begins ends on the day after. Where clocks
skip its beginning or end, that is the moment at which they do; where they show it twice, a window begins at the first
and ends at the second. One that clocks skip whole does not open that night.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from integrations.workflow.clocks import instants, zone_named

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MOST: Final = 20
_LINE: Final = re.compile(
    r"(?P<days>[a-z,\- ]+?) +(?P<begins>\d{1,2}:\d\d) ?(?:-|to) ?(?P<ends>\d{1,2}:\d\d)(?: +(?P<zone>\S+))?",
    re.IGNORECASE | re.ASCII,
)


class BadWindow(ValueError):
    """A line that names no window; the text says what is wrong with it."""


@dataclass(frozen=True)
class Window:
    """Hours of some days of the week (Monday is 0), in a time zone by its IANA name."""

    days: frozenset[int]
    begins: time
    ends: time
    zone: str = "UTC"

    @classmethod
    def of(cls, kept: dict[str, Any]) -> "Window":
        """Return a window from how it is kept."""
        begins, ends = (time.fromisoformat(kept[name]) for name in ("from", "to"))
        return cls(frozenset(kept["days"]), begins, ends, kept["zone"])

    def kept(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "days": sorted(self.days), "from": f"{self.begins:%H:%M}", "to": f"{self.ends:%H:%M}", "zone": self.zone,
        }  # fmt: skip

    def spans(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the times (from, to), UTC, of the days around a moment: yesterday to a week ahead."""
        zone = ZoneInfo(self.zone)
        today = moment.astimezone(zone).date()
        for away in range(-1, 8):
            day = today + timedelta(days=away)
            if day.weekday() in self.days:
                last = day if self.ends > self.begins else day + timedelta(days=1)
                begins, ends = instants(day, self.begins, zone)[0], instants(last, self.ends, zone)[-1]
                if begins < ends:
                    yield begins, ends

    def __str__(self) -> str:
        return f"{days_said(self.days)} {self.begins:%H:%M}-{self.ends:%H:%M} {self.zone}"


def read_all(kept: Iterable[dict[str, Any]]) -> list[Window]:
    """Return the windows of a connection."""
    return [Window.of(each) for each in kept]


def opens_at(windows: Sequence[Window], now: datetime) -> datetime | None:
    """Return when bulk runs may go on; None when they may now: inside a window, or where there is none."""
    spans = [span for window in windows for span in window.spans(now)]
    if not spans or any(begins <= now < ends for begins, ends in spans):
        return None
    return min(begins for begins, _ in spans if begins > now)


def closes_at(windows: Sequence[Window], now: datetime) -> datetime | None:
    """Return when the window that is open now closes; None where none is open."""
    return max((ends for window in windows for begins, ends in window.spans(now) if begins <= now < ends), default=None)


def parse(line: str) -> Window:
    """Return the window that a line names, such as "Mon-Fri 22:00-06:00 Europe/Berlin"; raises `BadWindow`."""
    found = _LINE.fullmatch(" ".join(line.replace("–", "-").split()))
    if not found:
        raise BadWindow("Write days, hours and a time zone, such as Mon-Fri 22:00-06:00 Europe/Berlin.")
    zone = zone_named(found["zone"] or "UTC")
    if not zone:
        raise BadWindow(
            f"“{found['zone']}” is no time zone. Use a name such as UTC, Europe/Berlin or America/New_York."
        )
    return Window(_days(found["days"]), _time(found["begins"]), _time(found["ends"]), zone)


def parse_all(text: str) -> list[Window]:
    """Return the windows that lines name; empty lines count for nothing. Raises `BadWindow`."""
    windows = []
    for place, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                windows.append(parse(line))
            except BadWindow as bad:
                raise BadWindow(f"Line {place}: {bad}") from None
    if len(windows) > MOST:
        raise BadWindow(f"At most {MOST} windows; these are {len(windows)}.")
    return windows


def _days(text: str) -> frozenset[int]:
    if text.strip().lower() in ("daily", "every day"):
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        begin, end = _day(first), _day(last or first)
        found.update((begin + n) % 7 for n in range((end - begin) % 7 + 1))
    return frozenset(found)


def _day(word: str) -> int:
    for place, day in enumerate(DAYS):
        if len(word) >= 2 and (word.lower().startswith(day.lower()) or day.lower().startswith(word.lower())):
            return place
    raise BadWindow(f"“{word}” is no day of the week. Write Mon, Tue, Wed, Thu, Fri, Sat, Sun or daily.")


def _time(word: str) -> time:
    hour, minute = (int(part) for part in word.split(":"))
    if (hour, minute) == (24, 0):
        return time(0)
    if hour > 23 or minute > 59:
        raise BadWindow(f"“{word}” is no time of the day; use 00:00 to 24:00.")
    return time(hour, minute)


def days_said(days: frozenset[int]) -> str:
    """Return days of the week, Monday 0, as "daily", "Mon-Fri" or "Mon, Wed-Fri"."""
    if len(days) == 7:
        return "daily"
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}-{DAYS[run[-1]]}" for run in runs)
