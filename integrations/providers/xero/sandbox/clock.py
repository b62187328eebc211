"""The sandbox's times: by which limits count, by which tokens and keys age, and what its calendar says."""

import time
from datetime import UTC, datetime


class Clock:
    """Three times. `paced()` counts for limits and can run fast, so that a test of them need not last for minutes;
    `now()` ages tokens and keys; `stamp()` dates what happens, and is the wall's time plus `skew`."""

    def __init__(self) -> None:
        self.scale = 1.0
        self.skew = 0.0
        self._since = time.monotonic()
        self._base = time.time()
        self._advanced = 0.0
        self._latest = datetime.fromtimestamp(0, UTC)

    def paced(self) -> float:
        """Seconds since 1970 as limits see them."""
        return self._base + (time.monotonic() - self._since) * self.scale

    def now(self) -> float:
        """Seconds since 1970 as tokens and keys see them."""
        return time.time() + self._advanced

    def set(self, *, scale: float | None = None, advance: float = 0.0, skew: float | None = None) -> None:
        """Let `advance` seconds pass at once for all but the calendar; limits go on at `scale` times the pace."""
        self._base = self.paced() + advance
        self._since = time.monotonic()
        self._advanced += advance
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

    def not_before(self, moment: datetime) -> None:
        """Date nothing earlier than that."""
        self._latest = max(self._latest, moment)
