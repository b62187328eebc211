"""JSON as Xero writes and reads it: dates in both formats, amounts as numbers.

Source: https://developer.xero.com/documentation/api/accounting/requests-and-responses
"""

import json
import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

JSON = dict[str, Any]

_MS_DATE = re.compile(r"/Date\((-?\d+)([+-]\d{4})?\)/")


def _wire(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date):
        return ms_date(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


_encode = json.JSONEncoder(default=_wire, ensure_ascii=False, separators=(",", ":")).encode


def dumps(document: Any) -> bytes:
    """The document as Xero sends it: dates as `/Date(1541176290160+0000)/`, decimals as numbers."""
    return _encode(document).encode()


def loads(body: bytes) -> Any:
    """A document with exact decimals. Raises `ValueError` (also for `NaN`, and for bytes that are no text)."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def ms_date(value: date) -> str:
    """A day or moment (UTC) in milliseconds since 1970."""
    moment = value if isinstance(value, datetime) else datetime.combine(value, time(), UTC)
    return f"/Date({int(moment.timestamp() * 1000 + 0.5)}+0000)/"


def day_text(value: date) -> str:
    """A day as the `…String` fields show it."""
    return f"{value.isoformat()}T00:00:00"


def moment_text(value: datetime) -> str:
    """A moment as the `…UTCString` fields show it, without milliseconds."""
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def read_day(value: Any) -> date:
    """A day out of `2026-11-21`, `2026-11-21T00:00:00` or `/Date(…)/`. Raises `ValueError`."""
    if not isinstance(value, str):
        raise ValueError("a date is text")
    if found := _MS_DATE.fullmatch(value):
        return datetime.fromtimestamp(int(found[1]) / 1000, UTC).date()
    return datetime.fromisoformat(value).date()


def read_moment(value: str) -> datetime:
    """The moment of an `If-Modified-Since`, without a zone in UTC. Raises `ValueError`."""
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        found = parsedate_to_datetime(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def read_amount(value: Any) -> Decimal:
    """A number, also one in quotes, exactly. Raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError("not a number")
    try:
        found = Decimal(value)
    except ArithmeticError as error:
        raise ValueError("not a number") from error
    if not found.is_finite() or abs(found) >= 10**12:
        raise ValueError("out of range")
    return found
