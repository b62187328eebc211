"""Entries of the journal as the audit page shows them: who did what to what, and whether it is sealed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import groupby
from typing import Any

from django.urls import reverse

from console.context import where
from console.values import name_of, shown
from integrations.boundary.redaction import mask
from integrations.canonical import KINDS
from integrations.models import Checkpoint, JournalEntry, Record, Stream

#: Subject of an entry, and the page that shows it.
PAGES = {
    "event": "event", "command": "command", "mapping": "mapping", "problem": "problem", "record": "record",
    "connection": "connection", "subscription": "subscription", "delivery": "subscription_delivery",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One entry: `did` without the person, `to` with its address ("" where it has no page)."""

    entry: JournalEntry
    did: str
    to: str
    url: str
    sealed: bool

    @property
    def who(self) -> str:
        return self.entry.actor or ("the provider" if self.entry.lane == "events" else "the engine")


def days(rows: Iterable[Row]) -> list[tuple[Any, list[Row]]]:
    """Return the rows by their day, in the same order."""
    return [(day, list(found)) for day, found in groupby(rows, key=lambda row: row.entry.at.astimezone(UTC).date())]


def rows_of(request: Any, entries: Sequence[JournalEntry], newest: Checkpoint | None) -> list[Row]:
    """Return the entries as rows; one query for their records, one for streams where any is named."""
    labels = labels_of(request, {entry.record_id for entry in entries if entry.record_id})
    streams = _streams(request, [e.subject_id for e in entries if e.subject_type == "stream" and e.subject_id])
    return [_row(request, entry, newest, labels, streams) for entry in entries]


def _row(
    request: Any,
    entry: JournalEntry,
    newest: Checkpoint | None,
    labels: Mapping[int, str],
    streams: Mapping[int, str],
) -> Row:
    to, url = _subject(request, entry, labels, streams)
    sealed = newest is not None and entry.xact < newest.to_xact
    return Row(entry, did(entry), to, url, sealed)


def did(entry: JournalEntry) -> str:
    """Return what was done, without the name of who did it, which stands beside it."""
    text = entry.summary
    if entry.actor and text.startswith(f"{entry.actor} "):
        return text[len(entry.actor) + 1 :]
    return text


def labels_of(request: Any, pks: Iterable[int]) -> dict[int, str]:
    """Return what people call some records; a name that is personal is masked for who may not see it."""
    wanted = set(pks)
    if not wanted:
        return {}
    personal = where(request.user, request.space, "see_personal")
    found = Record.objects.visible_to(request.user).filter(pk__in=wanted)
    return {
        pk: label if connection_id in personal or not _is_personal(kind) else mask(label)
        for pk, connection_id, label, kind in found.values_list("pk", "connection_id", "label", "kind")
    }


def _is_personal(kind: str) -> bool:
    known = KINDS.get(kind)
    return bool(known and known.label in known.sensitive)


def _streams(request: Any, pks: Sequence[int]) -> dict[int, str]:
    if not pks:
        return {}
    return dict(Stream.objects.visible_to(request.user).filter(pk__in=pks).values_list("pk", "title"))


def _subject(
    request: Any, entry: JournalEntry, labels: Mapping[int, str], streams: Mapping[int, str]
) -> tuple[str, str]:
    """Return what an entry is about, and its address."""
    args = request.space.args
    connection = next((c for c in request.space.connections if c.pk == entry.connection_id), None)
    at = f", {connection.name}" if connection else ""
    kind, pk = entry.subject_type, entry.subject_id
    if entry.record_id is not None and entry.record_id in labels:
        return labels[entry.record_id], reverse("record", args=[*args, entry.record_id])
    if kind == "export":
        return f"export E-{pk}", ""
    if kind == "stream" and connection:
        return f"{streams.get(pk or 0, 'stream')}{at}", _at(args, connection.pk, "streams")
    if kind in ("credential", "run") and connection:
        part = {"credential": "secrets", "run": "runs"}[kind]
        name = {"credential": f"secret{at}", "run": f"run R-{pk}{at}"}[kind]
        return name, _at(args, connection.pk, part)
    if kind == "connection" and connection:
        return connection.name, _at(args, connection.pk)
    if kind in PAGES and pk and kind != "record":
        return f"{kind} {pk}{at}", reverse(PAGES[kind], args=[*args, pk])
    return (connection.name, _at(args, connection.pk)) if connection else (kind, "")


def _at(args: Sequence[str], pk: int, part: str = "") -> str:
    return reverse("connection", args=[*args, pk]) + (f"#{part}" if part else "")


def difference(entry: JournalEntry, record: Record | None, *, personal: bool) -> list[tuple[str, str, str]]:
    """Return an entry's changes in words, (field, old, new)."""
    changes = entry.data.get("changes") if isinstance(entry.data, dict) else None
    return [
        _change(*change, record=record, personal=personal)
        for change in changes or ()
        if isinstance(change, list | tuple) and len(change) == 3
    ]


def _change(field: str, old: Any, new: Any, *, record: Record | None, personal: bool) -> tuple[str, str, str]:
    if old == new == "personal":
        return name_of(field), "personal", "personal, another value"
    if record is None:
        return field, _side(old), _side(new)
    currency = record.currency
    said = [shown(record.kind, field, value, currency=currency, personal=personal) for value in (old, new)]
    return name_of(field), said[0], said[1]


def _side(value: Any) -> str:
    return "none" if value in (None, "") else str(value)


def details(entry: JournalEntry) -> list[tuple[str, str]]:
    """Return what else an entry holds, as (name, text)."""
    data = entry.data if isinstance(entry.data, dict) else {}
    return [
        (name_of(name), _plain(value)) for name, value in data.items() if name != "changes" and value not in ("", None)
    ]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_plain(each)}" for name, each in value.items()) or "none"
    if isinstance(value, list):
        return "; ".join(_plain(each) for each in value) or "none"
    return f"{value:,}" if type(value) is int else str(value)
