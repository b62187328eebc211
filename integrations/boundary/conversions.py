"""Conversions of a source value into a canonical one. None of them coerces.

A boolean is no integer, "12" is no integer, 12.0 is no integer. Each returns JSON-ready data or
raises `Refused`.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from integrations.canonical.money import DECIMALS, LARGEST, rescaled

_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that a datetime holds
_LONGEST_ID = 255
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_DECIMAL = re.compile(r"-?\d{1,18}(\.\d{1,10})?", re.ASCII)
#: As the JSON writers of .NET put a moment: milliseconds since 1970, and an offset that only says how to show it.
_DOTNET_TIME = re.compile(r"/Date\((-?\d{1,15})([+-]\d{4})?\)/", re.ASCII)
#: Significant digits of a decimal number that survive being read as binary floating point.
_EXACT_DIGITS = 15
_ODD = re.compile(r"[^\w.-]", re.ASCII)


class Refused(Exception):
    """The value does not fit. `code` is stable; `words` complete the sentence "the value …"."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


@dataclass(slots=True)
class Setting:
    """What a conversion may need besides the value."""

    states: Mapping[str, str]
    decimals: Mapping[str, int]
    currency: str | None = None


Converter = Callable[[Any, Setting], Any]


def converter(convert: str) -> Converter:
    """Return the conversion named `convert`, such as "text" or "link:customer". Raises `ValueError`."""
    name, _, argument = convert.partition(":")
    if name in _WITH_ARGUMENT and argument:
        return _WITH_ARGUMENT[name](argument)
    if convert in _PLAIN:
        return _PLAIN[convert]
    known = sorted([*_PLAIN, *(f"{name}:…" for name in _WITH_ARGUMENT)])
    raise ValueError(f"convert {convert!r} is not known; there are {', '.join(known)}")


def words(convert: str) -> str:
    """Return the conversion in words, as people read it beside a field."""
    name, _, argument = convert.partition(":")
    return _WORDS[name].format(argument)


def brief(value: Any) -> str:
    """Return a value as short JSON text, for a person to recognise it; of what holds others, only its size.

    An object where none belongs may be a whole customer.
    """
    if isinstance(value, dict | list):
        return f"({_TYPES[type(value)]} of {len(value)})"
    try:
        text = json.dumps(value, ensure_ascii=True)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 80 else f"{text[:79]}…"


def _wrong(value: Any, wanted: str) -> Refused:
    return Refused("wrong_type", f"is {_TYPES.get(type(value), 'of another type')} and not {wanted}")


def _text(value: Any, _: Setting) -> str:
    if type(value) is not str:
        raise _wrong(value, "a text")
    if _UNSTORABLE.search(value):
        raise Refused("bad_text", "holds characters that are no text (NUL or half a surrogate pair)")
    return value


def _integer(value: Any, _: Setting) -> int:
    if type(value) is not int:
        raise _wrong(value, "a whole number")
    if not -LARGEST <= value <= LARGEST:
        raise Refused("out_of_range", "is larger than 64 bits hold")
    return value


def _boolean(value: Any, _: Setting) -> bool:
    if type(value) is not bool:
        raise _wrong(value, "true or false")
    return value


def _unix_time(value: Any, setting: Setting) -> str:
    if not 0 <= _integer(value, setting) <= _LAST_SECOND:
        raise Refused("out_of_range", "is no time between 1970 and 9999")
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(value: Any, setting: Setting) -> str:
    """Read a date, an ISO 8601 time (UTC where it names no zone), or a time as .NET writes it."""
    text = _text(value, setting)
    try:
        dotnet = _DOTNET_TIME.fullmatch(text)
        if dotnet:
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(dotnet.group(1)))
        else:
            read = datetime.fromisoformat(text)
            moment = (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
        if moment.year < 1000:
            raise ValueError(text)
    except (ValueError, OverflowError):
        raise Refused("wrong_type", "is no time between the years 1000 and 9999") from None
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _currency(value: Any, setting: Setting) -> str:
    code = _text(value, setting)
    # `upper` would turn some letters outside ASCII into letters inside it.
    if not code.isascii() or code.upper() not in DECIMALS:
        raise Refused(f"unknown_currency:{_word(code)}", "is no ISO 4217 currency")
    return code.upper()


def _minor_units(value: Any, setting: Setting) -> int:
    amount = _integer(value, setting)
    if setting.currency is None:
        raise Refused("no_currency", "cannot be counted: the currency is not known")
    scaled = rescaled(amount, setting.currency, setting.decimals[setting.currency])
    if scaled is None:
        raise Refused("fraction", f"is a fraction of the smallest unit of {setting.currency}")
    return _integer(scaled, setting)


def _major_units(value: Any, setting: Setting) -> int:
    """Count a decimal amount, a number or a text, in the minor units of its currency: exactly or not at all."""
    if type(value) not in (int, float, str):
        raise _wrong(value, "an amount")
    if setting.currency is None:
        raise Refused("no_currency", "cannot be counted: the currency is not known")
    # The shortest text of a float is what was written, as long as that had no more digits than a float holds.
    text = value if type(value) is str else format(Decimal(repr(value)), "f")
    if not _DECIMAL.fullmatch(text):
        raise Refused("wrong_type", "is no amount")
    amount = Decimal(text)
    if type(value) is float and len(amount.normalize().as_tuple().digits) > _EXACT_DIGITS:
        raise Refused("out_of_range", "has more digits than can be told exactly")
    scaled = amount.scaleb(DECIMALS[setting.currency])
    if scaled != scaled.to_integral_value():
        raise Refused("fraction", f"is a fraction of the smallest unit of {setting.currency}")
    return _integer(int(scaled), setting)


def _minor_units_sum(key: str) -> Converter:
    def convert(value: Any, setting: Setting) -> int:
        if type(value) is not list:
            return _minor_units(value, setting)
        total = 0
        for part in value:
            if type(part) is not dict or key not in part:
                raise Refused("wrong_type", f"is a list with an entry that has no {key}")
            total += _minor_units(part[key], setting)
        return _integer(total, setting)

    return convert


def _link(_resource: str) -> Converter:
    def convert(value: Any, setting: Setting) -> str:
        # Providers answer the id or, expanded, the whole object.
        external_id = _text(value.get("id") if type(value) is dict else value, setting)
        if not 0 < len(external_id) <= _LONGEST_ID:
            raise Refused("out_of_range", f"is no id: it has {len(external_id)} characters")
        return external_id

    return convert


def _state(value: Any, setting: Setting) -> str:
    status = _text(value, setting)
    if status not in setting.states:
        raise Refused(f"unknown_status:{_word(status)}", f"is “{_word(status)}”, a status that the table does not know")
    return setting.states[status]


def _constant(value: str) -> Converter:
    return lambda _value, _setting: value


def _word(text: str) -> str:
    return _ODD.sub("_", text[:40])


_PLAIN: dict[str, Converter] = {
    "text": _text,
    "integer": _integer,
    "boolean": _boolean,
    "unix_time": _unix_time,
    "moment": _moment,
    "currency": _currency,
    "minor_units": _minor_units,
    "major_units": _major_units,
    "state": _state,
}
_WITH_ARGUMENT: dict[str, Callable[[str], Converter]] = {
    "minor_units_sum": _minor_units_sum,
    "link": _link,
    "constant": _constant,
}
_WORDS = {
    "text": "as it is",
    "integer": "whole number",
    "boolean": "true or false",
    "unix_time": "unix time → UTC",
    "moment": "time → UTC",
    "currency": "upper case, ISO 4217",
    "minor_units": "minor units",
    "major_units": "decimal amount → minor units",
    "state": "table of states",
    "minor_units_sum": "sum of {}, minor units",
    "link": "link to {}",
    "constant": "always {}",
}
_TYPES = {
    type(None): "null",
    bool: "true or false",
    int: "a whole number",
    float: "a number with decimals",
    str: "a text",
    list: "a list",
    dict: "an object",
}
