"""What was asked of providers for a record: the newest command, and those that somebody has to decide about."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import JSONObject

from console.commands import acts, exchanges, telling
from console.commands.page import kind_of, sensitive
from console.records.answers import Answer
from integrations.models import Attempt, Command, JournalEntry, Outcome, Record, WorkState
from integrations.providers import get_adapter

MOST = 3
#: Lines of the journal that tell of a try; the other ones tell of the intent.
OF_TRIES = ("command.answered", "command.waits", "command.parked", "command.looked_for", "command.confirmed")


def with_newest(records: "QuerySet[Record]", commands: "QuerySet[Command]") -> "QuerySet[Record]":
    """Read along the newest of `commands` of each record, so that it costs no query of its own."""
    newest = commands.filter(record=OuterRef("pk")).order_by("-id")
    told = JSONObject(
        id="id", summary="summary", outcome="outcome", connection=F("connection__name"), at="submitted_at"
    )
    return records.annotate(newest_command=Subquery(newest.annotate(asked=told).values("asked")[:1]))


def answer(record: Any, command_url: Callable[[int], str]) -> Answer:
    """Return what we sent for a record read by `with_newest`."""
    told = record.newest_command
    if not told:
        return Answer("We sent", "Nothing", note="no command was ever asked for")
    outcome = str(Outcome(told["outcome"]).label).lower()
    at = datetime.fromisoformat(told["at"])
    return Answer("We sent", told["summary"], command_url(told["id"]), f"to {told['connection']}, {outcome}, ", at)


def undecided(request: Any, record: Any) -> list[dict[str, Any]]:
    """Return the commands of a record that wait for somebody, the newest first, each with what may be done."""
    if not record.newest_command:
        return []
    open_ones = Command.objects.visible_to(request.user).filter(record=record, state__in=OPEN)
    rows = open_ones.filter(Q(outcome=Outcome.UNKNOWN) | Q(state=WorkState.PARKED)).select_related(
        "connection__breaker"
    )
    return [_shown(request, command) for command in rows.order_by("-id")[:MOST]]


OPEN = (WorkState.READY, WorkState.WAITING, WorkState.PARKED, WorkState.HELD)


def _shown(request: Any, command: Command) -> dict[str, Any]:
    may = partial(request.user.powers.may, tenant_id=command.tenant_id, connection_id=command.connection_id)
    possible = [act for act in acts.acts(command, may) if not act.why_not and act.name in ON_RECORDS]
    return {
        "command": command,
        "outcome": telling.outcome_of(command),
        "acts": possible,
        "who_may": acts.who_may(command, may),
    }


ON_RECORDS = ("command_look", "command_send", "command_resolve")


def behind(request: Any, entry: JournalEntry) -> dict[str, Any]:
    """Return what lies behind a line about a command: the command, and the try that the line tells of."""
    if entry.subject_type != "command" or not entry.subject_id:
        return {}
    rows = Command.objects.visible_to(request.user).select_related("connection")
    command = rows.filter(pk=entry.subject_id).first()
    if command is None:
        return {}
    return {"command": command, "outcome": telling.outcome_of(command), "try": _try_of(command, entry)}


def _try_of(command: Command, entry: JournalEntry) -> exchanges.Exchange | None:
    """Return the try that a line tells of, or the last one before it."""
    if entry.action not in OF_TRIES:
        return None
    tries = Attempt.objects.filter(command=command)
    named = entry.data.get("attempt")
    found = tries.filter(pk=named).first() if isinstance(named, int) else None
    found = found or tries.filter(started_at__lte=entry.at).order_by("-id").first()
    if found is None:
        return None
    adapter = get_adapter(command.connection.provider)
    number = tries.filter(pk__lte=found.pk).count()
    return exchanges.read([found], number, sensitive(kind_of(command, adapter), adapter))[0]
