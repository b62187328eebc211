"""Turns: nobody's backlog delays anybody else's, and commands go where nothing holds them."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from integrations.boundary import limits
from integrations.failures.categories import Category, Fault
from integrations.health import breaker
from integrations.models import Breaker, Command, Connection, Event, Pace, Run, Tenant
from integrations.workflow import turns, work
from integrations.workflow.process import process_batch
from integrations.workflow.turns import Held, Pass
from tests.conftest import connected, customer_object

pytestmark = pytest.mark.django_db
MakeEvent = Callable[..., Event]
OUTAGE = Fault(Category.OUTAGE, "http_503", "It failed (HTTP 503).")


def copy_events(event: Event, number: int) -> None:
    """Keep more events like one, each about an object of its own and older than it."""
    columns = [field.column or "" for field in Event._meta.concrete_fields if not field.primary_key]
    changed = {
        "provider_event_id": "'evt_copy_' || n",
        "external_id": "'cus_copy_' || n",
        "due_at": "due_at - interval '1 hour'",
    }
    names = ", ".join(columns)
    values = ", ".join(changed.get(name, name) for name in columns)
    with database.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO integrations_event ({names}) SELECT {values} FROM integrations_event, "
            "generate_series(1, %s) n WHERE id = %s",
            [number, event.pk],
        )


def events_of(connection: Connection) -> Any:
    return Event.objects.filter(connection=connection)


# -- events


def test_a_backlog_of_one_tenant_delays_nobody_else(make_event: MakeEvent, other_connection: Connection) -> None:
    copy_events(make_event(), 20_000)
    mine = make_event(on=other_connection)

    process_batch()
    process_batch()

    mine.refresh_from_db()
    assert mine.state == "done"


def test_every_connection_has_an_equal_part_of_a_batch(
    make_event: MakeEvent, connection: Connection, other_connection: Connection
) -> None:
    copy_events(make_event(), 50)
    copy_events(make_event(on=other_connection), 50)

    claimed = Counter(event.connection_id for event in work.claim_events(uuid.uuid4(), 20))

    assert claimed == {connection.pk: 10, other_connection.pk: 10}


def test_what_one_leaves_of_its_part_goes_to_the_others(
    make_event: MakeEvent, tenant: Tenant, connection: Connection, other_connection: Connection
) -> None:
    third = connected(tenant, "Second Stripe")
    copy_events(make_event(), 50)
    copy_events(make_event(on=third), 6)
    make_event(on=other_connection)

    claimed = Counter(event.connection_id for event in work.claim_events(uuid.uuid4(), 30))

    assert claimed == {connection.pk: 22, third.pk: 7, other_connection.pk: 1}


def test_more_connections_than_places_have_their_turns_by_age(make_event: MakeEvent, tenant: Tenant) -> None:
    for n in range(6):
        make_event(
            obj=customer_object(f"cus_{n}"),
            on=connected(tenant, f"S{n}"),
            due_at=timezone.now() - timedelta(hours=6 - n),
        )

    batches = [[event.external_id for event in work.claim_events(uuid.uuid4(), 3)] for _ in range(2)]

    assert batches == [["cus_0", "cus_1", "cus_2"], ["cus_3", "cus_4", "cus_5"]]


def test_of_one_connection_the_oldest_come_first(make_event: MakeEvent) -> None:
    copy_events(make_event(), 40)

    claimed = work.claim_events(uuid.uuid4(), 25)

    assert [event.external_id for event in claimed] == [f"cus_copy_{n}" for n in range(1, 26)]


def test_a_claim_reads_what_is_due_by_an_index(make_event: MakeEvent) -> None:
    copy_events(make_event(), 5_000)
    Event.objects.exclude(external_id="cus_0001").update(due_at=timezone.now() + timedelta(days=1), state="waiting")
    with database.cursor() as cursor:
        cursor.execute("ANALYZE integrations_event")
        cursor.execute(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {work.CLAIM_HEADS}", {"most": 250, "claimed": [], "emptied": []}
        )
        plan = cursor.fetchone()[0][0]["Plan"]

    read = [part for part in parts_of(plan) if part.get("Relation Name") == "integrations_event"]
    assert read
    assert all("Index" in part["Node Type"] for part in read)
    assert sum(part["Actual Rows"] * part["Actual Loops"] for part in read) < 10


def parts_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from parts_of(part)


# -- runs


def make_run(connection: Connection, *, minutes_ago: float = 0, resource: str = "customer") -> Run:
    return Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, kind="resync", asked_by="the tests",
        due_at=timezone.now() - timedelta(minutes=minutes_ago), targets=[[resource, "cus_1"]],
    )  # fmt: skip


def test_runs_of_tenants_go_in_turn(tenant: Tenant, connection: Connection, other_connection: Connection) -> None:
    second = connected(tenant, "Second Stripe")
    for n in range(3):
        make_run(connection, minutes_ago=60 - n)
        make_run(second, minutes_ago=50 - n)
    make_run(other_connection)

    claimed = [run.connection_id for _ in range(5) if (run := work.claim_run(uuid.uuid4()))]

    assert claimed == [connection.pk, other_connection.pk, second.pk, connection.pk, second.pk]


# -- commands


@pytest.fixture
def make_command(connection: Connection) -> Callable[..., Command]:
    def make(on: Connection | None = None, **fields: Any) -> Command:
        number, at = Command.objects.count() + 1, on or connection
        defaults: dict[str, Any] = {
            "operation_id": f"op-{number}", "content_hash": b"", "action": "refund.create", "resource": "refund",
            "summary": f"Refund {number}", "asked_by": "the tests", "due_at": timezone.now() - timedelta(minutes=1),
        }  # fmt: skip
        return Command.objects.create(tenant=at.tenant, environment="test", connection=at, **(defaults | fields))

    return make


def test_commands_of_tenants_go_in_turn(
    make_command: Callable[..., Command], tenant: Tenant, connection: Connection, other_connection: Connection
) -> None:
    second = connected(tenant, "Second Stripe")
    for _ in range(9):
        make_command(on=connection)
        make_command(on=second)
    make_command(on=other_connection)

    served = [way.connection.pk for _ in range(5) if (way := turns.next_pass())]

    assert served == [connection.pk, other_connection.pk, second.pk, other_connection.pk, connection.pk]


def test_a_connection_that_waits_for_its_limits_holds_up_nobody(
    make_command: Callable[..., Command], connection: Connection, other_connection: Connection
) -> None:
    Connection.objects.filter(pk=connection.pk).update(limits={"per_minute": 1})
    make_command()
    make_command(on=other_connection)

    served = [way.connection.pk for _ in range(3) if (way := turns.next_pass())]

    assert served == [connection.pk, other_connection.pk, other_connection.pk]


@pytest.mark.parametrize("held", ["paused", "disabled", "told to wait", "breaker open", "nothing due", "accepted"])
def test_what_is_held_waits_as_it_is(make_command: Callable[..., Command], connection: Connection, held: str) -> None:
    command = make_command()
    now = timezone.now()
    if held == "paused":
        Connection.objects.update(paused_at=now)
    elif held == "disabled":
        Connection.objects.update(disabled_at=now)
    elif held == "told to wait":
        limits.told_to_wait(connection, 60)
    elif held == "breaker open":
        for _ in range(breaker.FAILURES):
            breaker.note_fault(connection, OUTAGE)
    elif held == "nothing due":
        Command.objects.update(due_at=now + timedelta(hours=1))
    else:
        Command.objects.update(outcome="accepted", state="waiting")
    before = Command.objects.values("state", "tries", "outcome", "due_at", "category").get(pk=command.pk)

    assert turns.next_pass() is None
    assert Command.objects.values("state", "tries", "outcome", "due_at", "category").get(pk=command.pk) == before


def test_what_nothing_can_be_claimed_of_is_left_out(
    make_command: Callable[..., Command], connection: Connection, other_connection: Connection
) -> None:
    make_command()
    make_command(on=other_connection)

    way = turns.next_pass(without={connection.pk})

    assert way
    assert way.connection == other_connection


def test_a_probe_goes_once_and_its_success_lets_the_others_go(
    make_command: Callable[..., Command], connection: Connection
) -> None:
    make_command()
    for _ in range(breaker.FAILURES):
        breaker.note_fault(connection, OUTAGE)
    Breaker.objects.update(probe_at=timezone.now())

    probe = turns.gate(connection)
    assert isinstance(probe, Pass)
    assert probe.probing
    meanwhile = turns.gate(connection)
    probe.succeeded()
    later = turns.gate(connection)

    assert isinstance(meanwhile, Held)
    assert isinstance(later, Pass)
    assert not later.probing


def test_a_pass_that_was_not_used_gives_back_leave_and_probe(connection: Connection) -> None:
    Connection.objects.update(limits={"per_minute": 1, "at_once": 1})
    connection.refresh_from_db()
    breaker.note_fault(connection, Fault(Category.AUTHENTICATION, "x", "Refused"))
    Breaker.objects.update(probe_at=timezone.now())
    way = turns.gate(connection)
    assert isinstance(way, Pass)

    way.unused()
    again = turns.gate(connection)

    assert isinstance(again, Pass)
    assert again.probing
    assert Pace.objects.get().hours[-1] == 1


def test_a_probe_that_has_no_leave_is_free_for_later(connection: Connection) -> None:
    Connection.objects.update(limits={"per_minute": 1})
    connection.refresh_from_db()
    limits.ask(connection)
    breaker.note_fault(connection, Fault(Category.AUTHENTICATION, "x", "Refused"))
    Breaker.objects.update(probe_at=timezone.now())

    held = turns.gate(connection)

    assert isinstance(held, Held)
    assert Breaker.objects.get().state == "open"


def test_the_first_word_about_a_pass_counts(connection: Connection) -> None:
    way = turns.gate(connection)
    assert isinstance(way, Pass)

    for _ in range(breaker.FAILURES):
        way.failed(OUTAGE)
    way.succeeded()
    way.unused()

    assert Breaker.objects.get().failed == 1
