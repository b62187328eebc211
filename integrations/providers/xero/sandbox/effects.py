"""What was really done, and how often one was asked: the sandbox's own count.

An effect is an object created or changed by a request, never by the control plane. Its operation id is what the
request wrote into the object (Contact.ContactNumber, else Reference), or what the object held.

`GET /_sandbox/effects`:
`{total, created, changed, by_operation: {id: {created, changed}}, by_key: {key: {created, changed}}, without_key,
requests, by_status: {"200": n}, replays, throttled: {total, minute, day, concurrent, appminute, fault},
struck: {kind: n}, refreshes, refreshes_repeated, refreshes_refused}`.
`changed` includes voided and deleted. `requests` counts the Accounting API only. `throttled` counts every 429.
"""

from collections import Counter
from dataclasses import dataclass

from integrations.providers.xero.sandbox.formats import JSON


@dataclass(slots=True)
class Effect:
    """One object created or changed by one request."""

    resource: str
    id: str
    verb: str
    operation: str
    key: str


class Effects:
    """The counts since the start, or since they were reset."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.log: list[Effect] = []
        self.requests = 0
        self.replays = 0
        self.statuses: Counter[int] = Counter()
        self.throttled: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()

    def report(self) -> JSON:
        """The counts as a document."""
        verbs = Counter(effect.verb for effect in self.log)
        return {
            "total": len(self.log),
            "created": verbs["created"],
            "changed": verbs["changed"],
            "by_operation": self._by("operation"),
            "by_key": self._by("key"),
            "without_key": sum(1 for effect in self.log if not effect.key),
            "requests": self.requests,
            "by_status": {str(status): count for status, count in sorted(self.statuses.items())},
            "replays": self.replays,
            "throttled": {"total": self.throttled.total(), **self.throttled},
            "struck": dict(self.struck),
        }

    def _by(self, name: str) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for effect in self.log:
            if word := getattr(effect, name):
                counts = found.setdefault(word, {"created": 0, "changed": 0})
                counts[effect.verb] += 1
        return found
