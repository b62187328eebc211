"""Messages are written with the transition that they tell, for those who want them, and hold nothing personal."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.canonical import KINDS
from integrations.configuration import subscriptions
from integrations.models import Connection, Delivery, Drift, Event, Message, Record, Run, RunKind, Tenant, Transition
from integrations.reconciliation import resolve
from integrations.workflow import messages
from integrations.workflow.process import process_batch
from tests.conftest import TESTER, connected, customer_object
from tests.outbox.conftest import Subscribed

pytestmark = pytest.mark.django_db

Change = Callable[..., Record]
Subscribe = Callable[..., Subscribed]


def test_evidence_that_changes_belief_is_told_in_its_own_transaction(
    subscribe: Subscribe, make_event: Callable[..., Event]
) -> None:
    subscribe()
    make_event()

    process_batch()

    message = Message.objects.get()
    assert message.topic == "customer.active"
    assert message.transition == Transition.objects.get()
    assert message.uid.startswith("msg_")
    assert Delivery.objects.get().message == message


def test_what_is_rolled_back_is_not_told(subscribe: Subscribe, change: Change) -> None:
    subscribe()

    with transaction.atomic():
        change()
        transaction.set_rollback(True)

    assert not Message.objects.exists()


def test_accepting_theirs_is_told_too(
    subscribe: Subscribe, make_event: Callable[..., Event], connection: Connection
) -> None:
    subscribe()
    make_event()
    process_batch()
    record, now = Record.objects.get(), timezone.now()
    run = Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, kind=RunKind.RECONCILE, state="done",
        due_at=now, asked_by="the tests",
    )  # fmt: skip
    drift = Drift.objects.create(
        run=run, tenant=connection.tenant, environment="test", connection=connection, record=record, kind="customer",
        resource="customer", external_id="cus_0001", field="name", ours="Halvorsen Marine AS", theirs="Halvorsen AS",
        first_seen_at=now, last_seen_at=now,
    )  # fmt: skip

    resolve.accept([drift], actor=TESTER, reason="They renamed")

    told = Message.objects.latest("id")
    assert (told.topic, told.payload["changed"], told.payload["cause"]) == (
        "customer.changed", ["name"], "reconciliation",
    )  # fmt: skip


def test_every_change_in_one_batch_is_told_with_the_values_of_its_time(
    subscribe: Subscribe, make_event: Callable[..., Event]
) -> None:
    subscribe()
    make_event(created=1_700_000_100, obj=customer_object(name="First"))
    make_event("customer.updated", created=1_700_000_200, obj=customer_object(name="Second"))

    process_batch()

    told = [message.payload["record"] for message in Message.objects.order_by("id")]
    assert [(each["version"], each["values"]["name"]) for each in told] == [(1, "First"), (2, "Second")]


def test_personal_fields_are_left_out(subscribe: Subscribe, make_event: Callable[..., Event]) -> None:
    subscribe()
    make_event()

    process_batch()

    assert "email" in Record.objects.get().data
    assert "halvorsen.example" not in str(Message.objects.get().payload)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_kind_tells_what_it_calls_sensitive(kind: str) -> None:
    data: dict[str, Any] = dict.fromkeys(KINDS[kind].fields, "write to ap@halvorsen.example")

    assert not messages.impersonal(kind, data)


@pytest.mark.parametrize(
    ("topics", "told"),
    [
        (("*",), True), (("invoice.*",), True), (("invoice.open",), True), (("customer.*", "invoice.open"), True),
        (("invoice.paid",), False), (("customer.*",), False), (("invoice.changed",), False),
    ],
)  # fmt: skip
def test_a_subscription_gets_the_topics_that_it_asked_for(
    topics: tuple[str, ...], told: bool, subscribe: Subscribe, change: Change
) -> None:
    subscribe(topics=topics)

    change(state="open")

    assert Delivery.objects.exists() is told


@pytest.mark.parametrize(
    ("before", "after", "topic"),
    [("", "open", "invoice.open"), ("open", "paid", "invoice.paid"), ("paid", "paid", "invoice.changed")],
)
def test_a_topic_is_the_kind_and_what_became_of_it(before: str, after: str, topic: str) -> None:
    assert messages.topic_of("invoice", before, after) == topic
    assert topic in messages.patterns()


def test_all_subscribers_are_told(subscribe: Subscribe, change: Change) -> None:
    subscribe("Warehouse")
    subscribe("Ledger")

    change()

    assert Delivery.objects.count() == 2
    assert Message.objects.count() == 1


def test_spaces_do_not_mix(subscribe: Subscribe, change: Change, other_tenant: Tenant, tenant: Tenant) -> None:
    subscribe()
    elsewhere = connected(other_tenant)
    live = connected(tenant, environment="live")

    for at in (elsewhere, live):
        record = Record(
            tenant=at.tenant, environment=at.environment, connection=at, kind="invoice", state="open", label="F-2",
            occurred_at=timezone.now(), created_at=timezone.now(), updated_at=timezone.now(),
        )  # fmt: skip
        record.save()
        row = Transition(record=record, version=1, to_state="open", occurred_at=timezone.now(), at=timezone.now())
        row.save()
        messages.tell([row], timezone.now())

    assert not Message.objects.exists()


def test_where_nobody_subscribes_it_costs_one_query(subscribe: Subscribe, change: Change) -> None:
    subscriptions.end(subscribe().row, actor=TESTER, reason="They left")
    record = change()
    row = record.transitions.get()
    row.record = record

    with CaptureQueriesContext(database) as queries:
        messages.tell([row] * 250, timezone.now())

    assert len(queries) == 1


def test_the_migration_only_adds() -> None:
    """It runs while the version before it still works."""
    steps = import_module("integrations.migrations.0005_outbox").Migration.operations

    assert {type(step).__name__ for step in steps} <= {"CreateModel", "AddField", "AddIndex", "AddConstraint"}
