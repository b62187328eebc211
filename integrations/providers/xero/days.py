"""Days in the books: Xero keeps no hours, and counts days where the organisation is.

https://developer.xero.com/documentation/api/accounting/requests-and-responses#dates
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

SETTING: Final = "time_zone"
UTC_ZONE: Final = "UTC"


@lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones()}


def known_zone(name: str) -> str:
    """Return the IANA name of a time zone, whatever its capitals; raises `ValueError` where there is none."""
    found = _zones().get(name.strip().lower())
    if found is None:
        raise ValueError("there is no such time zone; give its IANA name, such as Pacific/Auckland")
    return found


def day_in(moment: str, zone: str) -> str:
    """Return the day that it is in a time zone at an RFC 3339 moment, as YYYY-MM-DD. Raises `ValueError`."""
    return f"{datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)):%Y-%m-%d}"


def noon_of(day: str, zone: str) -> str:
    """Return the moment at which it is noon on a day in a time zone, as RFC 3339 in UTC."""
    noon = datetime.combine(date.fromisoformat(day), time(12), ZoneInfo(zone))
    return f"{noon.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def zone_in(settings: Mapping[str, Any]) -> str:
    """Return the time zone in a connection's settings as they are kept; older ones name none."""
    return str(settings.get(SETTING) or UTC_ZONE)
