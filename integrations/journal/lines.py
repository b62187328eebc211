"""One entry as one line of bytes: what seals are made over, and what an export in JSON Lines holds."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from integrations.models import JournalEntry

#: In this order, and `data` after them. Changing it breaks every seal that was ever made.
FIELDS = (
    "id", "at", "xact", "tenant_id", "environment", "connection_id", "record_id", "lane", "action", "summary",
    "outcome", "subject_type", "subject_id", "actor_id", "actor", "role", "reason", "address", "request_id",
)  # fmt: skip
#: Rows that are in memory at once.
CHUNK = 2000


def rows(entries: QuerySet[JournalEntry]) -> Iterator[tuple[Any, ...]]:
    """Read entries by a cursor of the server, oldest first: `FIELDS`, then `data` as PostgreSQL writes it.

    Call inside a transaction: one statement reads one snapshot, whatever is written meanwhile.
    """
    chosen = entries.order_by("id").annotate(raw_data=Cast("data", TextField()))
    return chosen.values_list(*FIELDS, "raw_data").iterator(chunk_size=CHUNK)


def line(row: tuple[Any, ...]) -> bytes:
    """Return one row as canonical JSON, without a line end. Equal entries give equal bytes."""
    values = dict(zip(FIELDS, row, strict=False))
    values["at"] = stamp(values["at"])
    body = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return f'{body[:-1]},"data":{row[-1]}}}'.encode()


def stamp(at: datetime) -> str:
    """Return a time as lines and seals hold it: UTC, RFC 3339, microseconds."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
