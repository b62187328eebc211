"""What must be so after any fault: each event done or parked, none twice, belief as the newest evidence says."""

from typing import Any

from django.db.models import Count, Sum

from integrations.models import (
    Connection,
    Event,
    Failure,
    JournalEntry,
    Record,
    Reference,
    Tally,
    Transition,
    WorkState,
)
from tests.faults.webhooks import Plan
from tests.processes import wait_until

#: Leases run out after 2 seconds, sweeps come twice a second, retries wait for 30 s at most at a tenth.
PATIENCE = 25.0
OPEN = (WorkState.READY, WorkState.LEASED, WorkState.WAITING, WorkState.HELD)


def wait_for_the_end(target: Connection) -> None:
    """Wait until no event of the connection is open."""
    left = Event.objects.filter(connection=target, state__in=OPEN)
    wait_until("no event is open", lambda: not left.exists(), PATIENCE)


def assert_evidence(made: Plan, target: Connection, *, exactly: bool = True) -> None:
    """Each event is here once, with all its deliveries (at least, where some were repeated), done or seen parked."""
    events = {event.provider_event_id: event for event in Event.objects.filter(connection=target)}
    assert events.keys() == made.deliveries.keys()
    for name, count in made.deliveries.items():
        event = events[name]
        assert event.redelivered == count - 1 or (event.redelivered >= count and not exactly), name
        assert (event.state, event.category) == (
            (WorkState.PARKED, made.poison[name]) if name in made.poison else (WorkState.DONE, "")
        ), name
    open_failures = Failure.objects.filter(connection=target, resolved_at__isnull=True, event__isnull=False)
    parked = {event.pk for event in events.values() if event.state == WorkState.PARKED}
    assert set(open_failures.values_list("event_id", flat=True)) == parked
    counted = open_failures.values("problem", "problem__open_count").annotate(ours=Count("id"))
    assert all(row["problem__open_count"] == row["ours"] for row in counted)
    stuck = {event.record_id for event in events.values() if event.state == WorkState.PARKED and event.record_id}
    flagged = Record.objects.filter(connection=target, stuck_since__isnull=False)
    assert set(flagged.values_list("pk", flat=True)) == stuck


def assert_once(target: Connection) -> None:
    """No event was decided, counted or turned into belief twice."""
    decided = lines_of(target, "event.decided")
    parked = lines_of(target, "event.parked")
    assert set(decided.values()) == set(parked.values()) == {1}
    assert decided.keys() == ids(target, WorkState.DONE)
    assert parked.keys() == ids(target, WorkState.PARKED)
    assert Tally.objects.filter(connection=target).aggregate(done=Sum("done"))["done"] == len(decided)
    made = Transition.objects.filter(record__connection=target)
    assert not made.values("cause_id").annotate(times=Count("id")).filter(times__gt=1).exists()
    for record in Record.objects.filter(connection=target):
        versions = list(record.transitions.order_by("version").values_list("version", flat=True))
        assert versions == list(range(1, record.version + 1))
    journal = JournalEntry.objects.filter(connection_id=target.pk)
    assert journal.filter(action="record.changed").count() == made.count()
    redelivered = Event.objects.filter(connection=target).aggregate(total=Sum("redelivered"))["total"]
    assert journal.filter(action="event.redelivered").count() == redelivered


def ids(target: Connection, state: str) -> set[int]:
    """Return the ids of the events in a state."""
    return set(Event.objects.filter(connection=target, state=state).values_list("pk", flat=True))


def lines_of(target: Connection, action: str) -> dict[int, int]:
    """Return how many journal lines of an action each event has."""
    rows = (
        JournalEntry.objects.filter(connection_id=target.pk, action=action)
        .values("subject_id")
        .annotate(lines=Count("id"))
    )
    return {row["subject_id"]: row["lines"] for row in rows if row["subject_id"]}


def assert_belief(made: Plan, target: Connection) -> None:
    """Every record is as its newest readable evidence says."""
    references = Reference.objects.filter(connection=target).select_related("record")
    assert {ref.external_id for ref in references} == made.truth.keys()
    for ref in references:
        state, fields, at = made.truth[ref.external_id]
        held: Any = {name: ref.record.data[name] for name in fields}
        assert (ref.record.state, held, int(ref.seen_at.timestamp())) == (state, fields, at), ref.external_id
