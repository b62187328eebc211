"""Audit exports: the chosen entries as CSV or JSON Lines, counted and hashed, complete or refused.

The file is written whole before its first byte leaves: what cannot be finished is never begun. It goes
to disk once it is large, and is read back in pieces, so memory stays small whatever the size.
"""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.journal.actor import Actor
from integrations.journal.lines import FIELDS, line, rows, stamp
from integrations.journal.select import Selection, entries
from integrations.journal.write import write_act
from integrations.models import Connection, Export, Tenant
from integrations.workflow.errors import Refusal

#: Bytes that a small export may take in memory before it goes to disk.
IN_MEMORY = 1 << 20
#: A cell that begins so is a formula to a spreadsheet, which may run commands or send data away.
#: https://owasp.org/www-community/attacks/CSV_Injection
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
COLUMNS = (
    "id", "at", "environment", "connection", "connection_id", "record_id", "lane", "action", "summary", "outcome",
    "subject_type", "subject_id", "actor", "actor_id", "role", "reason", "address", "request_id", "data",
)  # fmt: skip


@dataclass
class Made:
    """A finished export: its row, and the file, which stands at its beginning."""

    export: Export
    file: IO[bytes]


def make(tenant: Tenant, selection: Selection, *, format: str, told: dict[str, str], actor: Actor, reason: str) -> Made:
    """Write the chosen entries into a file. Raises `Refusal` where there are too many or no room.

    `told` is the filter in words, for the list of exports and the journal.
    """
    if format not in WRITERS:
        raise Refusal("Choose CSV or JSON Lines.")
    if not reason.strip():
        raise Refusal("Say what the export is for; the journal keeps the reason.")
    export = Export.objects.create(
        tenant=tenant,
        environment=selection.environment,
        format=format,
        filter=told,
        asked_by_id=actor.id or 0,
        asked_by=actor.name,
        reason=reason,
        at=timezone.now(),
    )
    file: IO[bytes] = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - it is handed to the answer, which closes it
    try:
        _fill(export, file, selection)
    except BaseException:
        file.close()
        raise
    _finish(export, actor)
    file.seek(0)
    return Made(export, file)


def _fill(export: Export, file: IO[bytes], selection: Selection) -> None:
    digest = sha256()
    limit = settings.EXPORT_LIMIT
    try:
        with transaction.atomic():
            for piece in WRITERS[export.format](_limited(selection, limit, export)):
                file.write(piece)
                digest.update(piece)
    except OSError as error:
        raise Refusal("There is no room on the server's disk for this export. Nothing was exported.") from error
    export.size, export.sha256 = file.tell(), digest.hexdigest()


def _limited(selection: Selection, limit: int, export: Export) -> Iterator[tuple[Any, ...]]:
    """Yield the rows and count them. One statement reads them, so all are of one snapshot."""
    for row in rows(entries(selection)):
        export.rows += 1
        if export.rows > limit:
            raise Refusal(
                f"These are more than {limit:,} entries, the most that one export holds. "
                "Choose a shorter time or one connection. Nothing was exported."
            )
        yield row


@transaction.atomic
def _finish(export: Export, actor: Actor) -> None:
    export.complete = True
    export.save(update_fields=["rows", "size", "sha256", "complete"])
    name = {"csv": "CSV", "jsonl": "JSON Lines"}[export.format]
    write_act(
        export,
        "export.made",
        f"{actor.name} exported {export.rows:,} entries of the journal as {name}",
        actor=actor,
        reason=export.reason,
        data={name: getattr(export, name) for name in ("rows", "size", "sha256", "format", "filter")},
    )


def _json_lines(chosen: Iterator[tuple[Any, ...]]) -> Iterator[bytes]:
    for row in chosen:
        yield line(row) + b"\n"


def _csv(chosen: Iterator[tuple[Any, ...]]) -> Iterator[bytes]:
    """Yield RFC 4180: lines end in CR LF, quotes are doubled, UTF-8, one header."""
    yield _csv_line(COLUMNS)
    names: dict[int, str] = {}
    for row in chosen:
        values = dict(zip((*FIELDS, "data"), row, strict=True))
        values["at"] = stamp(values["at"])
        values["connection"] = _name(values["connection_id"], names)
        yield _csv_line([values[column] for column in COLUMNS])


def _csv_line(cells: Any) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([safe_cell(cell) for cell in cells])
    return buffer.getvalue().encode()


def safe_cell(value: Any) -> str:
    """Return a cell that no spreadsheet takes for a formula: a suspicious one begins with an apostrophe."""
    text = "" if value is None else value if isinstance(value, str) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _name(connection_id: int | None, names: dict[int, str]) -> str:
    if connection_id is None:
        return ""
    if connection_id not in names:
        names[connection_id] = Connection.objects.filter(pk=connection_id).values_list("name", flat=True).first() or ""
    return names[connection_id]


WRITERS: dict[str, Callable[[Iterator[tuple[Any, ...]]], Iterator[bytes]]] = {"csv": _csv, "jsonl": _json_lines}


def filter_in_words(told: dict[str, str]) -> str:
    """Return an export's filter as one line."""
    return "; ".join(f"{name}: {value}" for name, value in told.items()) or "everything"
