"""Idempotency keys: the same request under the same key gets the first answer again.

Source: https://developer.xero.com/documentation/guides/idempotent-requests/idempotency/
"""

import hashlib
from dataclasses import dataclass

from integrations.providers.xero.sandbox.refusals import Refused, exception

LONGEST = 128
LIFETIME = 360.0
KEPT = (200, 400)


@dataclass(slots=True)
class Answer:
    """What goes back: status, body, headers, media type."""

    status: int
    body: bytes
    headers: dict[str, str]
    kind: str = "application/json"


@dataclass(slots=True)
class Saved:
    """One key: until when it is remembered, what it was used for, the first answer."""

    until: float
    fingerprint: bytes
    answer: Answer


def fingerprint(method: str, path: str, body: bytes) -> bytes:
    """What must be the same whenever a key is used again; the path with its query."""
    return hashlib.blake2b(f"{method} {path}\n".encode() + body, digest_size=16).digest()


def too_long() -> Refused:
    """400 for a key of more than 128 characters."""
    return exception(f"The Idempotency-Key must not be longer than {LONGEST} characters.")


class Replays:
    """The keys of one tenant, oldest first."""

    def __init__(self) -> None:
        self._saved: dict[str, Saved] = {}

    def find(self, key: str, mark: bytes, now: float) -> Answer | None:
        """The first answer of a key, None for a new key. Raises `Refused` 400 when it was used for something else."""
        if len(key) > LONGEST:
            raise too_long()
        self._forget(now)
        saved = self._saved.get(key)
        if saved is None:
            return None
        if saved.fingerprint != mark:
            raise exception("The Idempotency-Key has been used with a different request.")
        return saved.answer

    def keep(self, key: str, mark: bytes, answer: Answer, now: float) -> None:
        """Remember an answer; what a gateway refused is not remembered."""
        if answer.status in KEPT:
            self._saved[key] = Saved(now + LIFETIME, mark, answer)

    def _forget(self, now: float) -> None:
        while self._saved:
            key = next(iter(self._saved))
            if self._saved[key].until > now:
                return
            del self._saved[key]
