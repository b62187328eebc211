"""Secrets go to the address that they were given for, and requests leave our own network."""

from typing import Any

import pytest
from django.utils import timezone

from console.models import User
from integrations.boundary.gates import load_gate
from integrations.configuration.connect import connect
from integrations.configuration.reach import access_of
from integrations.configuration.settings import BadSettings, change, destinations, is_inside
from integrations.models import Connection, Credential, Event, Reference, Tenant
from integrations.providers import PROVIDERS
from integrations.workflow.commands import submit
from tests.conftest import API_KEY, TESTER, WEBHOOK_SECRET

pytestmark = pytest.mark.django_db


def test_nobody_leads_a_secret_to_an_address_of_theirs(connection: Connection, engineer: User, client_of: Any) -> None:
    """The API key is written once and read by nobody, also not by whom it would be sent to."""
    before = connection.settings

    answer = client_of(engineer).post(
        f"/northwind/test/connections/{connection.pk}/settings/",
        before | {"api_base": "https://collect.evil.example", "account": "x", "reason": "A proxy"},
    )

    connection.refresh_from_db()
    assert answer.status_code == 422
    assert "go to no other" in answer.content.decode()
    assert connection.settings == before


def test_what_leads_nothing_away_is_changed_as_ever(connection: Connection) -> None:
    change(connection, values={"page_size": 7}, actor=TESTER, reason="Smaller pages")

    connection.refresh_from_db()
    assert connection.settings["page_size"] == 7


def test_without_secrets_the_address_may_change(connection: Connection) -> None:
    Credential.objects.update(state="revoked")

    change(connection, values={"api_base": "https://api.example.com"}, actor=TESTER, reason="Typed wrongly")

    connection.refresh_from_db()
    assert connection.settings["api_base"] == "https://api.example.com"


ORGANISATION, ANOTHER = "1a2b3c4d-0000-4000-8000-000000000001", "1a2b3c4d-0000-4000-8000-000000000002"


@pytest.fixture
def books(tenant: Tenant) -> Connection:
    """A connection whose settings say whose account it is; nothing came of it yet."""
    values = {"tenant_id": ORGANISATION, "client_id": "an-app-of-ours"}
    return connect(tenant, provider="xero", name="Books", environment="test", values=values, actor=TESTER)


@pytest.mark.parametrize("came", ["reference", "command", "evidence"])
def test_once_anything_came_of_an_account_nobody_leads_it_to_another(
    books: Connection, engineer: User, client_of: Any, make_record: Any, came: str
) -> None:
    """What is in doubt would be done there too, and what is known by its id is not there."""
    if came == "reference":
        Reference.objects.create(
            record=make_record("customer"), connection=books, resource="contact", external_id="c-1",
            seen_at=timezone.now(), checked_at=timezone.now(),
        )  # fmt: skip
    elif came == "command":
        submit(books, action="contact.create", content={"name": "Halvorsen"}, actor=TESTER)
    else:
        Event.objects.create(
            tenant=books.tenant, environment="test", connection=books, source="page", provider_event_id="1",
            event_type="contact as it is", resource="contact", external_id="c-1", occurred_at=timezone.now(),
            received_at=timezone.now(), due_at=timezone.now(), payload_id=1, payload_at=timezone.now(),
        )  # fmt: skip

    answer = client_of(engineer).post(
        f"/northwind/test/connections/{books.pk}/settings/",
        books.settings | {"tenant_id": ANOTHER, "reason": "We moved"},
    )

    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Connect the provider anew for another" in page[page.index("tenant_id") :]
    books.refresh_from_db()
    assert books.settings["tenant_id"] == ORGANISATION


def test_before_anything_came_of_it_a_wrong_account_is_corrected(books: Connection) -> None:
    Connection.objects.update(account=ORGANISATION)

    change(books, values={"tenant_id": ANOTHER}, actor=TESTER, reason="Typed wrongly")

    books.refresh_from_db()
    assert (books.settings["tenant_id"], books.account) == (ANOTHER, "")


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_provider_says_where_secrets_go(provider: str) -> None:
    assert destinations(provider)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:6379", "http://localhost:8500", "http://[::1]:80", "https://10.0.0.8", "https://192.168.1.1",
        "https://169.254.169.254", "https://metadata.google.internal", "https://vault", "https://[fd00::1]", "https://0.0.0.0",
        "https://localhost.", "https://2130706433",
    ],
)  # fmt: skip
def test_in_earnest_no_provider_is_inside_our_network(address: str, tenant: Tenant, settings: Any) -> None:
    settings.PROVIDERS_INSIDE = False

    with pytest.raises(BadSettings):
        connect(tenant, provider="stripe", name="X", environment="live", values={"api_base": address}, actor=TESTER)


def test_providers_outside_are_connected(tenant: Tenant, settings: Any) -> None:
    settings.PROVIDERS_INSIDE = False

    connect(tenant, provider="stripe", name="X", environment="live", values={}, actor=TESTER)

    assert not is_inside("https://api.stripe.com")


def test_no_representation_holds_a_secret(connection: Connection) -> None:
    """Representations end in logs and tracebacks."""
    credential = Credential.objects.filter(connection=connection).first()
    told = f"{access_of(connection)!r} {load_gate(connection.public_id)!r} {credential!r} {connection!r}"

    assert API_KEY not in told
    assert WEBHOOK_SECRET not in told
