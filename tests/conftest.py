"""The fixed cast and plain factories. PostgreSQL and Redis are real; see `tests/servers.py`."""

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import hypothesis
import pytest
from django.core.cache import cache
from django.db import connection as database
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test import Client, override_settings
from django.utils import timezone

from console.access import grant
from console.models import Role, User
from integrations.boundary.payloads import keep
from integrations.boundary.vault import seal
from integrations.configuration.connect import connect
from integrations.journal.actor import Actor
from integrations.models import Connection, Credential, CredentialState, Event, Record, Reference, Tenant
from integrations.workflow.belief import describe

if TYPE_CHECKING:
    from tests.fake_provider import Provider

# Whether a machine is busy is no rule of ours: what is generated slowly is still right or wrong.
hypothesis.settings.register_profile("steady", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("steady")

TESTER = Actor(None, "the tests")
WEBHOOK_SECRET = "whsec_of_the_tests_0001"
API_KEY = "sk_test_northwind0001"


def in_thread(act: Callable[[], object]) -> None:
    """Do something in a session of its own, as another process would; for a pool of threads."""
    try:
        act()
    finally:
        database.close()


def wait_until_in_the_way() -> None:
    """Return once another session waits for this one's transaction."""
    end = time.monotonic() + 10
    with database.cursor() as cursor:
        while time.monotonic() < end:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waited")


def triggers(act: str) -> str:
    """Return the statement that enables or disables what guards the journal, its partitions and its seals."""
    return f"""DO $$ DECLARE name regclass; BEGIN
        FOR name IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'integrations_journal'::regclass
                    UNION SELECT 'integrations_journal'::regclass UNION SELECT 'integrations_checkpoint'::regclass
        LOOP EXECUTE format('ALTER TABLE %s {act} TRIGGER USER', name); END LOOP; END $$"""


#: Migrations fill these and no test changes them.
STANDING = {"django_content_type", "auth_permission"}


def filled(tables: Iterable[str]) -> list[str]:
    """Return the tables that hold rows; most hold none after any one test."""
    names = sorted(set(tables) - STANDING)
    with database.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM \"{name}\")" for name in names))
        return [row[0] for row in cursor.fetchall()]


@pytest.fixture(scope="session", autouse=True)
def emptied_between_tests() -> Iterator[None]:
    """Let tests that commit empty the append-only tables after themselves, as only the owner of tables can.

    Rows are deleted and tables not truncated, and what migrations filled stays: ten times faster.
    """

    def sql_flush(self: DatabaseOperations, style: Any, tables: list[str], **_: Any) -> list[str]:
        return [triggers("DISABLE"), *(f'DELETE FROM "{name}"' for name in filled(tables)), triggers("ENABLE")]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", sql_flush)
        patch.setattr("django.core.management.commands.flush.emit_post_migrate_signal", lambda *_, **__: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Hash passwords fast: a slow hash is right for people and adds minutes to the tests."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(autouse=True)
def nobody_counted() -> None:
    """Forget how often was signed in and asked: the tests together would be slowed down like somebody who guesses."""
    cache.clear()


@pytest.fixture(autouse=True)
def quiet_broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Wake-up messages are counted and not sent, but in tests that run workers."""
    sent: list[str] = []
    if "browser" not in request.keywords and "fault" not in request.keywords:
        from celery import current_app

        monkeypatch.setattr(current_app, "send_task", lambda name, **_: sent.append(name))
    return sent


@pytest.fixture
def tenant(db: None) -> Tenant:
    return Tenant.objects.create(slug="northwind", name="Northwind Traders")


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    return Tenant.objects.create(slug="contoso", name="Contoso")


def connected(tenant: Tenant, name: str = "Stripe", *, environment: str = "test", **settings: Any) -> Connection:
    """Make a connection with an active API key and webhook secret."""
    made = connect(tenant, provider="stripe", name=name, environment=environment, values=settings, actor=TESTER)
    for purpose, secret in (("api_key", API_KEY), ("webhook_secret", WEBHOOK_SECRET)):
        Credential.objects.create(
            connection=made, purpose=purpose, version=1, state=CredentialState.ACTIVE,
            secret=seal(secret.encode()), hint=f"…{secret[-4:]}", created_by="the tests",
        )  # fmt: skip
    return made


@pytest.fixture
def connection(tenant: Tenant) -> Connection:
    return connected(tenant)


@pytest.fixture
def other_connection(other_tenant: Tenant) -> Connection:
    return connected(other_tenant)


def person(name: str, tenant: Tenant, *roles: str) -> User:
    """Make a person with roles at a tenant; the e-mail is name@tenant.example."""
    email = f"{name}@{tenant.slug}.example"
    user = User.objects.create_user(username=email, email=email, password="right horse", first_name=name.title())
    for role in roles:
        grant(user, role, tenant, by="the tests")
    return user


@pytest.fixture
def support(tenant: Tenant) -> User:
    return person("support", tenant, Role.SUPPORT)


@pytest.fixture
def operations(tenant: Tenant) -> User:
    return person("operations", tenant, Role.OPERATIONS)


@pytest.fixture
def finance(tenant: Tenant) -> User:
    return person("finance", tenant, Role.FINANCE)


@pytest.fixture
def engineer(tenant: Tenant) -> User:
    return person("engineer", tenant, Role.ENGINEER)


@pytest.fixture
def auditor(tenant: Tenant) -> User:
    return person("auditor", tenant, Role.AUDITOR)


@pytest.fixture
def administrator(tenant: Tenant) -> User:
    return person("administrator", tenant, Role.ADMINISTRATOR)


@pytest.fixture
def stranger(other_tenant: Tenant) -> User:
    return person("stranger", other_tenant, Role.SUPPORT, Role.OPERATIONS, Role.ENGINEER)


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """Return a client that has signed in as a person."""

    def make(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return make


_numbers = itertools.count(1)


@pytest.fixture
def make_record(connection: Connection) -> Callable[..., Record]:
    """Return a factory of records with one reference; data and fields by keyword."""

    def make(
        kind: str = "customer",
        *,
        external_id: str = "",
        data: dict[str, Any] | None = None,
        on: Connection | None = None,
        **fields: Any,
    ) -> Record:
        number, at = next(_numbers), on or connection
        external_id = external_id or f"{kind[:3]}_{number:06}"
        resource = "payment_intent" if kind == "payment" else kind
        now = timezone.now()
        defaults = {"customer": "active", "invoice": "open", "payment": "succeeded", "refund": "succeeded"}
        record = Record(
            tenant=at.tenant,
            environment=at.environment,
            connection=at,
            kind=kind,
            occurred_at=now,
            created_at=now,
            data=data or {"name": f"Customer {number}"},
            **({"state": defaults[kind]} | fields),
        )
        describe(record, external_id, now)
        record.save()
        Reference.objects.create(
            record=record, connection=at, resource=resource, external_id=external_id, seen_at=now, checked_at=now
        )
        return record

    return make


def customer_object(external_id: str = "cus_0001", **fields: Any) -> dict[str, Any]:
    """Return a customer in Stripe's shape."""
    return {
        "id": external_id, "object": "customer", "created": 1_700_000_000, "name": "Halvorsen Marine AS",
        "email": "ap@halvorsen.example", "currency": "eur", "livemode": False,
    } | fields  # fmt: skip


def webhook_body(event_type: str, obj: dict[str, Any], *, event_id: str = "", created: int | None = None) -> bytes:
    """Return the body of a webhook in Stripe's shape."""
    event = {
        "id": event_id or f"evt_{next(_numbers):08}",
        "object": "event",
        "type": event_type,
        "created": created if created is not None else int(time.time()),
        "data": {"object": obj},
        "livemode": False,
    }
    return json.dumps(event).encode()


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET, at: int | None = None) -> dict[str, str]:
    """Return the headers of a webhook with a signature by Stripe's scheme."""
    moment = int(time.time()) if at is None else at
    mac = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={moment},v1={mac}", "content-type": "application/json"}


@pytest.fixture
def make_event(connection: Connection) -> Callable[..., Event]:
    """Return a factory of webhook events that are kept and ready; `body` or `obj` says what they carry."""

    def make(
        event_type: str = "customer.created",
        obj: dict[str, Any] | None = None,
        *,
        body: bytes | None = None,
        created: int | None = None,
        event_id: str = "",
        on: Connection | None = None,
        **fields: Any,
    ) -> Event:
        from integrations.boundary.gates import load_gate
        from integrations.boundary.receive import read_envelope

        at, now = on or connection, datetime.now(UTC)
        obj = obj if obj is not None else customer_object()
        body = body if body is not None else webhook_body(event_type, obj, created=created, event_id=event_id)
        gate = load_gate(at.public_id)
        assert gate
        (item,) = read_envelope(gate, body, now)
        kept = keep(connection_id=at.pk, source="webhook", body=body, headers={}, at=now)
        defaults: dict[str, Any] = {
            "source": "webhook", "provider_event_id": item.event_id, "event_type": item.event_type,
            "resource": item.resource, "external_id": item.external_id, "occurred_at": item.occurred_at,
            "deleted": item.deleted, "path": item.path, "received_at": now, "due_at": now - timedelta(minutes=1),
        }  # fmt: skip
        return Event.objects.create(
            tenant=at.tenant, environment=at.environment, connection=at,
            payload_id=kept.id, payload_at=kept.at, **(defaults | fields),
        )  # fmt: skip

    return make


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> "Iterator[Provider]":
    """A provider that answers whatever the engine asks over HTTP."""
    from tests.fake_provider import Provider

    made = Provider()
    with httpx.Client(transport=httpx.MockTransport(made)) as client:
        monkeypatch.setattr("integrations.boundary.client.http", lambda: client)
        yield made


@pytest.fixture
def clean_caches() -> Iterator[None]:
    """Forget mapping documents that a rolled back test may have left."""
    from integrations.configuration import mappings

    yield
    mappings._load.cache_clear()
