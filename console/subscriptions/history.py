"""What people changed about a subscription, with the difference; the journal holds it, line by line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import Http404

from console.newest import id_of
from integrations.boundary.destination import outline
from integrations.models import JournalEntry, Subscription

NEWEST: Final = 30
CHANGED: Final = "subscription.changed"
#: What may be changed of one: as the journal names it → the field of its form.
FIELDS: Final[Mapping[str, str]] = {"name": "name", "address": "url", "topics": "topics"}


@dataclass(frozen=True)
class Line:
    """One line of the journal about a subscription, and (name, old, new) of what differs since."""

    entry: JournalEntry
    rows: tuple[tuple[str, str, str], ...]


def lines_of(subscription: Subscription) -> list[Line]:
    """Return what was done about a subscription, the newest first; one query."""
    return [Line(entry, tuple(_rows(entry))) for entry in _entries(subscription).order_by("-id")[:NEWEST]]


def values_before(subscription: Subscription, asked: str) -> dict[str, Any]:
    """Return what a change took away, by the fields of the form; raises Http404 for what is no change of it."""
    entry = _entries(subscription).filter(pk=id_of(asked), action=CHANGED).first()
    if entry is None:
        raise Http404
    before = subscription.history.filter(pk__lt=entry.data.get("version", 0)).order_by("-pk").first()
    # Lines from before the journal named versions hold the address whole.
    return {FIELDS[title]: getattr(before, FIELDS[title]) if before else old for title, old, _ in entry.data["changes"]}


def _entries(subscription: Subscription) -> Any:
    about = {"subject_type": "subscription", "subject_id": subscription.pk}
    return JournalEntry.objects.filter(tenant_id=subscription.tenant_id, **about)


def _rows(entry: JournalEntry) -> list[tuple[str, str, str]]:
    if entry.action != CHANGED:
        return []
    return [(title.capitalize(), _said(title, old), _said(title, new)) for title, old, new in entry.data["changes"]]


def _said(title: str, value: Any) -> str:
    if title == "address":
        return outline(str(value))
    return ", ".join(value) if isinstance(value, list) else str(value)
