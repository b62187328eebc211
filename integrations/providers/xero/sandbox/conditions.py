"""`where` and `order`: a small exact part of Xero's query language.

Source: https://developer.xero.com/documentation/api/accounting/requests-and-responses#retrieving-a-filtered-resource
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from integrations.providers.xero.sandbox.formats import JSON
from integrations.providers.xero.sandbox.refusals import bad_query

Look = Callable[[JSON, str], Any]
Test = Callable[[JSON], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*")|(?P<number>-?\d+(?:\.\d+)?)|(?P<call>(?:Guid|DateTime)\s*\([^)]*\))"""
    r"""|(?P<name>[A-Za-z_][\w.]*)|(?P<mark>==|!=|>=|<=|>|<|&&|\|\||\(|\)))"""
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    ">": lambda left, right: left is not None and bool(left > right),
    ">=": lambda left, right: left is not None and bool(left >= right),
    "<": lambda left, right: left is not None and bool(left < right),
    "<=": lambda left, right: left is not None and bool(left <= right),
}
_WITHIN: dict[str, Callable[[str, str], bool]] = {
    "Contains": lambda left, right: right in left,
    "StartsWith": str.startswith,
    "EndsWith": str.endswith,
}
_CONSTANTS = {"true": True, "false": False, "null": None}
DEEPEST = 50


class Where:
    """A parsed condition. `equal` holds the equalities that every match must fulfil, for an index to use."""

    def __init__(self, source: str, fields: frozenset[str], look: Look) -> None:
        self._tokens = _split(source)
        self._fields = fields
        self._look = look
        self._depth = 0
        self.equal: dict[str, str] = {}
        self._alone = True
        self.test = self._either()
        if self._tokens:
            raise bad_query(f"Syntax error at '{self._tokens[0][1]}'")
        if not self._alone:
            self.equal = {}

    def _take(self, *wanted: str) -> str:
        if self._tokens and self._tokens[0][1].upper() in wanted:
            return self._tokens.pop(0)[1]
        return ""

    def _either(self) -> Test:
        tests = [self._all()]
        while self._take("OR", "||"):
            self._alone = False
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda obj: any(test(obj) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._take("AND", "&&"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda obj: all(test(obj) for test in tests)

    def _one(self) -> Test:
        if self._take("("):
            self._depth += 1
            if self._depth > DEEPEST:
                raise bad_query("The condition is nested too deeply")
            test = self._either()
            if not self._take(")"):
                raise bad_query("')' expected")
            return test
        _, name = self._next("name")
        field, _, method = name.rpartition(".")
        if method in _WITHIN:
            return self._within(field, method)
        if name not in self._fields:
            raise bad_query(f"No property or field '{name}' exists")
        mark = self._take(*_COMPARE)
        if not mark:
            raise bad_query(f"Operator expected after '{name}'")
        return self._compare(name, mark, self._literal())

    def _next(self, *kinds: str) -> tuple[str, str]:
        if not self._tokens or self._tokens[0][0] not in kinds:
            raise bad_query("Expression expected" if not self._tokens else f"Syntax error at '{self._tokens[0][1]}'")
        return self._tokens.pop(0)

    def _within(self, field: str, method: str) -> Test:
        if field not in self._fields:
            raise bad_query(f"No property or field '{field}' exists")
        if not self._take("("):
            raise bad_query("'(' expected")
        sought = self._next("text")[1][1:-1]
        if not self._take(")"):
            raise bad_query("')' expected")
        look, compare = self._look, _WITHIN[method]
        return lambda obj: compare(str(look(obj, field) or ""), sought)

    def _literal(self) -> Any:
        kind, word = self._next("text", "number", "call", "name")
        if kind == "text":
            return word[1:-1]
        if kind == "number":
            return Decimal(word)
        if kind == "call":
            return _call(word)
        if word.lower() not in _CONSTANTS:
            raise bad_query(f"Unknown word '{word}'")
        return _CONSTANTS[word.lower()]

    def _compare(self, name: str, mark: str, value: Any) -> Test:
        if mark == "==" and isinstance(value, str):
            self.equal[name] = value
        look, compare = self._look, _COMPARE[mark]

        def test(obj: JSON) -> bool:
            found = look(obj, name)
            if isinstance(value, datetime):
                found = _moment(found)
            try:
                return compare(found, value)
            except TypeError as error:
                raise bad_query(f"Operator '{mark}' incompatible with the operand types of '{name}'") from error

        return test


def _split(source: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    source = source.strip()
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None or found.lastgroup is None:
            raise bad_query(f"Syntax error at character {at}")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        at = found.end()
    return tokens


def _moment(value: Any) -> datetime | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    return value if isinstance(value, datetime) else None


def _call(word: str) -> Any:
    name, _, inside = word.rstrip(")").partition("(")
    if name.strip() == "Guid":
        return inside.strip().strip('"').lower()
    try:
        return datetime(*(int(number) for number in inside.split(",")), tzinfo=UTC)  # type: ignore[misc,arg-type]
    except (TypeError, ValueError) as error:
        raise bad_query(f"Not a date: {word}") from error


def in_order(found: list[JSON], order: str, fields: frozenset[str], look: Look) -> list[JSON]:
    """The objects in another order: `Field`, `Field DESC`, several with commas. Raises `Refused` 400."""
    for part in reversed(order.split(",")):
        words = part.split()
        if not words or words[0] not in fields or (words[1:] and words[1].upper() not in ("ASC", "DESC")):
            raise bad_query(f"Cannot order by '{part.strip()}'")
        found = _sorted(found, words[0], look, down=words[-1].upper() == "DESC")
    return found


def _sorted(found: list[JSON], field: str, look: Look, *, down: bool) -> list[JSON]:
    try:
        return sorted(found, key=lambda obj: _rank(look(obj, field)), reverse=down)
    except TypeError as error:
        raise bad_query(f"Cannot order by '{field}'") from error


def _rank(value: Any) -> tuple[bool, Any]:
    return (value is not None, "" if value is None else value)
