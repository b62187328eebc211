"""A command in sentences: what is believed of its effect, why, and what happens next."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from console import values, wording
from integrations.models import Attempt, Breaker, BreakerState, Command, Outcome, WorkState

OVER = (WorkState.DONE, WorkState.DISMISSED)


@dataclass(frozen=True)
class Step:
    """One state of a command on its way. `css`: "past", "here", or "" for what is to come."""

    word: str
    css: str
    note: str = ""
    at: datetime | None = None
    since: bool = False


def thing(command: Command) -> str:
    """Return what it is about in words: "credit note"."""
    return command.resource.replace("_", " ") or "object"


def outcome_of(command: Command) -> str:
    """Return the outcome as people read it: "unknown outcome"."""
    return str(Outcome(command.outcome).label).lower()


def tell(command: Command, now: datetime) -> SafeString:
    """Return the sentences that open a command's page."""
    sentences = [_BELIEVED[command.outcome](command, now), _why(command), _next(command, now)]
    return format_html_join(" ", "{}", ((sentence,) for sentence in sentences if sentence))


def _submitted(command: Command, now: datetime) -> Any:
    if command.sent_at:
        return format_html("<b>It had no effect</b> when it was sent {}.", values.told_ago(command.sent_at, now))
    return "It is remembered, and has not been sent yet."


def _sent(command: Command, now: datetime) -> Any:
    at = values.told_ago(command.sent_at, now) if command.sent_at else "just now"
    return format_html("It left for {} {}; no answer is here yet.", command.connection.name, at)


def _accepted(command: Command, now: datetime) -> Any:
    at = values.told_ago(command.accepted_at, now) if command.accepted_at else "already"
    name = command.connection.name
    return format_html("<b>{} answered {} that it did it.</b> It counts as confirmed once {} shows it.", name, at, name)


def _confirmed(command: Command, now: datetime) -> Any:
    at = values.told_ago(command.confirmed_at, now) if command.confirmed_at else "already"
    return format_html("<b>It is in effect at {}</b>, known {}.", command.connection.name, at)


def _failed(command: Command, now: datetime) -> Any:
    if command.accepted_at:
        return format_html("<b>{} did it, and it is not in effect.</b>", command.connection.name)
    return format_html("<b>{} did not do it</b>, and nothing changed there.", command.connection.name)


def _unknown(command: Command, now: datetime) -> Any:
    name = command.connection.name
    doubt = (
        f"{name} may or may not hold this {thing(command)}."
        if command.action.endswith(".create")
        else f"{name} may or may not have done it."
    )
    return format_html("<b>{}</b> It is sent again only under the same operation id, or looked for first.", doubt)


def _cancelled(command: Command, now: datetime) -> Any:
    return format_html("<b>It was cancelled</b> and has no effect at {}.", command.connection.name)


_BELIEVED: dict[str, Callable[[Command, datetime], Any]] = {
    Outcome.SUBMITTED: _submitted,
    Outcome.SENT: _sent,
    Outcome.ACCEPTED: _accepted,
    Outcome.CONFIRMED: _confirmed,
    Outcome.FAILED: _failed,
    Outcome.UNKNOWN: _unknown,
    Outcome.CANCELLED: _cancelled,
}


def _why(command: Command) -> str:
    reason = command.outcome_reason.strip()
    return reason if not reason or reason.endswith((".", "”")) else f"{reason}."


def _next(command: Command, now: datetime) -> Any:
    if command.state == WorkState.PARKED:
        return mark_safe("<b>It waits for a person.</b>")
    if command.state in OVER or command.outcome == Outcome.ACCEPTED:
        return ""
    if command.waits_for:
        return format_html("It waits for <code>{}</code>.", command.waits_for)
    return {
        WorkState.READY: "A worker takes it next.",
        WorkState.LEASED: "A worker has it now.",
        WorkState.HELD: f"It is held until {command.connection.name} is resumed.",
        WorkState.WAITING: f"Its next step comes {wording.until(command.due_at, now)}.",
    }[WorkState(command.state)]


def breaker_of(command: Command) -> Breaker | None:
    """Return the breaker of its connection where it holds commands back; None where they go."""
    breaker: Breaker | None = getattr(command.connection, "breaker", None)
    return breaker if breaker is not None and breaker.state != BreakerState.CLOSED else None


def next_try(command: Command, now: datetime) -> tuple[str, str]:
    """Return when it is tried next, and how, for the facts: "in 52 s", "by itself"."""
    if command.state in OVER:
        return "none", "it is over"
    if command.state == WorkState.PARKED:
        return "none by itself", "it waits for a person"
    if command.state == WorkState.HELD:
        return "when it is resumed", f"{command.connection.name} is paused"
    if command.outcome == Outcome.ACCEPTED:
        return "none needed", f"{command.connection.name} is asked {wording.until(command.due_at, now)}"
    if command.state == WorkState.LEASED:
        return "now", "a worker has it"
    if command.waits_for:
        return "when that is there", f"it waits for {command.waits_for}"
    breaker = breaker_of(command)
    if breaker is not None:
        at = wording.until(breaker.probe_at, now) if breaker.probe_at else "when somebody asks for it"
        return "after the next probe", at
    return wording.until(command.due_at, now), "by itself"


def steps(command: Command, newest: Attempt | None) -> list[Step]:
    """Return the states of a command on its way: those behind it, where it is, and those to come."""
    name, outcome = command.connection.name, command.outcome
    way = [
        ("submitted", command.submitted_at, ""),
        ("sent", command.sent_at, ""),
        ("accepted", command.accepted_at, f"answer from {name}"),
        ("confirmed", command.confirmed_at, f"seen at {name}"),
    ]
    if outcome in (Outcome.FAILED, Outcome.CANCELLED):
        behind = [Step(word, "past", at=at) for word, at, _ in way if at]
        return [*behind, Step(outcome_of(command), "here", at=_since(command, newest))]
    here = "sent" if outcome == Outcome.UNKNOWN else str(outcome)
    place = [word for word, _, _ in way].index(here)
    found = [Step(word, "past", "" if at else "no answer kept", at) for word, at, _ in way[:place]]
    if outcome == Outcome.UNKNOWN:
        found.append(Step("sent", "past", at=command.sent_at))
        found.append(Step(outcome_of(command), "here", at=_since(command, newest), since=True))
    else:
        found.append(Step(here, "here", at=way[place][1]))
    return found + [Step(word, "", note) for word, _, note in way[place + 1 :]]


def _since(command: Command, newest: Attempt | None) -> datetime | None:
    return command.finished_at or (newest.finished_at if newest else None)
