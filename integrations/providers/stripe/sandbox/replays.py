"""Idempotency keys: the same key gives the same answer, whatever happened in between.

Source: https://docs.stripe.com/api/idempotent_requests. Only POST has keys. What was refused
before anything was done (validation, a rate limit) is not kept.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from integrations.providers.stripe.sandbox.account import StripeError

MOST = 2000


@dataclass
class Saved:
    """One key: what it was used for, and the first answer once there is one."""

    fingerprint: str
    request: str
    status: int = 0
    body: bytes = b""

    @property
    def answered(self) -> bool:
        """Whether the first request is over."""
        return self.status != 0


def fingerprint(method: str, path: str, form: Sequence[tuple[str, str]]) -> str:
    """What must be the same whenever a key is used again."""
    return hashlib.sha256(repr((method, path, sorted(form))).encode()).hexdigest()


class Replays:
    """The keys of one account."""

    def __init__(self) -> None:
        self._saved: dict[str, Saved] = {}

    def find(self, key: str, mark: str) -> Saved | None:
        """The first answer of a key, None for a new key.

        Raises `StripeError` when the key was used for something else, or is in use.
        """
        saved = self._saved.get(key)
        if saved is None:
            return None
        if saved.fingerprint != mark:
            raise StripeError(
                400,
                "Keys for idempotent requests can only be used with the same parameters they were "
                f"first used with. Try using a key other than '{key}' if you meant to execute a "
                "different request.",
                "idempotency_error",
            )
        if not saved.answered:
            raise StripeError(
                409,
                "There is currently another in-progress request using this Idempotent Key (that "
                "probably means you submitted twice, and the other request is still going "
                f"through): {key}. Please try again later.",
                "idempotency_error",
                code="idempotency_key_in_use",
            )
        return saved

    def begin(self, key: str, mark: str, request: str) -> None:
        """Note that a key is in use."""
        self._saved[key] = Saved(mark, request)
        while len(self._saved) > MOST:
            del self._saved[next(iter(self._saved))]

    def finish(self, key: str, status: int, body: bytes) -> None:
        """Keep a key's answer; a refusal by validation frees the key."""
        saved = self._saved.get(key)
        if saved is None:
            return
        if status in (400, 404, 409, 429):
            del self._saved[key]
        else:
            saved.status, saved.body = status, body
