"""One of everything that addresses can name, at one tenant."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from console.models import Role
from console.tokens import keys
from integrations.boundary.payloads import keep
from integrations.boundary.vault import seal
from integrations.configuration.connect import connect
from integrations.failures import grouping
from integrations.failures.categories import Category, Fault
from integrations.journal.write import Entry, write
from integrations.models import (
    Attempt,
    AttemptState,
    Command,
    Connection,
    Copy,
    CopyState,
    Credential,
    CredentialState,
    Delivery,
    Drift,
    Event,
    Export,
    JournalEntry,
    Lane,
    Mapping,
    Message,
    Outcome,
    Problem,
    Record,
    Reference,
    Route,
    Run,
    RunKind,
    SecretState,
    SigningSecret,
    Stream,
    Subscription,
    Tenant,
    Transition,
    WorkState,
)
from tests.conftest import TESTER, connected, customer_object, person, webhook_body


@dataclass
class World:
    """What `make_world` made, by the names that `tests/test_urls.py` uses."""

    tenant: Tenant
    objects: dict[str, Any]

    def value(self, what: str) -> Any:
        """Return the id of an object, or a word that stands in quotes."""
        return what.strip('"') if what.startswith('"') else self.objects[what].pk


def make_world(tenant: Tenant) -> World:
    """Make a connection with a record, its parked event, a problem, a check with a difference, a command, and so on."""
    connection = connected(tenant)
    record = _record(connection)
    event = _event(connection, record)
    grouping.note([grouping.Failed(UNNAMED, connection, event=event, record=record, resource="customer")])
    user = person("somebody", tenant, Role.SUPPORT)
    check = _run(connection, RunKind.RECONCILE, WorkState.WAITING)
    made = {
        "connection": connection,
        **_exported(connection, record),
        "command": _command(connection, record),
        "stream": Stream.objects.get(connection=connection, resource="customer"),
        "record": record,
        "event": event,
        "problem": Problem.objects.get(connection=connection),
        "entry": _entry(connection, record),
        "check": check,
        "run": _run(connection, RunKind.RESYNC, WorkState.WAITING),
        "scan": _scan(connection),
        "drift": _drift(connection, record, check, event),
        "mapping": Mapping.objects.get(connection=connection, resource="customer"),
        "pending": _credential(connection, 2, CredentialState.PENDING),
        "retiring": _credential(connection, 3, CredentialState.RETIRING),
        "token": keys.make(user, tenant, connection.environment, name="program", actor=TESTER)[0],
        "export": _export(connection),
        **_told(connection, record),
        "person": user,
        "grant": user.grants.get(),
    }
    return World(tenant, made)


UNNAMED = Fault(Category.UNKNOWN, "nobody_knows", "Nobody knows what this is")


def _record(connection: Connection) -> Record:
    now = timezone.now()
    record = Record.objects.create(
        tenant=connection.tenant, environment=connection.environment, connection=connection, kind="customer",
        state="active", data={"name": "Halvorsen Marine AS"}, label="Halvorsen Marine AS", occurred_at=now,
        created_at=now, updated_at=now, open_drift=1,
    )  # fmt: skip
    Reference.objects.create(
        record=record, connection=connection, resource="customer", external_id="cus_0001", seen_at=now, checked_at=now
    )
    Transition.objects.create(record=record, version=1, to_state="active", cause="event", occurred_at=now, at=now)
    return record


def _event(connection: Connection, record: Record) -> Event:
    now = timezone.now()
    body = webhook_body("customer.updated", customer_object("cus_0001"), event_id="evt_world")
    kept = keep(connection_id=connection.pk, source="webhook", body=body, headers={}, at=now)
    return Event.objects.create(
        tenant=connection.tenant, environment=connection.environment, connection=connection, source="webhook",
        provider_event_id="evt_world", event_type="customer.updated", resource="customer", external_id="cus_0001",
        occurred_at=now, received_at=now, due_at=now, payload_id=kept.id, payload_at=kept.at, path="/data/object",
        state=WorkState.PARKED, category=Category.UNKNOWN, tries=3, record=record,
    )  # fmt: skip


def _command(connection: Connection, record: Record) -> Command:
    """Make a command whose outcome is unknown, with the try that nobody answered."""
    now = timezone.now()
    body = b'{"email": "ap@halvorsen.example", "amount": 481250}'
    kept = keep(connection_id=connection.pk, source="command", body=body, headers={}, at=now)
    command = Command.objects.create(
        tenant=connection.tenant, environment=connection.environment, connection=connection, record=record,
        operation_id="op_world", content_hash=b"1" * 32, action="refund.create", resource="refund",
        content={"payment": "pi_0001", "amount": 481250, "reason": "ap@halvorsen.example asked"},
        summary="Refund €4,812.50",
        outcome=Outcome.UNKNOWN, state=WorkState.PARKED, category=Category.TIMEOUT, tries=8, asked_by="the tests",
        due_at=now, sent_at=now, key="op_world", key_since=now, request_id=kept.id, request_at=kept.at,
    )  # fmt: skip
    Attempt.objects.create(
        connection=connection, command=command, method="POST", url="https://api.stripe.example/v1/refunds",
        key="op_world", state=AttemptState.NO_ANSWER, category=Category.TIMEOUT, message="No answer within 20 s",
        request_id=kept.id, request_at=kept.at, started_at=now, finished_at=now,
    )  # fmt: skip
    return command


def _run(connection: Connection, kind: str, state: str) -> Run:
    return Run.objects.create(
        tenant=connection.tenant, environment=connection.environment, connection=connection, kind=kind, state=state,
        targets=[["customer", "cus_0001"]], due_at=timezone.now(), asked_by="the tests",
    )  # fmt: skip


def _scan(connection: Connection) -> Run:
    stream = Stream.objects.get(connection=connection, resource="customer")
    return Run.objects.create(
        tenant=connection.tenant, environment=connection.environment, connection=connection, stream=stream,
        kind=RunKind.SCAN, state=WorkState.PARKED, category=Category.BUSINESS, due_at=timezone.now(),
        asked_by="the tests", listed_at=timezone.now(), started_at=timezone.now(), held=40, missing=25,
    )  # fmt: skip


def _drift(connection: Connection, record: Record, run: Run, event: Event) -> Drift:
    now = timezone.now()
    return Drift.objects.create(
        tenant=connection.tenant, environment=connection.environment, connection=connection, record=record,
        kind="customer", resource="customer", external_id="cus_0001", field="name", ours="Halvorsen Marine AS",
        theirs="Halvorsen Offshore AS", evidence=event, run=run, first_seen_at=now, last_seen_at=now,
    )  # fmt: skip


def _credential(connection: Connection, version: int, state: str) -> Credential:
    return Credential.objects.create(
        connection=connection, purpose="webhook_secret", version=version, state=state,
        secret=seal(b"whsec_of_the_world"), hint="…orld", created_by="the tests",
        retire_at=timezone.now() + timedelta(hours=1) if state == CredentialState.RETIRING else None,
    )  # fmt: skip


def _entry(connection: Connection, record: Record) -> JournalEntry:
    entry = Entry(
        tenant_id=connection.tenant_id, environment=connection.environment, connection_id=connection.pk,
        record_id=record.pk, lane=Lane.PEOPLE, action="record.noted", summary="The tests noted something",
    )  # fmt: skip
    write([entry])
    return JournalEntry.objects.filter(connection_id=connection.pk, action="record.noted").latest("id")


def _exported(connection: Connection, record: Record) -> dict[str, Any]:
    """Make a second connection, a route there, and a copy of the record that needs a person."""
    values = {"tenant_id": "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f", "client_id": "0123456789ABCDEF"}
    books = connect(
        connection.tenant, provider="xero", name="Books", environment=connection.environment, values=values,
        actor=TESTER,
    )  # fmt: skip
    route = Route.objects.create(
        tenant=connection.tenant, environment=connection.environment, source=connection, target=books,
        kinds=["customer"], made_by="the tests",
    )  # fmt: skip
    copy = Copy.objects.create(
        tenant=connection.tenant, environment=connection.environment, route=route, record=record, connection=books,
        state=CopyState.STOPPED, reason="The books refused it", due_at=timezone.now(),
    )  # fmt: skip
    return {"books": books, "route": route, "copy": copy}


def _export(connection: Connection) -> Export:
    return Export.objects.create(
        tenant=connection.tenant, environment=connection.environment, format="csv", asked_by_id=1,
        asked_by="the tests", reason="To be named in an address", complete=True, at=timezone.now(),
    )  # fmt: skip


def _told(connection: Connection, record: Record) -> dict[str, Any]:
    """Make a subscription with a secret that retires, and a delivery that parked."""
    space: dict[str, Any] = {"tenant": connection.tenant, "environment": connection.environment}
    now = timezone.now()
    subscription = Subscription.objects.create(
        name="Warehouse", url="https://warehouse.example/hooks", topics=["*"], created_by="the tests", **space
    )
    secret = SigningSecret.objects.create(
        subscription=subscription, version=1, state=SecretState.RETIRING, secret=seal(b"whsec_b2xk"), hint="…b2xk",
        created_by="the tests", retire_at=now + timedelta(hours=1),
    )  # fmt: skip
    message = Message.objects.create(
        connection=connection, record=record, transition=record.transitions.get(), uid=f"msg_world_{connection.pk}",
        topic="customer.active", payload={"record": {"id": record.pk, "version": 1}}, created_at=now, **space,
    )  # fmt: skip
    delivery = Delivery.objects.create(
        message=message, subscription=subscription, connection=connection, record=record, state=WorkState.PARKED,
        due_at=now, created_at=now, tries=8, category=Category.OUTAGE, status=500, **space,
    )  # fmt: skip
    return {"subscription": subscription, "signing_secret": secret, "delivery": delivery}
