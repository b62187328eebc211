"""An event in one sentence or two: who says what about which object, and what became of it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from console import values, wording
from integrations.boundary.receive import UNREADABLE
from integrations.models import DecisionWord, Event, Failure, Record, Source, WorkState


def tell(
    event: Event, record: Record | None, failure: Failure | None, now: datetime, record_url: Callable[[int], str]
) -> SafeString:
    """Return the sentences that open an event's page; `record` where it may be seen, `failure` is the open one."""
    about = _object(event, record, record_url)
    sentences = [_said(event, about, now), _decided(event), _stands(event, failure, now)]
    return format_html_join(" ", "{}", ((sentence,) for sentence in sentences if sentence))


def _said(event: Event, about: Any, now: datetime) -> SafeString:
    provider, at = event.connection.name, values.told_on(event.occurred_at, now)
    if event.event_type == UNREADABLE:
        return format_html("{} sent bytes that cannot be read {}.", provider, values.told_on(event.received_at, now))
    if event.source == Source.WEBHOOK:
        return format_html("{} told us that <code>{}</code> happened{} {}.", provider, event.event_type, _to(about), at)
    if event.source == Source.CHANGE_LOG:
        return format_html("Found in {}’s event log: <code>{}</code>{} {}.", provider, event.event_type, _to(about), at)
    why = "to compare it with what we believe" if event.source == Source.CHECK else "by a sync"
    return format_html("Read from {} {}: {}, as it stood {}.", provider, why, about or "an object", at)


def _to(about: Any) -> Any:
    return format_html(" to {}", about) if about else ""


def _object(event: Event, record: Record | None, record_url: Callable[[int], str]) -> Any:
    if record:
        return format_html('<a href="{}">{}</a>', record_url(record.pk), record.label)
    return format_html("<code>{}</code>", event.external_id) if event.external_id else ""


def _decided(event: Event) -> Any:
    if not event.decision:
        return ""
    reason = event.decision_reason.rstrip(".")
    if event.source == Source.CHECK and event.decision in (DecisionWord.UNCHANGED, DecisionWord.UNEXPECTED):
        return format_html("<b>{}.</b>", reason)
    said = _DECISIONS.get(event.decision, "It was decided")
    return format_html("<b>{}</b>: {}.", said, reason[:1].lower() + reason[1:] if said != "It changed it" else reason)


_DECISIONS: dict[str, str] = {
    DecisionWord.NEW: "It made the record",
    DecisionWord.CHANGED: "It changed it",
    DecisionWord.UNCHANGED: "Nothing changed",
    DecisionWord.DUPLICATE: "It was here already",
    DecisionWord.STALE: "It is stale",
    DecisionWord.UNEXPECTED: "It is unexpected",
    DecisionWord.WAITING: "It waits",
    DecisionWord.IGNORED: "It is not needed",
}


def _stands(event: Event, failure: Failure | None, now: datetime) -> Any:
    if event.state == WorkState.PARKED:
        said = failure.message.rstrip(".") if failure else "somebody has to look at it"
        return format_html("<b>It is parked</b>: {}. It waits for a person.", said)
    if event.state == WorkState.WAITING:
        said = f"{failure.message.rstrip('.')}. " if failure and not event.decision else ""
        return f"{said}It is tried again {wording.until(event.due_at, now)}."
    words = {
        WorkState.READY: "A worker takes it next.",
        WorkState.LEASED: "A worker has it now.",
        WorkState.HELD: "It is held until the connection is resumed.",
        WorkState.DISMISSED: "A person dismissed it; the evidence stays.",
    }
    return words.get(WorkState(event.state), "")


def state_words(event: Event) -> str:
    """Return the state as the page's head says it: "done after 1 replay"."""
    if event.state == WorkState.DONE and event.replays:
        return f"done after {wording.count(event.replays, 'replay')}"
    return event.state
