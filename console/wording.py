"""Numbers, times and money in the console's words. Pure functions: no template, no request."""

from datetime import UTC, datetime
from typing import Final

from integrations.canonical.money import DECIMALS

#: Written before the number. A currency without one shows its code and a space.
SYMBOLS: Final[dict[str, str]] = {
    "AUD": "A$",
    "BRL": "R$",
    "CAD": "CA$",
    "CNY": "CN¥",
    "DKK": "DKK ",
    "EUR": "€",
    "GBP": "£",
    "INR": "₹",
    "JPY": "¥",
    "KRW": "₩",
    "MXN": "MX$",
    "NOK": "NOK ",
    "NZD": "NZ$",
    "SEK": "SEK ",
    "USD": "$",
    "VND": "₫",
}

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 31557600


def money(minor: int | None, currency: str) -> str:
    """Return an amount in minor units with its symbol and the digits ISO 4217 gives it.

    An unknown currency is shown in minor units, never guessed.

    `money(-481250, "EUR")` is "−€4,812.50".
    """
    if minor is None:
        return "none"
    if type(minor) is not int:
        raise TypeError(f"money is a whole number of minor units, not {type(minor).__name__}")
    code = currency.upper()
    digits = DECIMALS.get(code, 0)
    whole, part = divmod(abs(minor), 10**digits)
    sign = "−" if minor < 0 else ""
    fraction = f".{part:0{digits}d}" if digits else ""
    return f"{sign}{SYMBOLS.get(code, f'{code} ')}{whole:,}{fraction}"


def count(number: int, one: str, many: str = "") -> str:
    """Return "1 event", "1,134 events", "0 replies"."""
    return f"{number:,} {one if number == 1 else many or plural(one)}"


def plural(noun: str) -> str:
    """Return the plural of an English noun, by its ending; irregular ones are given to `count`."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    return f"{noun}s"


def size(number: int) -> str:
    """Return bytes as "843 B", "6.1 kB", "1.0 MB", in steps of a thousand."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5 or unit == "GB":
            break
        amount /= 1000
    return f"{number} B" if unit == "B" else f"{amount:.1f} {unit}"


def age(seconds: float) -> str:
    """Return a length of time in up to two units: "34 min", "1 h 47 min", "22 h", "3 d".

    The second unit goes once the first says enough: from 10 hours, and from 3 days.
    """
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        return _two(whole // HOUR, "h", whole % HOUR // MINUTE, "min", below=10)
    if whole < 2 * YEAR:
        return _two(whole // DAY, "d", whole % DAY // HOUR, "h", below=3)
    return f"{int(whole // YEAR)} y"


def _two(first: int, unit: str, second: int, smaller: str, *, below: int) -> str:
    return f"{first} {unit} {second} {smaller}" if second and first < below else f"{first} {unit}"


def duration(seconds: float) -> str:
    """Return how long something took: "84 ms", "1.2 s", "52 s", "4 min 12 s", then as `age`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 10 * MINUTE:
        whole = round(seconds)
        return _two(whole // MINUTE, "min", whole % MINUTE, "s", below=10) if whole >= MINUTE else f"{whole} s"
    return age(seconds)


def ago(at: datetime, now: datetime) -> str:
    """Return "34 min ago", "just now", or "in 52 s" for a time to come."""
    seconds = (now - at).total_seconds()
    if seconds < -1:
        return f"in {age(-seconds)}"
    return "just now" if seconds < 2 else f"{age(seconds)} ago"


def until(at: datetime, now: datetime) -> str:
    """Return "in 52 s", or "now" when the time has come."""
    seconds = (at - now).total_seconds()
    return "now" if seconds < 1 else f"in {age(seconds)}"


def exact(at: datetime) -> str:
    """Return the whole UTC time, as it stands in titles: "2026-11-19 14:04:12 UTC"."""
    return f"{at.astimezone(UTC).isoformat(' ')[:19]} UTC"


def moment(at: datetime, now: datetime) -> str:
    """Return a UTC time as sentences say it: "14:04" today, "18 Nov, 16:41", "18 Nov 2025, 16:41"."""
    utc, today = at.astimezone(UTC), now.astimezone(UTC)
    if utc.date() == today.date():
        return f"{utc:%H:%M}"
    year = "" if utc.year == today.year else f" {utc.year}"
    return f"{utc.day} {utc:%b}{year}, {utc:%H:%M}"


def shorten(value: str, length: int = 20) -> str:
    """Return an identifier cut in its middle, longer head than tail, never longer than `length`."""
    if len(value) <= length:
        return value
    tail = (length - 1) * 2 // 5
    return f"{value[: length - 1 - tail]}…{value[-tail:]}"
