"""A replay is planned without a trace, and executed only as it was planned."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from integrations.configuration import mappings
from integrations.failures.categories import Category
from integrations.journal.actor import Actor
from integrations.models import Connection, Event, Failure, JournalEntry, Mapping, Record, Run, Transition
from integrations.workflow import replay
from integrations.workflow.dismiss import dismiss
from integrations.workflow.errors import Refusal
from integrations.workflow.process import process_batch
from integrations.workflow.replay import PlanChanged, execute, plan
from tests.conftest import TESTER, customer_object
from tests.stripe_objects import invoice_object, payment_object

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_caches")]

MakeEvent = Callable[..., Event]
AT = 1_700_000_100
MARTA = Actor(None, "Marta Kowalczyk", "operations", "192.0.2.88", "req_1")


def everything() -> str:
    """Return all rows of belief, work and history as text."""
    tables = ("record", "reference", "transition", "event", "failure", "problem", "journal", "run", "drift", "tally")
    with database.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"SELECT t::text FROM integrations_{name} t" for name in tables))
        return "\n".join(sorted(row[0] for row in cursor.fetchall()))


@pytest.fixture
def publish(connection: Connection) -> Callable[..., Mapping]:
    """Return a function that publishes a resource's rules anew, with one value set at a dotted place."""

    def make(resource: str, place: str, value: Any) -> Mapping:
        current = connection.mappings.get(resource=resource, state="published")
        rules: dict[str, Any] = json.loads(json.dumps(current.rules["rules"]))
        *path, last = place.split(".")
        table = rules
        for name in path:
            table = table[name]
        table[last] = value
        return mappings.publish(connection, resource, rules, actor=TESTER, reason="They changed it")

    return make


def work_off() -> None:
    """Settle what is ready; the clock of a test's transaction stands still."""
    Event.objects.filter(state="ready").update(due_at=timezone.now() - timedelta(minutes=1))
    process_batch()


# -- the plan


def settled(make_event: MakeEvent, *args: Any, **fields: Any) -> Event:
    event = make_event(*args, **fields)
    process_batch()
    return event


def parked_by_its_status(make_event: MakeEvent) -> Event:
    event = settled(make_event, "invoice.updated", invoice_object(customer=None, status="disputed"), created=AT)
    event.refresh_from_db()
    assert event.state == "parked"
    return event


def test_a_plan_leaves_no_trace(make_event: MakeEvent, publish: Any) -> None:
    event = parked_by_its_status(make_event)
    publish("invoice", "states.disputed", "open")
    before = everything()

    found = plan(event)

    assert found.verdict == replay.WOULD_CHANGE
    assert everything() == before


def test_the_plan_shows_what_would_change(make_event: MakeEvent, publish: Any) -> None:
    event = parked_by_its_status(make_event)
    publish("invoice", "states.disputed", "open")

    found = plan(event)

    assert (found.verdict, found.reason) == (replay.WOULD_CHANGE, "The first evidence of this record")
    assert ("total", None, 25000) in found.changes
    assert found.fault is None
    assert [line.value for line in found.trace if line.field == "state"] == ["open"]


def test_the_plan_shows_the_failure_that_it_would_meet(make_event: MakeEvent) -> None:
    found = plan(parked_by_its_status(make_event))

    assert found.verdict == replay.WOULD_FAIL
    assert found.fault
    assert (found.fault.category, found.fault.field) == (Category.MAPPING, "state")
    assert any(line.problem for line in found.trace)


def test_an_illegal_step_would_fail_again(make_event: MakeEvent) -> None:
    settled(make_event, "invoice.voided", invoice_object(customer=None, status="void"), created=AT)
    event = settled(make_event, "invoice.paid", invoice_object(customer=None, status="paid"), created=AT + 1)

    found = plan(event)

    assert found.verdict == replay.WOULD_FAIL
    assert found.fault
    assert found.fault.category == Category.BUSINESS


def test_what_belief_says_already_would_change_nothing(make_event: MakeEvent) -> None:
    assert plan(settled(make_event)).verdict == replay.NO_CHANGE


def test_what_is_not_needed_would_change_nothing(make_event: MakeEvent) -> None:
    assert plan(settled(make_event, "product.created", {"id": "prod_1"})).verdict == replay.NO_CHANGE


def test_what_is_older_than_belief_is_stale(make_event: MakeEvent) -> None:
    event = settled(make_event, created=AT)
    settled(make_event, "customer.updated", customer_object(name="Renamed"), created=AT + 5)

    assert plan(event).verdict == replay.STALE


def test_what_refers_to_a_missing_record_would_wait(make_event: MakeEvent) -> None:
    event = settled(make_event, "invoice.created", invoice_object(customer="cus_0001"))

    found = plan(event)

    assert found.verdict == replay.WOULD_WAIT
    assert found.reason == "Its customer (cus_0001) has not arrived"


def test_where_order_cannot_be_told_the_plan_says_so(make_event: MakeEvent) -> None:
    settled(make_event, "customer.updated", customer_object(name="A"), created=AT)
    event = settled(make_event, "customer.updated", customer_object(name="B"), created=AT)

    assert plan(event).verdict == replay.ORDER_UNKNOWN


def test_what_only_points_asks_the_provider(make_event: MakeEvent) -> None:
    event = settled(make_event, "charge.refunded", {"object": "charge", "payment_intent": "pi_1"})

    assert plan(event).verdict == replay.ORDER_UNKNOWN


def test_another_mapping_version_can_be_planned_with(
    make_event: MakeEvent, publish: Any, connection: Connection
) -> None:
    event = parked_by_its_status(make_event)
    second = publish("invoice", "states.disputed", "open")
    publish("invoice", "states.disputed", "uncollectible")

    state_by = {
        mapping.version if mapping else 3: next(
            x.value for x in plan(event, mapping=mapping).trace if x.field == "state"
        )
        for mapping in (connection.mappings.get(resource="invoice", version=1), second, None)
    }

    assert state_by == {1: None, 2: "open", 3: "uncollectible"}


def test_the_newest_evidence_read_by_better_rules_changes_belief(make_event: MakeEvent, publish: Any) -> None:
    """It is the very evidence that belief stands on: there is no order to be told."""
    event = settled(make_event, obj=customer_object(description="Berth 12"), created=AT)
    publish("customer", "fields.name.source", "description")

    found = plan(event)
    execute(event, token=found.token, actor=MARTA, reason="Fixed")
    work_off()

    assert (found.verdict, found.changes) == (replay.WOULD_CHANGE, (("name", "Halvorsen Marine AS", "Berth 12"),))
    assert Record.objects.get().data["name"] == "Berth 12"
    assert Transition.objects.get(version=2).mapping == Mapping.objects.get(resource="customer", version=2)


# -- the execution


def test_the_worker_does_as_was_planned(make_event: MakeEvent, publish: Any) -> None:
    event = parked_by_its_status(make_event)
    publish("invoice", "states.disputed", "open")

    execute(event, token=plan(event).token, actor=MARTA, reason="The mapping is fixed")
    event.refresh_from_db()
    assert (event.state, event.replays, event.tries) == ("ready", 1, 0)
    work_off()

    event.refresh_from_db()
    assert (event.state, event.decision) == ("done", "new")
    assert Record.objects.get().state == "open"
    assert int(Transition.objects.get().occurred_at.timestamp()) == AT, "it keeps the time of occurrence"
    assert Failure.objects.get().resolution == "It went through"


def test_the_journal_names_who_replayed_and_why_and_links_the_plan(make_event: MakeEvent, publish: Any) -> None:
    event = parked_by_its_status(make_event)
    publish("invoice", "states.disputed", "open")
    found = plan(event)

    execute(event, token=found.token, actor=MARTA, reason="The mapping is fixed")
    work_off()

    entry = JournalEntry.objects.get(action="event.replayed")
    assert (entry.actor, entry.reason, entry.subject_id) == ("Marta Kowalczyk", "The mapping is fixed", event.pk)
    assert (entry.data["plan"], entry.data["verdict"]) == (found.token, "would change")
    decided = JournalEntry.objects.get(action="event.decided")
    assert decided.data["replays"] == 1
    assert "replayed" in decided.summary


def test_the_chosen_version_is_the_one_that_is_used(make_event: MakeEvent, publish: Any) -> None:
    event = parked_by_its_status(make_event)
    second = publish("invoice", "states.disputed", "open")
    publish("invoice", "states.disputed", "uncollectible")

    execute(event, token=plan(event, mapping=second).token, mapping=second, actor=MARTA, reason="As it was then")
    work_off()

    record = Record.objects.get()
    assert (record.state, record.mapping) == ("open", second)


@pytest.mark.parametrize("moved", ["the mapping", "the record", "the event", "the mapping asked for"])
def test_a_plan_that_no_longer_holds_is_refused_with_the_new_one(
    make_event: MakeEvent, publish: Any, moved: str
) -> None:
    settled(make_event, "invoice.created", invoice_object(customer=None, status="draft"), created=AT)
    event = parked_by_its_status(make_event)
    first = Mapping.objects.get(resource="invoice")
    token = plan(event).token
    if moved == "the mapping":
        publish("invoice", "states.disputed", "open")
    elif moved == "the record":
        settled(make_event, "invoice.updated", invoice_object(customer=None), created=AT + 5)
    elif moved == "the event":
        Event.objects.filter(pk=event.pk).update(replays=1)
    else:
        publish("invoice", "states.disputed", "open")
        token = plan(event).token

    chosen = first if moved == "the mapping asked for" else None
    with pytest.raises(PlanChanged) as caught:
        execute(event, token=token, mapping=chosen, actor=MARTA, reason="Now")

    assert caught.value.plan.token != token
    event.refresh_from_db()
    assert event.state == "parked"
    assert not JournalEntry.objects.filter(action="event.replayed").exists()


def test_one_plan_is_executed_once(make_event: MakeEvent, publish: Any) -> None:
    event = parked_by_its_status(make_event)
    publish("invoice", "states.disputed", "open")
    token = plan(event).token
    execute(event, token=token, actor=MARTA, reason="Now")

    with pytest.raises(Refusal, match="let it finish first"):
        execute(event, token=token, actor=MARTA, reason="Now")
    work_off()
    with pytest.raises(PlanChanged):
        execute(event, token=token, actor=MARTA, reason="Now")


@pytest.mark.parametrize("reason", ["", " \n"])
def test_a_replay_needs_a_reason(make_event: MakeEvent, reason: str) -> None:
    event = parked_by_its_status(make_event)

    with pytest.raises(Refusal, match="Give a reason"):
        execute(event, token=plan(event).token, actor=MARTA, reason=reason)


@pytest.mark.parametrize("state", ["ready", "leased", "held"])
def test_what_is_worked_on_or_held_is_not_replayed(make_event: MakeEvent, state: str) -> None:
    event = make_event(state=state)

    with pytest.raises(Refusal, match=f"The event is {state}"):
        execute(event, token=plan(event).token, actor=MARTA, reason="Now")


def test_what_was_dismissed_can_be_replayed(make_event: MakeEvent, publish: Any) -> None:
    event = parked_by_its_status(make_event)
    dismiss(event, actor=MARTA, reason="A test of theirs")
    publish("invoice", "states.disputed", "open")

    execute(event, token=plan(event).token, actor=MARTA, reason="It was real")
    work_off()

    assert Record.objects.get().state == "open"


def test_what_was_read_for_a_comparison_is_asked_again_and_not_replayed(
    make_event: MakeEvent, connection: Connection
) -> None:
    run = Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, kind="reconcile", state="done",
        due_at=timezone.now(), asked_by="the tests",
    )  # fmt: skip
    event = make_event(run=run, source="check", state="done", path="")

    with pytest.raises(Refusal, match="Ask for a new check"):
        execute(event, token=plan(event).token, actor=MARTA, reason="Now")


def test_evidence_that_waits_does_not_wait_on_after_a_replay(make_event: MakeEvent) -> None:
    event = settled(make_event, "payment_intent.created", payment_object(customer="cus_0001"))
    Event.objects.update(due_at=timezone.now() + timedelta(hours=1))
    make_event(obj=customer_object("cus_0002"))

    execute(event, token=plan(event).token, actor=MARTA, reason="Look again")
    work_off()

    event.refresh_from_db()
    assert (event.state, event.tries, event.replays) == ("waiting", 1, 1)
