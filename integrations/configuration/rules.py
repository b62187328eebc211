"""Mapping rules as people write and read them: TOML in, TOML out, and differences in words.

The text holds one resource: `kind`, a table `fields.<name>` for each rule, and `states`.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from integrations.boundary.mapping_document import Rule
from integrations.canonical import KINDS

#: Characters. The longest of the shipped documents has about a tenth of it.
LONGEST = 64 * 1024
#: The parts of a rule, in the order in which they are written.
PARTS = ("source", "convert", "missing", "null", "default")


class Unreadable(ValueError):
    """The text is no rules; it says where and why."""


def read(text: str) -> dict[str, Any]:
    """Return the rules that a text holds; raises `Unreadable`. Whether they are sound is another question."""
    if len(text) > LONGEST:
        raise Unreadable(f"These are {len(text):,} characters; rules hold at most {LONGEST:,}.")
    try:
        rules = tomllib.loads(text.replace("\r\n", "\n"))
        kept = json.dumps(rules, allow_nan=False)
    except tomllib.TOMLDecodeError as error:
        raise Unreadable(f"This is not TOML: {error}.") from None
    except (TypeError, ValueError):
        raise Unreadable("Write dates, infinity and nan as text: rules are kept as JSON.") from None
    except RecursionError:
        raise Unreadable("This is nested too deep.") from None
    if "\\u0000" in kept:
        raise Unreadable("Take out the NUL character: no text that is kept can hold one.")
    return rules


def write(rules: Mapping[str, Any]) -> str:
    """Return rules as TOML, in the order in which people read a record."""
    lines = [f"kind = {_value(rules['kind'])}"]
    for name, rule in _in_order(rules, "fields"):
        lines += ["", f"[fields.{_key(name)}]"]
        lines += [f"{part} = {_value(rule[part])}" for part in PARTS if rule.get(part) is not None]
    if rules.get("states"):
        lines += ["", "[states]"]
        lines += [f"{_key(word)} = {_value(state)}" for word, state in _in_order(rules, "states")]
    return "\n".join(lines) + "\n"


def _in_order(rules: Mapping[str, Any], part: str) -> list[tuple[str, Any]]:
    """Return a table's entries as their kind orders them; the database keeps no order of its own."""
    kind = KINDS.get(str(rules.get("kind")))
    if kind is None:
        return sorted(rules.get(part, {}).items())
    places = {name: place for place, name in enumerate(("state", *kind.fields) if part == "fields" else kind.states)}
    last = len(places)

    def place(entry: tuple[str, Any]) -> tuple[int, str]:
        name, value = entry
        return places.get(name if part == "fields" else str(value), last), name

    return sorted(rules.get(part, {}).items(), key=place)


def _key(name: str) -> str:
    plain = name.replace("_", "").replace("-", "")
    return name if plain.isalnum() and plain.isascii() else _value(name)


def _value(value: Any) -> str:
    """Return a TOML value. JSON's strings, numbers, booleans and lists are TOML's as well."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str | None, str | None]]:
    """Return (name, old, new) of each rule and state that differs, each side in words, None where there is none."""
    return [*_different(_rules(old), _rules(new)), *_different(_states(old), _states(new))]


def _different(old: dict[str, str], new: dict[str, str]) -> Iterator[tuple[str, str | None, str | None]]:
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield name, old.get(name), new.get(name)


def _rules(rules: Mapping[str, Any]) -> dict[str, str]:
    return {name: in_words(rule) for name, rule in _in_order(rules, "fields")}


def _states(rules: Mapping[str, Any]) -> dict[str, str]:
    return {f"state {word}": str(state) for word, state in _in_order(rules, "states")}


def in_words(raw: Mapping[str, Any]) -> str:
    """Return one rule as a line: where from, how, and what stands in."""
    rule = Rule.model_validate(dict(raw))
    parts = [" or ".join(rule.sources), rule.words]
    if rule.sources:
        parts += [rule.words_when["missing"], rule.words_when["null"]]
    return ", ".join(part for part in parts if part)
