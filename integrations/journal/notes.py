"""What people say about records, and what they look at that is hidden by default."""

from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import Command, Event, JournalEntry, Record
from integrations.workflow.errors import Refusal

LONGEST = 2000


def note(record: Record, *, text: str, actor: Actor) -> JournalEntry:
    """Add a person's note to a record's timeline; raises `Refusal` for an empty or endless one."""
    said = _clean(text)
    if not said:
        raise Refusal("Write what the next reader should know.")
    if len(said) > LONGEST:
        raise Refusal(f"A note holds at most {LONGEST:,} characters; this one has {len(said):,}.")
    return write_act(record, "record.noted", f"{actor.name} noted", actor=actor, reason=said)


def reveal(of: Event | Command, *, actor: Actor, reason: str) -> JournalEntry:
    """Journal that a person is shown an event's or a command's payloads in full; raises `Refusal` without a reason."""
    why = _clean(reason)
    if not why:
        raise Refusal("Say why you need to see it; the journal keeps the reason.")
    return write_act(of, "payload.revealed", f"{actor.name} revealed {_named(of)}", actor=actor, reason=why[:LONGEST])


def _named(of: Event | Command) -> str:
    if isinstance(of, Command):
        return f"what was sent and came back of command {of.operation_id}"
    return f"the payload of {of.event_type or 'an event'}"


def _clean(text: str) -> str:
    return text.replace("\x00", "").strip()
