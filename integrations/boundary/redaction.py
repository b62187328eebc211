"""Taking secrets and personal data out of what is shown. Done here, on the server, never in a page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

#: Keys whose values open doors. They are taken out whatever a provider calls sensitive.
SECRET_KEYS = frozenset(
    {"access_token", "api_key", "authorization", "client_secret", "password", "private_key", "refresh_token", "secret"}
)
#: Headers that never leave memory: they hold secrets, or prove knowledge of one.
SECRET_HEADERS = frozenset(
    {"authorization", "cookie", "proxy-authorization", "set-cookie", "www-authenticate", "x-api-key"}
)
_SECRET_HEADER = re.compile(r"signature|secret|token|api-?key|password|credential", re.IGNORECASE)
#: One character before the @ is enough to know one, and keeps the search linear.
_ADDRESS = re.compile(r"[\w.+-]@[\w-]+\.\w")
#: Deeper than this nothing is read: no honest payload is, and the stack has an end.
DEEPEST = 100


@dataclass(frozen=True)
class Redacted:
    """Stands where a value was taken out.

    `why` is the word shown instead of it, `of` the JSON type of what was there, `size` its length
    where it was a text.
    """

    why: str = "personal"
    of: str = "text"
    size: int | None = None

    def __str__(self) -> str:
        return self.why


def redact(value: Any, sensitive: frozenset[str]) -> Any:
    """Return `value` with a `Redacted` for each value of a sensitive key; its structure stays.

    `sensitive` holds keys that are taken out wherever they stand ("email"), or, with dots, only under
    those parents ("billing_details.name"; lists in between do not count). Null and empty texts stay:
    that nothing is there is worth knowing, and tells nothing. While anything is sensitive, a text with an
    e-mail address in it is taken out as well, whatever its key: people write them into notes and metadata.
    """
    rules: dict[str, list[tuple[str, ...]]] = {}
    for name in sensitive:
        *parents, key = name.split(".")
        rules.setdefault(key, []).append(tuple(parents))
    return _tree(value, (), rules, "")


def _tree(value: Any, path: tuple[str, ...], rules: dict[str, list[tuple[str, ...]]], why: str) -> Any:
    if len(path) > DEEPEST:
        return Redacted("too deep", _TYPES.get(type(value), "value"))
    if isinstance(value, Mapping):
        return {key: _tree(child, (*path, key), rules, why or _why(key, path, rules)) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(child, (*path, ""), rules, why) for child in value]
    if rules and isinstance(value, str) and _ADDRESS.search(value):
        why = why or "personal"
    return _masked(value, why) if why else value


def _why(key: str, path: tuple[str, ...], rules: dict[str, list[tuple[str, ...]]]) -> str:
    if key.lower() in SECRET_KEYS:
        return "secret"
    wanted = rules.get(key)
    if wanted is None:
        return ""
    above = tuple(name for name in path if name)
    return "personal" if any(above[len(above) - len(p) :] == p for p in wanted) else ""


def _masked(value: Any, why: str) -> Any:
    if value is None or value == "":
        return value
    return Redacted(why, _TYPES.get(type(value), "value"), len(value) if isinstance(value, str) else None)


_TYPES = {str: "text", int: "number", float: "number", bool: "true or false", dict: "object", list: "list"}


def mask(text: str) -> str:
    """Return a hint by which somebody who knows `text` recognises it: its ends, or nothing of a short one."""
    if not text:
        return ""
    shown = 4 if len(text) >= 16 else 0
    return f"{text[:shown]}…{text[len(text) - shown :]}" if shown else "…"


def strip_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers safe to keep: lower-case names, values that are secret or prove one taken out."""
    return {name.lower(): "(removed)" if _is_secret(name) else value for name, value in headers.items()}


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return name.lower() in SECRET_HEADERS or bool(_SECRET_HEADER.search(name))
