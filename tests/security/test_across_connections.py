"""Where a record of one connection has evidence, commands and differences at another, each side shows its own alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.access import grant
from console.models import Role, User
from integrations.boundary.payloads import keep
from integrations.failures import grouping
from integrations.failures.categories import Category, Fault
from integrations.journal.write import Entry, write
from integrations.models import (
    Command,
    Connection,
    Drift,
    Event,
    JournalEntry,
    Lane,
    Problem,
    Record,
    Run,
    RunKind,
    Tenant,
    WorkState,
)
from tests.conftest import customer_object, webhook_body
from tests.test_urls import LINES, methods, objects_of, request_of
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]

#: Of the record and its connection, and of what the other connection holds about it.
SOURCE = ("Sourcelabel", "Sourcecustomer", "Sourcename")
TARGET = ("Targetname", "target.event", "evt_target", "tgt_0001", "Said by the target", "op_target")
LISTS = {
    "overview": [""],
    "records": ["", "?view=all", "?q=tgt_0001"],
    "problems": ["", "?state=resolved"],
    "events": ["", "?q=tgt_0001", "?state=parked&state=done"],
    "commands": ["", "?record={record}", "?state=parked"],
    "drift": ["", "?status=open"],
    "drift_runs": [""],
    "connections": [""],
    "mappings": [""],
    "subscriptions": [""],
    "subscription_deliveries": ["", "?record={record}"],
    "audit": ["", "?view=all", "?record={record}"],
}


@dataclass
class Across:
    """A record of `source` with one of everything about it at `target`."""

    tenant: Tenant
    source: Connection
    target: Connection
    record: Record
    world: World


@pytest.fixture
def across(tenant: Tenant) -> Across:
    world = make_world(tenant)
    source, record = world.objects["connection"], world.objects["record"]
    target = world.objects["books"]
    Connection.objects.filter(pk=source.pk).update(name="Sourcename")
    Connection.objects.filter(pk=target.pk).update(name="Targetname")
    world.objects["scan"].delete()
    customer = Record.objects.create(
        tenant=tenant, environment="test", connection=source, kind="customer", state="active",
        label="Sourcecustomer", occurred_at=timezone.now(), created_at=timezone.now(), updated_at=timezone.now(),
    )  # fmt: skip
    Record.objects.filter(pk=record.pk).update(
        label="Sourcelabel", kind="invoice", customer=customer, currency="EUR", amount=481250,
        stuck_since=timezone.now(), stuck_category=Category.UNKNOWN,
    )  # fmt: skip
    record.refresh_from_db()
    target.refresh_from_db()
    return Across(tenant, source, target, record, World(tenant, _at(target, record)))


def _at(target: Connection, record: Record) -> dict[str, Any]:
    """Make evidence, a command, failures, a difference and journal lines about `record` at `target`."""
    here: dict[str, Any] = {"tenant": target.tenant, "environment": target.environment, "connection": target}
    now = timezone.now()
    body = webhook_body("target.event", customer_object("tgt_0001"), event_id="evt_target")
    kept = keep(connection_id=target.pk, source="webhook", body=body, headers={}, at=now)
    event = Event.objects.create(
        source="webhook", provider_event_id="evt_target", event_type="target.event", resource="invoice",
        external_id="tgt_0001", occurred_at=now, received_at=now, due_at=now, payload_id=kept.id, payload_at=kept.at,
        state=WorkState.PARKED, record=record, redelivered=7, **here,
    )  # fmt: skip
    command = Command.objects.create(
        record=record, record_version=1, operation_id="op_target", content_hash=b"2" * 32, action="invoice.create",
        transition=record.transitions.get(), resource="invoice", external_id="tgt_0001", summary="Create an invoice",
        state=WorkState.PARKED, asked_by="the tests", due_at=now, **here,
    )  # fmt: skip
    run = Run.objects.create(kind=RunKind.RECONCILE, state=WorkState.DONE, due_at=now, asked_by="the tests", **here)
    fault = Fault(Category.UNKNOWN, "nobody_knows", "Said by the target")
    grouping.note([grouping.Failed(fault, target, event=event, record=record, resource="invoice")])
    grouping.note([grouping.Failed(fault, target, command=command, record=record, resource="invoice")])
    drift = Drift.objects.create(
        record=record, kind="invoice", resource="invoice", external_id="tgt_0001", field="total", ours=11_900,
        theirs=9_900, run=run, evidence=event, first_seen_at=now, last_seen_at=now, **here,
    )  # fmt: skip
    said: dict[str, Any] = {
        "tenant_id": target.tenant_id, "environment": "test", "connection_id": target.pk, "lane": Lane.EVENTS,
        "action": "event.decided", "summary": "Said by the target",
    }  # fmt: skip
    write([Entry(**said, subject_type="event", subject_id=event.pk)])
    write([Entry(**said, record_id=record.pk)])
    lines = JournalEntry.objects.filter(summary="Said by the target").order_by("id")
    return {
        "connection": target, "books": target, "record": record, "event": event, "command": command, "check": run,
        "drift": drift, "problem": Problem.objects.get(connection=target), "entry": lines[0],
    }  # fmt: skip


@pytest.fixture
def somebody() -> User:
    return User.objects.create_user(username="some@body.example", email="some@body.example", password="right horse")


def give(user: User, across: Across, connection: Connection) -> None:
    for role in Role.values:
        if role != Role.ADMINISTRATOR:
            grant(user, role, across.tenant, by="the tests", connection=connection)


def texts(client: Client, across: Across) -> dict[str, str]:
    """Return what every page says that is a list, or that objects of the target name."""
    found = {}
    for name, queries in LISTS.items():
        for query in queries:
            url = reverse(name, args=["northwind", "test"]) + query.format(record=across.record.pk)
            found[f"{name}{query}"] = client.get(url).content.decode()
    for name, line in LINES.items():
        if objects_of(line) and all(what in across.world.objects for _, what in objects_of(line)):
            for method, _ in methods(line):
                path, data = request_of(name, across.world)
                with transaction.atomic():
                    ask = client.get if method == "GET" else client.post
                    answer = ask(path, data if method == "GET" else data | {"reason": "To see"}, follow=True)
                    found[f"{method} {name}"] = read(answer)
                    transaction.set_rollback(True)
    return found


def read(answer: Any) -> str:
    content = answer.getvalue() if answer.streaming else answer.content
    text: str = content.decode()
    return text


def leaks(found: dict[str, str], words: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(page, word) for page, text in found.items() for word in words if word in text]


def test_who_sees_the_record_alone_is_told_nothing_of_the_other_connection(
    across: Across, somebody: User, client_of: ClientOf
) -> None:
    give(somebody, across, across.source)

    found = texts(client_of(somebody), across)

    assert "Sourcelabel" in found["GET record"]
    # A search is written where it was asked for.
    assert leaks({page: text for page, text in found.items() if "q=" not in page}, TARGET) == []
    assert "delivered again" not in found["GET record"]


def test_who_sees_the_other_connection_alone_is_told_nothing_of_the_record(
    across: Across, somebody: User, client_of: ClientOf
) -> None:
    give(somebody, across, across.target)

    found = texts(client_of(somebody), across)

    for page in ("GET event", "GET command", "GET problem", "drift", "events", "commands"):
        assert "Targetname" in found[page], page
    assert leaks(found, SOURCE) == []


def test_who_sees_both_is_told_of_both(across: Across, somebody: User, client_of: ClientOf) -> None:
    give(somebody, across, across.source)
    give(somebody, across, across.target)

    found = texts(client_of(somebody), across)

    for page in ("GET event", "GET command", "GET problem", "drift", "events", "commands"):
        assert "Sourcelabel" in found[page], page
    for word in ("Said by the target", "target.event"):
        assert word in found["GET record"], word


def test_nobody_sends_a_record_that_they_do_not_see(across: Across, somebody: User, client_of: ClientOf) -> None:
    give(somebody, across, across.target)
    client, (push, data) = client_of(somebody), request_of("drift_push", across.world)

    assert client.get(push, data).status_code == 403
    assert client.post(push, data | {"reason": "Ours is right"}).status_code == 403
    assert "Send ours" not in client.get(reverse("drift", args=["northwind", "test"])).content.decode()


@pytest.mark.parametrize("name", ["drift_report", "audit_exports"])
def test_a_file_names_no_record_that_one_may_not_see(
    name: str, across: Across, somebody: User, client_of: ClientOf
) -> None:
    give(somebody, across, across.target)

    answer = client_of(somebody).post(
        reverse(name, args=["northwind", "test"]) + "?view=all", {"reason": "The month", "format": "csv"}
    )
    text = read(answer)

    assert "Targetname" in text
    assert [word for word in SOURCE if word in text] == []
    if name == "drift_report":
        assert "119.00" in text
