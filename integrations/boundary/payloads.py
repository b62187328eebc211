"""Keeping bytes as they came, and reading them back."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from integrations.boundary.redaction import strip_headers
from integrations.boundary.vault import Unreadable, seal, unseal
from integrations.models import Payload

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """Where a payload lies: its id and its time, which names the partition."""

    id: int
    at: datetime


def keep(*, connection_id: int, source: str, body: bytes, headers: Mapping[str, str], at: datetime) -> Kept:
    """Store `body` compressed and encrypted, with its headers less secrets; call inside a transaction."""
    payload = Payload.objects.create(
        at=at,
        connection_id=connection_id,
        source=source,
        headers=strip_headers(headers),
        content_type=headers.get("content-type", "")[:120],
        size=len(body),
        sha256=sha256(body).digest(),
        body=seal(body),
    )
    return Kept(payload.pk, at)


def read(payload_id: int, at: datetime) -> bytes:
    """Return one payload's bytes; raises `Payload.DoesNotExist` or `Unreadable`."""
    return unseal(Payload.objects.values_list("body", flat=True).get(pk=payload_id, at=at))


def read_many(kept: Iterable[tuple[int, datetime]]) -> dict[int, bytes]:
    """Return the bytes of several payloads by id, in one query; those that no key opens are left out."""
    places = set(kept)
    if not places:
        return {}
    times = [at for _, at in places]
    rows: Any = Payload.objects.filter(pk__in=[pk for pk, _ in places], at__range=(min(times), max(times))).values_list(
        "pk", "body"
    )
    found = {}
    for pk, body in rows:
        try:
            found[pk] = unseal(body)
        except Unreadable:
            log.error("Payload %d cannot be opened by any key", pk)
    return found
