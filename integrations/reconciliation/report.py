"""Reports for finance: CSV, whole or refused, counted, hashed and in the journal."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

from django.conf import settings
from django.db import transaction

from integrations.journal.actor import Actor
from integrations.journal.export import safe_cell
from integrations.journal.write import Entry, write
from integrations.models import Lane, Tenant
from integrations.workflow.errors import Refusal

IN_MEMORY: Final = 1 << 20
_NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,4})?", re.ASCII)


@dataclass(frozen=True)
class Table:
    """What a report is of: `noun` is what one line is of, several of them; `subject` its name in the journal."""

    noun: str
    subject: str
    columns: Sequence[str]
    rows: Iterable[Sequence[Any]]


@dataclass
class Report:
    """A finished report: the file, which stands at its beginning, its rows and its hash."""

    file: IO[bytes]
    rows: int = 0
    size: int = 0
    sha256: str = ""


def make(tenant: Tenant, environment: str, table: Table, *, told: dict[str, str], actor: Actor, reason: str) -> Report:
    """Write a table into a file. Raises `Refusal` where it is too long, or without a reason.

    `told` is the filter in words, for the journal.
    """
    if not reason.strip():
        raise Refusal("Say what the report is for; the journal keeps the reason.")
    file: IO[bytes] = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - it is handed to the answer, which closes it
    report = Report(file)
    digest = sha256()
    try:
        for piece in _lines(table, report):
            file.write(piece)
            digest.update(piece)
    except OSError as error:
        file.close()
        raise Refusal("There is no room on the server's disk for this report. Nothing was exported.") from error
    except BaseException:
        file.close()
        raise
    report.size, report.sha256 = file.tell(), digest.hexdigest()
    file.seek(0)
    _note(tenant, environment, table, report, told, actor, reason)
    return report


def _lines(table: Table, report: Report) -> Iterator[bytes]:
    yield _line(table.columns)
    for row in table.rows:
        report.rows += 1
        if report.rows > settings.EXPORT_LIMIT:
            raise Refusal(
                f"These are more than {settings.EXPORT_LIMIT:,} {table.noun}, the most that one report holds. "
                "Narrow the list first. Nothing was exported."
            )
        yield _line(row)


def _line(cells: Iterable[Any]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([_safe(cell) for cell in cells])
    return buffer.getvalue().encode()


def _safe(cell: Any) -> str:
    """Return a cell that no spreadsheet takes for a formula; a plain number below zero stays one."""
    return cell if isinstance(cell, str) and _NUMBER.fullmatch(cell) else safe_cell(cell)


@transaction.atomic
def _note(
    tenant: Tenant, environment: str, table: Table, report: Report, told: dict[str, str], actor: Actor, reason: str
) -> None:
    write(
        [
            Entry(
                tenant_id=tenant.pk,
                environment=environment,
                lane=Lane.PEOPLE,
                action="export.made",
                summary=f"{actor.name} exported {report.rows:,} {table.noun} as CSV",
                subject_type=table.subject,
                data={"rows": report.rows, "sha256": report.sha256, "format": "csv", "filter": told},
                actor=actor,
                reason=reason,
            )
        ]
    )
