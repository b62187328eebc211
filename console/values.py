"""Canonical values as the console shows them: money, times, states, links; personal data masked."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from django.utils.html import format_html
from django.utils.safestring import SafeString

from console import look, wording
from integrations.boundary.redaction import mask
from integrations.canonical import KINDS

#: Hidden where nobody can tell of which kind a field is.
ANY_SENSITIVE = frozenset[str]().union(*(kind.sensitive for kind in KINDS.values()))

Sort = Literal["money", "moment", "state", "link", "text"]


@lru_cache
def sorts(kind: str) -> Mapping[str, Sort]:
    """Return what each field of a kind holds, by name; empty for a kind that is not known."""
    known = KINDS.get(kind)
    if known is None:
        return {}
    schema = known.model.model_json_schema()["properties"]
    found: dict[str, Sort] = {name: "link" if name in known.links else _sort(schema[name]) for name in known.fields}
    return {"state": "state", **found}


def _sort(schema: Mapping[str, Any]) -> Sort:
    for option in schema.get("anyOf", [schema]):
        if option.get("format") == "date-time":
            return "moment"
        if option.get("type") == "integer":
            return "money"
    return "text"


def shown(kind: str, field: str, value: Any, *, currency: str = "", personal: bool = False) -> str:
    """Return one value as text; `personal` says that the reader may see personal data."""
    if value is None or value == "":
        return "none"
    known = KINDS.get(kind)
    if not personal and field in (known.sensitive if known else ANY_SENSITIVE):
        return mask(str(value))
    sort = sorts(kind).get(field, "text")
    if sort == "money" and type(value) is int:
        return wording.money(value, currency)
    if sort == "moment" and isinstance(value, str):
        return _moment(value)
    return look.say(str(value)) if sort == "state" else str(value)


def name_of(field: str) -> str:
    """Return a field's name as people read it: `amount_due` is "Amount due"."""
    return field.replace("_", " ").capitalize()


def moment_of(value: Any) -> datetime | None:
    """Return a canonical time as a datetime; None where there is none."""
    try:
        return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) else None
    except ValueError:
        return None


def told(at: datetime, now: datetime) -> SafeString:
    """Return a time as sentences say it, with the exact one on hover."""
    return _time(at, wording.moment(at, now))


def told_on(at: datetime, now: datetime) -> SafeString:
    """Return a time with the word that leads to it: "at 14:04" today, else "on 18 Nov, 16:41"."""
    return format_html("{} {}", "at" if at.date() == now.date() else "on", told(at, now))


def told_ago(at: datetime, now: datetime) -> SafeString:
    """Return how long ago a time is, with the exact one on hover."""
    return _time(at, wording.ago(at, now))


def told_age(at: datetime, now: datetime) -> SafeString:
    """Return the length of time since then, with the exact time on hover."""
    return _time(at, wording.age((now - at).total_seconds()))


def told_day(at: datetime, now: datetime) -> SafeString:
    """Return the day of a time: "30 Nov", with its year where that is not this one."""
    year = "" if at.year == now.year else f" {at.year}"
    return _time(at, f"{at.day} {at:%b}{year}")


def _time(at: datetime, text: str) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", wording.exact(at), text
    )


def _moment(value: str) -> str:
    at = moment_of(value)
    if at is None:
        return value
    clock = "" if (at.hour, at.minute, at.second) == (0, 0, 0) else f", {at:%H:%M:%S}"
    return f"{at.day} {at:%b} {at.year}{clock}"
