"""When a stream is due next: at an interval, or by five cron fields in a time zone. Pure: no database, no clock.

Where clocks go forward, a time that they skip is due as they skip it. Where they go back, a time that they show twice
is due the first time; where every hour is named, both times, for that is an interval.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from celery.schedules import ParseException, crontab_parser

from integrations.workflow.clocks import instants, zone_named

#: Seconds: less would only wait for the run before it, more is what nobody would remember.
SHORTEST, LONGEST = 30, 31 * 86_400
#: Characters of cron fields.
LONGEST_CRON = 120
#: Years that a date such as 29 February may be away, across a century that is no leap year.
_FURTHEST = 9
_EVERY_HOUR: Final = 24
#: Hours that may overlap where clocks go back; nowhere do they go back by more than three.
_OVERLAPPING: Final = 4
_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_LENGTH: Final = re.compile(r"(?:every )?(\d{1,7}) ?(s|min|h|d)", re.ASCII)
_NUMBERS: Final = re.compile(r"[\d*/,\-]+", re.ASCII)
_NAMES: Final = re.compile(r"[\da-z*/,\-]+", re.ASCII)


@dataclass(frozen=True)
class Field:
    """One of the five cron fields: its name, how many values it has from `first`, and whether names stand for them."""

    name: str
    size: int
    first: int = 0
    named: bool = False


#: Sunday is 0 and 7, as everywhere in cron.
FIELDS: Final = (
    Field("minute", 60),
    Field("hour", 24),
    Field("day of the month", 31, 1),
    Field("month", 12, 1, named=True),
    Field("day of the week", 8, named=True),
)


class BadSchedule(ValueError):
    """The words are neither an interval nor five cron fields; the text says what is wrong and what would fit."""


@dataclass(frozen=True)
class Cron:
    """Five cron fields, taken apart."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    #: Where days of the month and of the week are both named, either is enough (POSIX crontab).
    either: bool
    #: IANA name of the time zone whose clocks count.
    zone: str = "UTC"

    @property
    def weekdays_from_monday(self) -> frozenset[int]:
        """The days of the week with Monday as 0."""
        return frozenset((day - 1) % 7 for day in self.weekdays)

    def after(self, moment: datetime) -> datetime | None:
        """Return the first time after `moment`, UTC; None when there is no such day."""
        zone = ZoneInfo(self.zone)
        days = _days(moment.astimezone(zone).date() - timedelta(days=1))
        ahead = (at for day in days if self._names(day) for at in self._hours(day, zone, moment))
        # Of several, since an hour that clocks show twice overlaps with those after it.
        return min(islice(ahead, _OVERLAPPING), default=None)

    def _names(self, day: date) -> bool:
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (in_month or in_week if self.either else in_month and in_week)

    def _hours(self, day: date, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
        """Yield the first time after `moment` of each hour of a day that has one."""
        shown = slice(None) if len(self.hours) == _EVERY_HOUR else slice(1)
        for hour in sorted(self.hours):
            if instants(day, time(hour, 59), zone)[-1] <= moment:
                continue
            times = (at for minute in self.minutes for at in instants(day, time(hour, minute), zone)[shown])
            first = min((at for at in times if at > moment), default=None)
            if first:
                yield first


def _days(first: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range(_FURTHEST * 366))


@lru_cache(maxsize=512)
def parse_cron(text: str) -> Cron:
    """Take five cron fields and a time zone apart, by the parser of Celery's own schedules; raises `BadSchedule`."""
    *parts, zone = _zoned(text)
    if len(parts) != len(FIELDS):
        raise BadSchedule(
            f"Cron has five fields (minute, hour, day of the month, month, day of the week), and may name a time zone "
            f"after them; these are {len(parts)}."
        )
    minutes, hours, days, months, weekdays = (_values(*pair) for pair in zip(FIELDS, parts, strict=True))
    either = not parts[2].startswith("*") and not parts[4].startswith("*")
    cron = Cron(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either, zone)
    if cron.after(datetime(2024, 1, 1, tzinfo=UTC)) is None:
        raise BadSchedule("There is no such day in any of these months.")
    return cron


def _zoned(text: str) -> list[str]:
    """Return the fields in small letters, and the time zone after them; raises `BadSchedule` for none."""
    parts = text.split()
    if len(parts) != len(FIELDS) + 1:
        return [*(part.lower() for part in parts), "UTC"]
    zone = zone_named(parts[-1])
    if not zone:
        raise BadSchedule(f"“{parts[-1]}” is no time zone. Use a name such as UTC, Europe/Berlin or America/New_York.")
    return [*(part.lower() for part in parts[:-1]), zone]


def zone_of(cron: str) -> str:
    """Return the time zone of a kept schedule by its IANA name, UTC where it names none."""
    return parse_cron(cron).zone if cron else "UTC"


def _values(field: Field, text: str) -> frozenset[int]:
    allowed = _NAMES if field.named else _NUMBERS
    try:
        if not allowed.fullmatch(text):
            raise ValueError(text)
        return frozenset(crontab_parser(field.size, field.first).parse(text))
    except (ValueError, ParseException) as error:
        last = field.first + field.size - 1
        raise BadSchedule(
            f"The {field.name} “{text}” is none: use {field.first} to {last}, *, a list (1,2), a range (1-5) or "
            f"a step (*/5)."
        ) from error


def read(text: str) -> tuple[int, str]:
    """Return (seconds between two runs, cron fields) of "15 min" or "30 2 * * mon-fri"; one of them is empty.

    Cron fields are followed by their time zone where that is another than UTC.

    Raises `BadSchedule`.
    """
    words = " ".join(text.split())
    if _LENGTH.fullmatch(words.lower()):
        return read_length(words, SHORTEST, LONGEST), ""
    if len(words.split()) < len(FIELDS) and not words.startswith("*"):
        raise BadSchedule(
            "Give an interval (45 s, 15 min, 2 h, 1 d), or five cron fields and a time zone, such as "
            "30 2 * * mon-fri Europe/Berlin."
        )
    if len(words) > LONGEST_CRON:
        raise BadSchedule(f"At most {LONGEST_CRON} characters; these are {len(words):,}.")
    parse_cron(words)
    *fields, zone = _zoned(words)
    return 0, " ".join(fields if zone == "UTC" else [*fields, zone])


def read_length(text: str, least: int, most: int) -> int:
    """Return the seconds of "45 s", "15 min", "2 h" or "1 d"; raises `BadSchedule`, also outside of the bounds."""
    found = _LENGTH.fullmatch(" ".join(text.split()).lower())
    if not found:
        raise BadSchedule("Give a length of time such as 45 s, 15 min, 2 h or 1 d.")
    seconds = int(found[1]) * _UNITS[found[2]]
    if not least <= seconds <= most:
        raise BadSchedule(f"Give at least {length_said(least)} and at most {length_said(most)}.")
    return seconds


def length_said(seconds: int) -> str:
    """Return seconds as `read_length` takes them, in their largest whole unit."""
    unit = next((name for name in ("d", "h", "min") if seconds and seconds % _UNITS[name] == 0), "s")
    return f"{seconds // _UNITS[unit]} {unit}"


def next_after(moment: datetime, *, every: int, cron: str) -> datetime | None:
    """Return when something is due next after `moment`; None where it is never due by itself."""
    if cron:
        return parse_cron(cron).after(moment)
    return moment + timedelta(seconds=every) if every else None
