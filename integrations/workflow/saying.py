"""Saying in words how evidence came."""

from integrations.models import Event


def came(event: Event) -> str:
    """Say in words how the evidence came."""
    if event.replays:
        return "replayed"
    words = {"webhook": "arrived", "page": "was read", "change log": "was found in the event log", "check": "was read"}
    late = (event.received_at - event.occurred_at).total_seconds()
    if event.source == "webhook" and late >= 5:
        return f"arrived {lasted(late)} after it happened"
    return words[event.source]


def lasted(seconds: float) -> str:
    """Say a length of time in its largest whole unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:,.0f} {unit}"
    return f"{seconds:.0f} s"
