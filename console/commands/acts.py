"""What may be done to a command as it stands: each with its button, or with why it is not possible."""

from collections.abc import Callable
from dataclasses import dataclass

from console.commands.telling import OVER, breaker_of, thing
from integrations.models import Command, Outcome, WorkState

COMMAND, RESOLVE = "command", "resolve"


@dataclass(frozen=True)
class Act:
    """One button. `name` is its address, `why_not` says why it cannot be pressed, "" where it can."""

    name: str
    label: str
    icon: str
    permission: str
    why_not: str = ""
    primary: bool = False


def acts(command: Command, may: Callable[[str], bool]) -> list[Act]:
    """Return the buttons of a command for somebody; empty where it is over."""
    if command.state in OVER:
        return []
    offered = [_look(command), _send(command), _retry(command), _resolve(command), _cancel(command)]
    return [act for act in offered if act is not None and may(act.permission)]


def who_may(command: Command, may: Callable[[str], bool]) -> str:
    """Say who decides about a command where this person may do less than all, "" where nothing is to decide."""
    if command.state in OVER or may(COMMAND):
        return ""
    others = "Operations and engineers" if may(RESOLVE) else "Support, operations and engineers"
    return f"{others} may {'send it again or cancel it' if may(RESOLVE) else 'decide about it'}."


def _busy(command: Command) -> str:
    return "It is on its way right now" if command.state == WorkState.LEASED else ""


def _look(command: Command) -> Act | None:
    if command.outcome not in (Outcome.UNKNOWN, Outcome.SENT, Outcome.ACCEPTED, Outcome.FAILED):
        return None
    label = f"Look for 1 {thing(command)}…"
    doubtful = command.outcome == Outcome.UNKNOWN
    return Act("command_look", label, "search", COMMAND, _busy(command) or _stopped(command), primary=doubtful)


def _stopped(command: Command) -> str:
    """Say why nothing leaves for the provider, "" where it does."""
    name = command.connection.name
    if command.connection.disabled_at:
        return f"{name} is disabled"
    return f"{name} is paused" if command.connection.paused_at else ""


def _send(command: Command) -> Act | None:
    parked = command.state == WorkState.PARKED and command.outcome == Outcome.SUBMITTED
    if command.outcome not in (Outcome.UNKNOWN, Outcome.FAILED) and not parked:
        return None
    failed = command.outcome != Outcome.UNKNOWN
    label, why_not = "Send 1 again, same id…", _busy(command) or _stopped(command)
    if command.outcome == Outcome.FAILED and command.accepted_at:
        why_not = "It was done, and came to nothing: ask for it anew"
    if not why_not and breaker_of(command) is not None:
        why_not = f"The breaker of {command.connection.name} is open"
    return Act("command_send", label, "replay", COMMAND, why_not, primary=failed)


def _retry(command: Command) -> Act | None:
    if command.state != WorkState.WAITING or command.outcome == Outcome.ACCEPTED:
        return None
    return Act("command_retry", "Try 1 now…", "refresh", COMMAND, _stopped(command))


def _resolve(command: Command) -> Act | None:
    if command.outcome not in (Outcome.UNKNOWN, Outcome.ACCEPTED, Outcome.FAILED):
        return None
    return Act("command_resolve", "Resolve…", "check", RESOLVE, _busy(command))


def _cancel(command: Command) -> Act | None:
    why_not = ""
    if command.outcome not in (Outcome.SUBMITTED, Outcome.FAILED):
        why_not = "Only what surely had no effect can be cancelled"
    return Act("command_cancel", "Cancel 1 command…", "x", COMMAND, _busy(command) or why_not)
