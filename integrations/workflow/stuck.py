"""Which records are stuck, since when, and what for: those with an open event, command or export that failed."""

from collections.abc import Iterable, Sequence

from integrations.failures.categories import Category
from integrations.models import Command, Event, Failure, Outcome, Record, WorkState
from integrations.workflow.belief import Board
from integrations.workflow.evidence import Read

WAITS_FOR = {
    Category.AUTHENTICATION: "a working credential",
    Category.AUTHORIZATION: "a scope at the provider",
    Category.VALIDATION: "corrected data",
    Category.CONTRACT: "an engineer to read its evidence",
    Category.RATE_LIMIT: "the provider's rate limit",
    Category.TIMEOUT: "the provider to answer",
    Category.OUTAGE: "the provider to come back",
    Category.BUSINESS: "a decision",
    Category.UNKNOWN: "an engineer to name a failure",
}


def refresh(reads: Sequence[Read], board: Board) -> None:
    """Bring the stuck flags up to date for the records that a batch may have freed or blocked."""
    failing = (WorkState.WAITING, WorkState.PARKED)
    records = {
        known.record.pk
        for read in reads
        if (known := board.known.get(read.key)) and (known.record.stuck_since or read.event.state in failing)
    }
    recompute(records)


def lock(record_ids: Iterable[int | None]) -> None:
    """Lock some records, in order of id: whoever changes one locks it before what hangs on it."""
    ids = {pk for pk in record_ids if pk}
    if ids:
        list(Record.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True).values_list("pk"))


def recompute(record_ids: Iterable[int]) -> None:
    """Set or clear the stuck flags of some records from their open events, commands and exports."""
    ids = set(record_ids)
    if not ids:
        return
    worst: dict[int, Event] = {}
    rows = Event.objects.filter(record_id__in=ids, state__in=(WorkState.WAITING, WorkState.PARKED)).exclude(category="")
    for event in rows.order_by("received_at"):
        held = worst.get(event.record_id or 0)
        if held is None or (held.state == WorkState.WAITING and event.state == WorkState.PARKED):
            worst[event.record_id or 0] = event
    failures = {f.event_id: f for f in Failure.objects.filter(event__in=worst.values(), resolved_at__isnull=True)}
    for pk, event in worst.items():
        Record.objects.filter(pk=pk).update(
            stuck_since=event.received_at,
            stuck_category=event.category,
            waits_for=in_words(event, failures.get(event.pk)),
        )
    blocked = _blocked_by_commands(ids - worst.keys())
    for pk, command in blocked.items():
        Record.objects.filter(pk=pk).update(
            stuck_since=command.submitted_at, stuck_category=command.category, waits_for=of_command(command)
        )
    stopped = _stopped_exports(ids - worst.keys() - blocked.keys())
    for pk, failure in stopped.items():
        Record.objects.filter(pk=pk).update(
            stuck_since=failure.at, stuck_category=failure.category, waits_for=WAITS_FOR[Category.BUSINESS]
        )
    free = ids - worst.keys() - blocked.keys() - stopped.keys()
    Record.objects.filter(pk__in=free, stuck_since__isnull=False).update(
        stuck_since=None, stuck_category="", waits_for=""
    )


def _blocked_by_commands(ids: set[int]) -> dict[int, Command]:
    """Return of each record the oldest command that waits or is parked since it failed."""
    open_ones = Command.objects.filter(record_id__in=ids, state__in=(WorkState.WAITING, WorkState.PARKED))
    rows = open_ones.exclude(category="").select_related("connection").order_by("-pk")
    return {command.record_id or 0: command for command in rows}


def _stopped_exports(ids: set[int]) -> dict[int, Failure]:
    """Return of each record the oldest open failure of its exports."""
    rows = Failure.objects.filter(copy__record_id__in=ids, resolved_at__isnull=True).select_related("copy")
    return {failure.copy.record_id: failure for failure in rows.order_by("-pk") if failure.copy}


def of_command(command: Command) -> str:
    """Say what a command waits for."""
    if command.outcome == Outcome.UNKNOWN:
        return f"the outcome of “{command.summary}” at {command.connection.name}"[:300]
    return WAITS_FOR.get(Category(command.category), f"“{command.summary}” at {command.connection.name}")[:300]


def in_words(event: Event, failure: Failure | None) -> str:
    """Say what an event waits for."""
    field = (failure.field if failure else "").replace("_", " ")
    if event.category == Category.DEPENDENCY:
        return f"its {field or 'other record'} to arrive"
    if event.category == Category.MAPPING:
        return f"the mapping of {field or 'a field'} to be repaired"
    return WAITS_FOR.get(Category(event.category), "a person")
