"""The sandbox's two times: the one that limits, tokens and keys age by, and the one on its calendar."""

import time
from datetime import UTC, datetime


class Clock:
    """`now()` ages things and can run fast; `stamp()` dates them and stays at the wall's time plus `skew`."""

    def __init__(self) -> None:
        self.scale = 1.0
        self.skew = 0.0
        self._since = time.monotonic()
        self._base = time.time()
        self._latest = datetime.fromtimestamp(0, UTC)

    def now(self) -> float:
        """Seconds since 1970 as limits, tokens and keys see them."""
        return self._base + (time.monotonic() - self._since) * self.scale

    def set(self, *, scale: float | None = None, advance: float = 0.0, skew: float | None = None) -> None:
        """Let `advance` seconds pass at once, and go on at `scale` times the real pace."""
        self._base = self.now() + advance
        self._since = time.monotonic()
        if scale is not None:
            self.scale = scale
        if skew is not None:
            self.skew = skew
            self._latest = datetime.fromtimestamp(0, UTC)

    def stamp(self) -> datetime:
        """The date and time for what happens now, in milliseconds; never earlier than the one before."""
        milliseconds = int((time.time() + self.skew) * 1000)
        found = datetime.fromtimestamp(milliseconds / 1000, UTC)
        self._latest = max(found, self._latest)
        return self._latest
