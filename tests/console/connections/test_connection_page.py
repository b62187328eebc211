from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from console.models import User
from integrations.models import Attempt, Connection, Credential, Event, Run, Stream
from tests.conftest import API_KEY, WEBHOOK_SECRET, connected

pytestmark = pytest.mark.django_db
At = Callable[..., str]


@pytest.fixture
def run(connection: Connection, stream: Stream) -> Run:
    return Run.objects.create(
        tenant=connection.tenant, environment=connection.environment, connection=connection, stream=stream,
        kind="resync", state="leased", due_at=timezone.now(), asked_by="Priya", pages=3, items=300,
    )  # fmt: skip


@pytest.mark.parametrize("role", ["support", "operations", "finance", "engineer", "auditor"])
def test_everybody_who_sees_records_sees_the_connections(
    role: str, request: Any, connection: Connection, at: At, client_of: Any
) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.get(at("connections")).status_code == 200
    assert client.get(at("connection", connection.pk)).status_code == 200


def test_an_administrator_sees_none(connection: Connection, at: At, client_of: Any, administrator: User) -> None:
    client = client_of(administrator)

    assert client.get(at("connections")).status_code == 403
    assert client.get(at("connection", connection.pk)).status_code == 403


def test_a_stranger_learns_nothing(connection: Connection, at: At, client_of: Any, stranger: User) -> None:
    assert client_of(stranger).get(at("connection", connection.pk)).status_code == 404


def test_the_connection_of_another_tenant_is_not_there(
    other_connection: Connection, connection: Connection, at: At, client_of: Any, engineer: User
) -> None:
    client = client_of(engineer)

    assert client.get(at("connection", other_connection.pk)).status_code == 404
    assert client.get(at("connection_pause", other_connection.pk)).status_code == 404


def test_live_is_not_shown_in_test(tenant: Any, connection: Connection, at: At, client_of: Any, support: User) -> None:
    live = connected(tenant, "Stripe live", environment="live")

    assert client_of(support).get(at("connection", live.pk)).status_code == 404


def test_it_shows_where_webhooks_go(connection: Connection, at: At, client_of: Any, support: User) -> None:
    page = client_of(support).get(at("connection", connection.pk)).content.decode()

    assert f"/hooks/{connection.public_id}/" in page


def test_no_secret_is_ever_in_it(connection: Connection, at: At, client_of: Any, engineer: User) -> None:
    client = client_of(engineer)
    names = ("connection", "connection_secrets", "connection_settings")

    pages = "".join(client.get(at(name, connection.pk)).content.decode() for name in names)

    assert "…0001" in pages
    assert API_KEY not in pages
    assert WEBHOOK_SECRET not in pages


def test_it_asks_for_itself_again_only_while_something_runs(
    connection: Connection, at: At, client_of: Any, support: User, stream: Stream
) -> None:
    client = client_of(support)
    still = client.get(at("connection_streams", connection.pk)).content.decode()

    Run.objects.create(
        tenant=connection.tenant, environment=connection.environment, connection=connection, stream=stream,
        kind="resync", state="leased", due_at=timezone.now(), asked_by="Priya",
    )  # fmt: skip
    moving = client.get(at("connection_streams", connection.pk)).content.decode()

    assert "every 2s" not in still
    assert "every 2s" in moving


def test_it_says_how_far_a_run_is(connection: Connection, at: At, client_of: Any, support: User, run: Run) -> None:
    page = client_of(support).get(at("connection", connection.pk)).content.decode()

    assert f"R-{run.pk}: 3 pages, 300 objects" in page


def test_what_the_provider_sent_is_escaped(connection: Connection, at: At, client_of: Any, support: User) -> None:
    Attempt.objects.create(
        connection=connection, method="GET", url="https://x.example/<script>alert(1)</script>",
        started_at=timezone.now(), category="unknown",
    )  # fmt: skip

    page = client_of(support).get(at("connection", connection.pk)).content.decode()

    assert "<script>alert" not in page


def test_the_number_of_queries_does_not_grow(
    connection: Connection, at: At, client_of: Any, engineer: User, django_assert_max_num_queries: Any,
    make_event: Callable[..., Event], stream: Stream,
) -> None:  # fmt: skip
    client = client_of(engineer)
    now = timezone.now()
    for number in range(12):
        made = Run.objects.create(
            tenant=connection.tenant, environment=connection.environment, connection=connection, stream=stream,
            kind="resync", state="done", due_at=now, asked_by="Priya", finished_at=now, started_at=now,
        )  # fmt: skip
        Attempt.objects.create(connection=connection, run=made, method="GET", url="https://x/", started_at=now)
        Credential.objects.create(
            connection=connection, purpose="api_key", version=2 + number, state="revoked", secret=b"", hint="…",
            created_by="Priya",
        )  # fmt: skip
        connection.settings = {**connection.settings, "page_size": number + 1}
        connection.save()
    make_event()

    with django_assert_max_num_queries(28):
        client.get(at("connection", connection.pk))


def test_the_list_says_which_needs_somebody(connection: Connection, at: At, client_of: Any, support: User) -> None:
    Stream.objects.filter(connection=connection).update(
        first_sync_done_at=timezone.now() - timedelta(days=2), last_success_at=timezone.now() - timedelta(days=1)
    )

    page = client_of(support).get(at("connections")).content.decode()

    assert "One connection needs someone" in page


def test_an_empty_environment_says_what_will_fill_it(connection: Connection, client_of: Any, support: User) -> None:
    page = client_of(support).get(reverse("connections", args=["northwind", "live"])).content.decode()

    assert "No connection in this environment" in page


def test_a_connection_without_an_accepted_key_says_that_it_needs_one(
    connection: Connection, at: At, client_of: Any, engineer: User
) -> None:
    Credential.objects.filter(connection=connection).update(state="revoked", failure="Stripe says no")
    Stream.objects.filter(connection=connection).update(first_sync_done_at=None)

    page = client_of(engineer).get(at("connection", connection.pk)).content.decode()

    assert "no API key is accepted, so nothing is read" in page
    assert "needs someone" in page
    assert "Nothing is read yet." in page
    assert "first sync</span>" not in page
    assert "Run 5 streams now" not in page
