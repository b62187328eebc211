"""Accepted is not yet confirmed: what the provider does not tell by itself, it is asked."""

from collections import defaultdict
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from integrations.failures import grouping
from integrations.failures.categories import Category, Fault
from integrations.journal.actor import ENGINE
from integrations.journal.write import append
from integrations.models import Command, Connection, Lane, Outcome, Stream, WorkState
from integrations.workflow import refetch, runs, stuck
from integrations.workflow.commands import entry_of
from integrations.workflow.rows import update_rows

#: From so many objects of one resource on, its stream is read instead of each object.
MANY = 10
#: How often the provider is asked for an effect that it accepted, before a person is.
MOST_LOOKS = 8
#: Seconds between the first two looks; doubled each time.
FIRST_WAIT = 30.0
BATCH = 500


@transaction.atomic
def ask_for_the_accepted() -> int:
    """Ask providers for the effects that they accepted and did not tell of in time; return how many commands."""
    now = timezone.now()
    due = list(
        Command.objects.filter(
            outcome=Outcome.ACCEPTED,
            state__in=(WorkState.READY, WorkState.WAITING),
            due_at__lte=now,
            tries__lt=MOST_LOOKS,
            connection__paused_at=None,
            connection__disabled_at=None,
        )
        .select_related("connection")
        .order_by("due_at", "pk")
        .select_for_update(of=("self",), skip_locked=True, no_key=True)[:BATCH]
    )
    groups: dict[tuple[int, str, bool], list[Command]] = defaultdict(list)
    for command in due:
        groups[command.connection_id, command.resource, command.tries > 0].append(command)
    for group in groups.values():
        _ask(group)
    for command in due:
        command.due_at = now + timedelta(seconds=max(0.5, FIRST_WAIT * 2**command.tries * settings.RETRY_SCALE))
        command.tries += 1
        command.state = WorkState.WAITING
    update_rows(due, ("tries", "due_at", "state"))
    return len(due)


def _ask(commands: list[Command]) -> None:
    connection, resource = commands[0].connection, commands[0].resource
    stream = Stream.objects.filter(connection=connection, resource=resource).select_related("connection").first()
    # A list that reads as it was read before is no new evidence: whom it did not show, the second look asks for by id.
    if len(commands) < MANY or commands[0].tries or stream is None or stream.paused_at:
        refetch.ask([(connection, resource, command.external_id) for command in commands], timezone.now())
        return
    try:
        with transaction.atomic():
            runs.plan(stream, asked_by=ENGINE.name, reason="To see what it accepted")
    except IntegrityError:
        return  # One is under way.


def park_the_unseen() -> int:
    """Park what was accepted and never seen, however often it was looked for; return how many."""
    due = Command.objects.filter(
        outcome=Outcome.ACCEPTED, state__in=(WorkState.READY, WorkState.WAITING), tries__gte=MOST_LOOKS,
        due_at__lte=timezone.now(),
    )  # fmt: skip
    return sum(_park(pk, record_id) for pk, record_id in due.values_list("pk", "record_id")[:BATCH])


@transaction.atomic
def _park(pk: int, record_id: int | None) -> int:
    stuck.lock([record_id])
    command = Command.objects.select_for_update(of=("self",), no_key=True).select_related("connection").get(pk=pk)
    if command.outcome != Outcome.ACCEPTED or command.state == WorkState.PARKED:
        return 0
    connection: Connection = command.connection
    fault = Fault(Category.UNKNOWN, "never_seen", f"{connection.name} accepted it and does not show it")
    command.state, command.category, command.outcome_reason = WorkState.PARKED, fault.category, fault.message
    command.save(update_fields=["state", "category", "outcome_reason"])
    failed = grouping.Failed(fault, connection, command=command, record=command.record, resource=command.resource)
    grouping.note([failed])
    append([entry_of(command, Lane.COMMANDS, "command.parked", f"{command.summary}: {fault.message}")])
    if command.record_id:
        stuck.recompute([command.record_id])
    return 1
