"""What the answers of any provider are read with: JSON, clocks, and how long to wait."""

import json
import math
import re
from collections.abc import Mapping, Sized
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from integrations.failures.categories import Category, Fault
from integrations.providers.base import Response

_LONGEST_WAIT: Final = 24 * 3600.0
#: Events that one webhook may tell of, many times what providers send. Each costs work before the answer.
MOST_EVENTS: Final = 1000
#: What is taken out of the words of others before we repeat them.
ODD: Final = re.compile(r"[^\w.\[\]-]", re.ASCII)
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def read_json(body: bytes) -> Any:
    """Return the JSON value in `body`. Raises `Fault` (contract mismatch) where it holds none."""
    try:
        return _decode(body.decode())
    except UnicodeDecodeError:
        raise mismatch("not_utf8", "The body is not UTF-8.") from None
    except (ValueError, RecursionError):
        raise mismatch("malformed_json", "The body is not JSON, or only the beginning of it.") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_decode: Final = json.JSONDecoder(parse_constant=_no_constant).decode


def name_in(obj: Mapping[str, Any], key: str, longest: int) -> str:
    """Return the text of 1 to `longest` characters under `key`. Raises `Fault` (contract mismatch)."""
    value = obj.get(key)
    if value is None:
        raise mismatch(f"missing:{key}", f"There is no {key}.", field=key)
    if not isinstance(value, str) or not 0 < len(value) <= longest or _UNSTORABLE.search(value):
        raise mismatch(f"wrong_type:{key}", f"The {key} is not a text of 1 to {longest} characters.", field=key)
    return value


def not_too_many(events: Sized) -> None:
    """Call before the events of a webhook are looked at. Raises `Fault` (contract mismatch) above `MOST_EVENTS`."""
    if len(events) > MOST_EVENTS:
        said = f"The webhook tells of {len(events):,} events; at most {MOST_EVENTS:,} are taken."
        raise mismatch("too_many_events", said, field="events")


def retry_after(response: Response) -> float | None:
    """Return the seconds for which the answer asks to wait, given in seconds or as a date; None if not at all."""
    asked = response.headers.get("retry-after", "").strip()
    if not asked:
        return None
    try:
        seconds = float(asked)
    except ValueError:
        until = http_date(asked)
        seconds = (until - as_of(response)).total_seconds() if until else math.nan
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _LONGEST_WAIT)


def as_of(response: Response) -> datetime:
    """Return the provider's clock at the answer, whole seconds; ours where it tells none."""
    return http_date(response.headers.get("date", "")) or response.received_at


def http_date(text: str) -> datetime | None:
    """Read an HTTP date, None where `text` is none."""
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def mismatch(code: str, message: str, *, field: str = "", value: Any = "") -> Fault:
    """Return a contract mismatch: an answer or event that is not as its provider documents it."""
    return Fault(Category.CONTRACT, code, message, field, str(value)[:80])
