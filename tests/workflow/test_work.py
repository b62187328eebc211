"""The lifecycle of work: when it is tried again, who may claim it, and what a lost lease forbids."""

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from integrations.failures.categories import POLICIES, Category, Fault
from integrations.models import Connection, Event, Failure, JournalEntry, Record, Run, Stream, Transition, WorkState
from integrations.workflow import work
from integrations.workflow.evidence import read_events
from integrations.workflow.process import connections_of, process_batch
from integrations.workflow.settle import settle
from tests.conftest import customer_object

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ME, OTHER = uuid.uuid4(), uuid.uuid4()
MakeEvent = Callable[..., Event]


# -- retries


@pytest.mark.parametrize(
    ("category", "tries", "least", "most"),
    [
        # The wait doubles up to the ceiling; jitter takes up to half of it.
        (Category.TIMEOUT, 1, 1, 2),  # 2
        (Category.TIMEOUT, 2, 2, 4),  # 2 · 2
        (Category.TIMEOUT, 5, 16, 32),  # 2 · 2⁴
        (Category.TIMEOUT, 7, 64, 128),  # 2 · 2⁶
        (Category.RATE_LIMIT, 1, 1, 2),  # 2
        (Category.RATE_LIMIT, 8, 128, 256),  # 2 · 2⁷
        (Category.RATE_LIMIT, 9, 150, 300),  # 2 · 2⁸ = 512 > 300
        (Category.RATE_LIMIT, 11, 150, 300),
        (Category.OUTAGE, 1, 2.5, 5),  # 5
        (Category.OUTAGE, 7, 160, 320),  # 5 · 2⁶
        (Category.OUTAGE, 8, 300, 600),  # 5 · 2⁷ = 640 > 600
        (Category.DEPENDENCY, 1, 7.5, 15),  # 15
        (Category.DEPENDENCY, 5, 120, 240),  # 15 · 2⁴
        (Category.DEPENDENCY, 6, 150, 300),  # 15 · 2⁵ = 480 > 300
        (Category.UNKNOWN, 1, 2.5, 5),  # 5
        (Category.UNKNOWN, 2, 5, 10),  # 5 · 2
    ],
)
def test_a_try_that_failed_waits_by_its_category(category: Category, tries: int, least: float, most: float) -> None:
    waits = [
        (work.after_failure(Fault(category, "x", "x"), tries, NOW).due_at - NOW).total_seconds() for _ in range(50)
    ]

    assert least <= min(waits)
    assert max(waits) <= most
    assert len(set(waits)) > 1, "without jitter all would come back at once"


@pytest.mark.parametrize(
    ("category", "last"),
    [
        (Category.RATE_LIMIT, 12),
        (Category.TIMEOUT, 8),
        (Category.DEPENDENCY, 8),
        (Category.OUTAGE, 10),
        (Category.UNKNOWN, 3),
    ],
)
def test_the_last_try_parks(category: Category, last: int) -> None:
    fault = Fault(category, "x", "x")

    assert work.after_failure(fault, last - 1, NOW).state == WorkState.WAITING
    assert work.after_failure(fault, last, NOW).state == WorkState.PARKED


@pytest.mark.parametrize("category", [category for category in Category if POLICIES[category].tries == 0])
def test_what_no_retry_can_help_parks_at_once(category: Category) -> None:
    assert work.after_failure(Fault(category, "x", "x"), 1, NOW).state == WorkState.PARKED


@pytest.mark.parametrize("seconds", [0.0, 17.0, 7200.0])
def test_what_the_provider_asks_for_is_obeyed_to_the_second(seconds: float) -> None:
    fault = Fault(Category.RATE_LIMIT, "x", "x", retry_after=seconds)

    assert work.after_failure(fault, 1, NOW) == work.Verdict(WorkState.WAITING, NOW + timedelta(seconds=seconds))


# -- claims


def ids(events: list[Event]) -> list[int]:
    return [event.pk for event in events]


@pytest.mark.django_db
def test_what_is_not_due_yet_is_not_claimed(make_event: MakeEvent) -> None:
    make_event(due_at=timezone.now() + timedelta(seconds=60))

    assert work.claim_events(ME, 10) == []


@pytest.mark.django_db
def test_the_oldest_due_come_first(make_event: MakeEvent) -> None:
    hour = timedelta(hours=1)
    late = make_event(obj=customer_object("cus_1"), due_at=timezone.now() - hour)
    later = make_event(obj=customer_object("cus_2"), due_at=timezone.now() - 2 * hour)

    assert ids(work.claim_events(ME, 1)) == [later.pk]
    assert ids(work.claim_events(ME, 1)) == [late.pk]


@pytest.mark.django_db
def test_an_object_is_claimed_with_its_younger_events_in_order(make_event: MakeEvent) -> None:
    events = [make_event("customer.updated", customer_object("cus_1", name=str(n))) for n in range(3)]

    assert ids(work.claim_events(ME, 10)) == ids(events)


@pytest.mark.django_db
def test_nobody_gets_a_younger_event_of_an_object_that_is_worked_on(make_event: MakeEvent) -> None:
    first, _, other = make_event(), make_event("customer.updated"), make_event(obj=customer_object("cus_2"))

    assert ids(work.claim_events(ME, 1)) == [first.pk]
    assert ids(work.claim_events(OTHER, 10)) == [other.pk]


@pytest.mark.django_db
def test_an_older_event_that_is_let_go_slowly_keeps_its_place(make_event: MakeEvent) -> None:
    make_event(due_at=timezone.now() + timedelta(seconds=60))
    make_event("customer.updated")

    assert work.claim_events(ME, 10) == []


@pytest.mark.django_db
@pytest.mark.parametrize("state", [WorkState.WAITING, WorkState.PARKED, WorkState.DISMISSED])
def test_an_older_event_that_waits_for_something_else_holds_nobody_up(make_event: MakeEvent, state: str) -> None:
    make_event(state=state, due_at=timezone.now() + timedelta(hours=1))
    younger = make_event("customer.updated")

    assert ids(work.claim_events(ME, 10)) == [younger.pk]


@pytest.mark.django_db
def test_events_without_an_object_wait_for_nobody(make_event: MakeEvent) -> None:
    events = [make_event(body=f"{{{n}".encode()) for n in range(3)]

    assert ids(work.claim_events(ME, 2)) == ids(events[:2])
    assert ids(work.claim_events(OTHER, 2)) == ids(events[2:])


@pytest.mark.django_db
@pytest.mark.parametrize("paused", ["connection", "stream"])
def test_nothing_of_a_paused_connection_or_stream_is_claimed(make_event: MakeEvent, paused: str) -> None:
    make_event()
    if paused == "connection":
        Connection.objects.update(paused_at=timezone.now())
    else:
        Stream.objects.filter(resource="customer").update(paused_at=timezone.now())

    assert work.claim_events(ME, 10) == []


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_share_the_objects_and_never_an_event(make_event: MakeEvent) -> None:
    for n in range(12):
        make_event("customer.updated", customer_object(f"cus_{n % 6}"))
    both_read, claimed = threading.Barrier(2), list[list[Event]]()

    def worker() -> None:
        try:
            with transaction.atomic():
                mine = work.claim_events(uuid.uuid4(), 3)
                both_read.wait(10)  # both hold their claims, neither has committed
            claimed.append(mine)
        finally:
            database.close()

    threads = [threading.Thread(target=worker) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    left, right = ({event.external_id for event in mine} for mine in claimed)
    assert [len(mine) for mine in claimed] == [3, 3]
    assert not left & right


@pytest.mark.django_db(transaction=True)
def test_a_claim_does_not_wait_for_what_another_one_holds(make_event: MakeEvent) -> None:
    held, free = make_event(obj=customer_object("cus_1")), make_event(obj=customer_object("cus_2"))
    has_it, may_end = threading.Event(), threading.Event()

    def other() -> None:
        try:
            with transaction.atomic():
                Event.objects.select_for_update().get(pk=held.pk)
                has_it.set()
                may_end.wait(10)
        finally:
            database.close()

    thread = threading.Thread(target=other)
    thread.start()
    try:
        assert has_it.wait(10)
        with database.cursor() as cursor:
            cursor.execute("SET statement_timeout = '3s'")
        mine = work.claim_events(ME, 10)
    finally:
        may_end.set()
        thread.join(10)
        with database.cursor() as cursor:
            cursor.execute("RESET statement_timeout")

    assert ids(mine) == [free.pk]


@pytest.mark.django_db(transaction=True)
def test_many_workers_settle_each_event_once_and_each_record_in_order(make_event: MakeEvent) -> None:
    for n in range(40):
        obj = customer_object(f"cus_{n % 4}", name=f"Name {n}")
        make_event("customer.updated", obj, created=1_700_000_000 + n)

    def worker() -> None:
        try:
            while process_batch(3):
                pass
        finally:
            database.close()

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    while process_batch():
        pass

    assert set(Event.objects.values_list("state", flat=True)) == {"done"}
    assert sorted(Record.objects.values_list("data__name", flat=True)) == [f"Name {n}" for n in range(36, 40)]
    assert Transition.objects.count() == JournalEntry.objects.filter(action="record.changed").count() == 40
    assert not Event.objects.filter(decision="stale").exists(), "a record's events were settled in their order"


# -- leases


@pytest.mark.django_db
def test_work_of_a_worker_that_died_comes_back_when_its_lease_ends(make_event: MakeEvent) -> None:
    dead, alive = make_event(), make_event(obj=customer_object("cus_2"))
    work.claim_events(OTHER, 10)
    Event.objects.filter(pk=dead.pk).update(leased_until=timezone.now() - timedelta(seconds=1))

    freed = work.sweep()

    assert freed["events"] == 1
    assert ids(work.claim_events(ME, 10)) == [dead.pk]
    assert Event.objects.get(pk=alive.pk).leased_by == OTHER


@pytest.mark.django_db
def test_a_run_of_a_worker_that_died_comes_back_when_its_lease_ends(connection: Connection) -> None:
    run = Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, kind="sync", due_at=timezone.now(),
        stream=connection.streams.get(resource="customer"), asked_by="the tests", cursor={"starting_after": "cus_7"},
    )  # fmt: skip
    assert work.claim_run(OTHER) == run
    assert work.claim_run(ME) is None
    Run.objects.update(leased_until=timezone.now() - timedelta(seconds=1))

    work.sweep()

    again = work.claim_run(ME)
    assert again
    assert (again.pk, again.cursor) == (run.pk, {"starting_after": "cus_7"})


@pytest.mark.django_db
@pytest.mark.parametrize(
    "stolen",
    [{"leased_by": OTHER}, {"state": "ready", "leased_by": None, "leased_until": None}],
    ids=["other", "swept"],
)
def test_who_lost_the_lease_writes_nothing(make_event: MakeEvent, stolen: dict[str, Any]) -> None:
    make_event()
    broken = make_event(body=b"{")
    events = work.claim_events(ME, 10)
    connections = connections_of(events)
    reads = read_events(events, connections)
    Event.objects.filter(pk=broken.pk).update(**stolen)

    with pytest.raises(work.LostLease):
        settle(reads, connections, ME)

    for model in (Record, Transition, Failure):
        assert not model._default_manager.exists()
    assert not JournalEntry.objects.filter(lane="events").exists()
    assert set(Event.objects.values_list("decision", flat=True)) == {""}


@pytest.mark.django_db
def test_a_batch_that_lost_its_lease_does_no_harm_and_is_done_by_the_next(
    make_event: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_event()
    real = work.claim_events

    def slow_claim(owner: uuid.UUID, most: int) -> list[Event]:
        claimed = real(owner, most)
        Event.objects.update(state="ready", leased_by=None, leased_until=None)  # swept meanwhile
        return claimed

    monkeypatch.setattr("integrations.workflow.process.claim_events", slow_claim)
    process_batch()
    assert not Record.objects.exists()
    monkeypatch.setattr("integrations.workflow.process.claim_events", real)

    process_batch()

    assert Event.objects.get().state == "done"
    assert Transition.objects.count() == 1
