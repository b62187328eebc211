"""What the clocks of a time zone show, as instants. Pure: no database, no clock of our own.

When clocks go forward, some times of the day do not exist that night; when they go back, some exist twice.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones


@lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones()}


def zone_named(word: str) -> str:
    """Return the IANA name that a word is, whatever its capitals; "" where there is no such time zone."""
    return _zones().get(word.lower(), "")


def instants(day: date, at: time, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Return when the clocks of a zone show a time of a day, as UTC: once, or twice when they go back.

    A time that they skip stands for the moment at which they skip it.
    """
    shown = datetime.combine(day, at)
    first, second = (shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return (first,)
    if first < second:
        return (first, second)
    return (_change_between(second, first, zone),)


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the whole second from which the zone's offset is that of `after`."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
