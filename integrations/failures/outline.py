"""Saying of an unforeseen error what logs may hold."""

from pathlib import Path
from traceback import extract_tb

#: Frames that are named, from where it arose outwards.
FRAMES = 8


def outline(error: BaseException) -> str:
    """Return what an error is and where it arose, without its own text: that may quote secrets or personal data."""
    state = getattr(error.__cause__, "sqlstate", None) or getattr(error, "sqlstate", None)
    frames = extract_tb(error.__traceback__)[-FRAMES:]
    where = " ← ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    named = f"{type(error).__name__}{f' {state}' if state else ''}"
    return f"{named} at {where}" if where else named
