"""How a good body becomes a bad one, as bad as real ones are."""

import copy
import json
from typing import Any

from integrations.providers.stripe.sandbox.faults import JSON, Kind, Rule, look_up

AMOUNTS = ("amount_due", "amount", "created")
UNKNOWN_STATUS = "under_review"
UNKNOWN_TYPE = "billing_statement.issued"
PADDING = 2 * 1024 * 1024


def dumps(document: JSON) -> bytes:
    """A body as Stripe writes it: indented JSON."""
    return json.dumps(document, indent=2).encode()


def spoil(document: JSON, rule: Rule) -> bytes:
    """The body of `document` after the rule's fault; the document itself stays as it is."""
    if rule.kind is Kind.MALFORMED:
        body = dumps(document)
        return body[: len(body) * 3 // 5]
    if rule.kind is Kind.NOT_UTF8:
        return _with_latin1(document)
    bad = copy.deepcopy(document)
    obj = _subject(bad)
    if rule.kind is Kind.UNKNOWN_TYPE:
        bad["type"] = UNKNOWN_TYPE
    elif rule.kind is Kind.INCOMPLETE:
        for path in rule.remove or ["customer", "currency"]:
            remove(obj, path)
    elif rule.kind is Kind.WRONG_TYPE:
        _write_amount_as_text(obj, rule)
    elif rule.kind is Kind.UNKNOWN_STATUS:
        obj["status"] = rule.set.get("status", UNKNOWN_STATUS)
    elif rule.kind is Kind.HUGE:
        obj["description"] = "x" * PADDING
    elif rule.kind is Kind.CHANGED:
        for path in rule.remove:
            remove(obj, path)
        for path, value in rule.set.items():
            put(obj, path, value)
    return dumps(bad)


def _subject(document: JSON) -> JSON:
    """The object that a body is about: an event's, the first of a list, or the body itself."""
    if document.get("object") == "event":
        inner = look_up(document, "data.object")
    elif document.get("object") == "list":
        inner = look_up(document, "data.0")
    else:
        inner = document
    return inner if isinstance(inner, dict) else document


def _write_amount_as_text(obj: JSON, rule: Rule) -> None:
    if rule.set:
        for path, value in rule.set.items():
            put(obj, path, value)
        return
    field = next((name for name in AMOUNTS if isinstance(obj.get(name), int)), None)
    if field:
        obj[field] = f"{obj[field] / 100:,.2f}"


def _with_latin1(document: JSON) -> bytes:
    """The body with a name in Latin-1, as an old gateway would pass it on."""
    bad = copy.deepcopy(document)
    obj = _subject(bad)
    field = "customer_name" if "customer_name" in obj else "name"
    obj[field if field in obj else "description"] = "Jürgen Größe"
    return json.dumps(bad, indent=2, ensure_ascii=False).encode("latin-1", "replace")


def remove(obj: JSON, path: str) -> None:
    """Take a field away, by its dotted path."""
    parent, _, name = path.rpartition(".")
    inner = look_up(obj, parent) if parent else obj
    if isinstance(inner, dict):
        inner.pop(name, None)


def put(obj: JSON, path: str, value: Any) -> None:
    """Set a field, by its dotted path, where its parent exists."""
    parent, _, name = path.rpartition(".")
    inner = look_up(obj, parent) if parent else obj
    if isinstance(inner, dict):
        inner[name] = value
