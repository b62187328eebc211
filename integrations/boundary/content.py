"""Whether what a command is asked with has the shape that its action takes."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from integrations.canonical.asking import is_step
from integrations.providers.base import ActionSpec

#: Deeper than this nothing canonical is.
DEEPEST = 10


def faults(spec: ActionSpec, external_id: str, content: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong, by field: `external_id`, or a path in the content such as `content.amount`."""
    found: dict[str, list[str]] = {}
    if spec.creates and external_id:
        found["external_id"] = ["This action makes an object; it takes no id of one."]
    if not spec.creates and not external_id:
        found["external_id"] = [f"Give the provider's id of the {spec.resource.replace('_', ' ')} to act on."]
    if is_step(external_id):
        found["external_id"] = ["It is no id: in an address it leads to another place."]
    return found | (_unstorable(content) or _misshapen(spec, content))


def _misshapen(spec: ActionSpec, content: Mapping[str, Any]) -> dict[str, list[str]]:
    if spec.content is None:
        return {}
    try:
        spec.content.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        found: dict[str, list[str]] = {}
        for each in error.errors(include_url=False, include_context=False, include_input=False):
            path = ".".join(["content", *map(str, each["loc"])])
            found.setdefault(path, []).append(each["msg"].removeprefix("Value error, "))
        return found
    return {}


def _unstorable(value: Any, path: str = "content", depth: int = 0) -> dict[str, list[str]]:
    """Return where a value holds what no database text can, or is nested beyond all need."""
    if depth > DEEPEST:
        return {path: ["It is nested too deep."]}
    if isinstance(value, str):
        return {path: ["It holds a character that no text has."]} if _unspeakable(value) else {}
    found: dict[str, list[str]] = {}
    if isinstance(value, Mapping):
        for name, below in value.items():
            if _unspeakable(name):
                return {path: ["A name in it holds a character that no text has."]}
            found |= _unstorable(below, f"{path}.{name}", depth + 1)
    elif isinstance(value, list):
        for place, below in enumerate(value):
            found |= _unstorable(below, f"{path}.{place}", depth + 1)
    return found


def _unspeakable(text: str) -> bool:
    """Say whether a text holds a zero byte or half a character, which PostgreSQL refuses."""
    return any(c == "\x00" or "\ud800" <= c <= "\udfff" for c in text)
