"""The report of differences for finance: CSV, whole or refused, counted, hashed and in the journal."""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

from django.conf import settings
from django.db import transaction

from integrations.boundary.redaction import mask
from integrations.canonical import KINDS
from integrations.canonical.money import major_text
from integrations.journal.actor import Actor
from integrations.journal.export import safe_cell
from integrations.journal.write import Entry, write
from integrations.models import Drift, Lane, Tenant
from integrations.workflow.errors import Refusal

IN_MEMORY: Final = 1 << 20
_NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,4})?", re.ASCII)
COLUMNS: Final = (
    "difference", "status", "connection", "kind", "record", "external_id", "customer", "field", "ours", "theirs",
    "theirs_less_ours", "currency", "record_amount", "first_seen_at", "last_seen_at", "check", "evidence_event",
    "settled_at", "settled_by", "reason",
)  # fmt: skip


@dataclass
class Report:
    """A finished report: the file, which stands at its beginning, its rows and its hash."""

    file: IO[bytes]
    rows: int = 0
    size: int = 0
    sha256: str = ""


def make(
    tenant: Tenant,
    environment: str,
    drifts: Iterable[Drift],
    *,
    told: dict[str, str],
    personal: Collection[int],
    actor: Actor,
    reason: str,
) -> Report:
    """Write the differences into a file. Raises `Refusal` where there are too many, or without a reason.

    `told` is the filter in words, for the journal. `personal` holds the
    connections of which personal values are not masked.
    """
    if not reason.strip():
        raise Refusal("Say what the report is for; the journal keeps the reason.")
    file: IO[bytes] = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - it is handed to the answer, which closes it
    report = Report(file)
    digest = sha256()
    try:
        for piece in _lines(drifts, report, personal):
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
    _note(tenant, environment, report, told, actor, reason)
    return report


def _lines(drifts: Iterable[Drift], report: Report, personal: Collection[int]) -> Iterator[bytes]:
    yield _line(COLUMNS)
    for drift in drifts:
        report.rows += 1
        if report.rows > settings.EXPORT_LIMIT:
            raise Refusal(
                f"These are more than {settings.EXPORT_LIMIT:,} differences, the most that one report holds. "
                "Narrow the list first. Nothing was exported."
            )
        yield _line(_cells(drift, drift.connection_id in personal))


def _line(cells: Iterable[Any]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([_safe(cell) for cell in cells])
    return buffer.getvalue().encode()


def _safe(cell: Any) -> str:
    """Return a cell that no spreadsheet takes for a formula; a plain number below zero stays one."""
    return cell if isinstance(cell, str) and _NUMBER.fullmatch(cell) else safe_cell(cell)


def _cells(drift: Drift, personal: bool) -> tuple[Any, ...]:
    record, currency = drift.record, (drift.record.currency if drift.record else drift.currency) or ""
    ours, theirs = (_value(drift, side, currency, personal) for side in (drift.ours, drift.theirs))
    amount = record.amount if record else None
    return (
        drift.pk,
        drift.get_status_display(),
        drift.connection.name,
        drift.kind,
        record.label if record else "",
        drift.external_id,
        record.customer.label if record and record.customer else "",
        drift.field,
        ours,
        theirs,
        _moved(drift, currency),
        currency,
        "" if amount is None else major_text(amount, currency),
        drift.first_seen_at.isoformat(),
        drift.last_seen_at.isoformat(),
        f"R-{drift.run_id}",
        drift.evidence_id or "",
        drift.settled_at.isoformat() if drift.settled_at else "",
        drift.settled_by,
        drift.reason,
    )


def _value(drift: Drift, value: Any, currency: str, personal: bool) -> str:
    kind = KINDS.get(drift.kind)
    if value is None:
        return ""
    if kind and drift.field in kind.sensitive and not personal:
        return mask(str(value))
    return major_text(value, currency) if type(value) is int else str(value)


def _moved(drift: Drift, currency: str) -> str:
    if type(drift.ours) is not int or type(drift.theirs) is not int:
        return ""
    return major_text(drift.theirs - drift.ours, currency)


@transaction.atomic
def _note(tenant: Tenant, environment: str, report: Report, told: dict[str, str], actor: Actor, reason: str) -> None:
    write(
        [
            Entry(
                tenant_id=tenant.pk,
                environment=environment,
                lane=Lane.PEOPLE,
                action="export.made",
                summary=f"{actor.name} exported {report.rows:,} differences as CSV",
                subject_type="drift",
                data={"rows": report.rows, "sha256": report.sha256, "format": "csv", "filter": told},
                actor=actor,
                reason=reason,
            )
        ]
    )
