"""Why an action is refused, in words for the person who asked."""

IN_JOURNAL = "it is kept in the journal with your name."
IN_HISTORY = "it is kept in the history with your name."


class Refusal(Exception):
    """The action cannot be done as things stand; the text says why and what to do."""


def require_reason(reason: str, why: str = IN_JOURNAL) -> None:
    """Raise `Refusal` without a reason; `why` says what it is good for, or who reads it."""
    if not reason.strip():
        raise Refusal(f"Give a reason: {why}")
