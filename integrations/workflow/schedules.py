"""When a stream is due next: at an interval, or by five cron fields in UTC. Pure: no database, no clock."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from celery.schedules import ParseException, crontab_parser

#: Seconds: less would only wait for the run before it, more is what nobody would remember.
SHORTEST, LONGEST = 30, 31 * 86_400
#: Characters of cron fields.
LONGEST_CRON = 120
#: Years that a date such as 29 February may be away, across a century that is no leap year.
_FURTHEST = 9
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

    @property
    def weekdays_from_monday(self) -> frozenset[int]:
        """The days of the week with Monday as 0."""
        return frozenset((day - 1) % 7 for day in self.weekdays)

    def after(self, moment: datetime) -> datetime | None:
        """Return the first time after `moment`, UTC; None when there is no such day."""
        first = moment.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        return next((at for day in _days(first.date()) if self._names(day) for at in self._times(day, first)), None)

    def _names(self, day: date) -> bool:
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (in_month or in_week if self.either else in_month and in_week)

    def _times(self, day: date, first: datetime) -> Iterator[datetime]:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                if at >= first:
                    yield at


def _days(first: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range(_FURTHEST * 366))


@lru_cache(maxsize=512)
def parse_cron(text: str) -> Cron:
    """Take five cron fields apart, by the parser that Celery's own schedules use; raises `BadSchedule`."""
    parts = text.lower().split()
    if len(parts) != len(FIELDS):
        raise BadSchedule(
            f"Cron has five fields (minute, hour, day of the month, month, day of the week); these are {len(parts)}."
        )
    minutes, hours, days, months, weekdays = (_values(*pair) for pair in zip(FIELDS, parts, strict=True))
    either = not parts[2].startswith("*") and not parts[4].startswith("*")
    cron = Cron(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either)
    if cron.after(datetime(2024, 1, 1, tzinfo=UTC)) is None:
        raise BadSchedule("There is no such day in any of these months.")
    return cron


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

    Raises `BadSchedule`.
    """
    words = " ".join(text.split()).lower()
    if _LENGTH.fullmatch(words):
        return read_length(words, SHORTEST, LONGEST), ""
    if len(words.split()) < len(FIELDS) and not words.startswith("*"):
        raise BadSchedule(
            "Give an interval (45 s, 15 min, 2 h, 1 d), or five cron fields in UTC such as 30 2 * * mon-fri."
        )
    if len(words) > LONGEST_CRON:
        raise BadSchedule(f"At most {LONGEST_CRON} characters; these are {len(words):,}.")
    parse_cron(words)
    return 0, words


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
