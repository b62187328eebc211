from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.failures import grouping
from integrations.failures.categories import Category, Fault
from integrations.health import rates
from integrations.journal.actor import Actor
from integrations.journal.write import Entry, write
from integrations.models import Breaker, Connection, Stream, Tenant, WorkState
from integrations.workflow import pause
from tests.conftest import connected

URL = "/northwind/test/"
SCRIPT = "<script>alert(1)</script>"
MAPPING = Fault(Category.MAPPING, "missing:tax", "tax has no value")
WAITS = Fault(Category.TIMEOUT, "timeout", "No answer within 20 s")


@pytest.fixture(autouse=True)
def fresh(connection: Connection) -> None:
    """All data is a minute old."""
    now = timezone.now()
    Stream.objects.update(first_sync_done_at=now, last_success_at=now - timedelta(minutes=1))


@pytest.fixture
def fail(connection: Connection, make_event: Any) -> Any:
    """Return a function that parks an event by a fault."""

    def make(fault: Fault, *, on: Connection | None = None, state: str = WorkState.PARKED) -> None:
        at = on or connection
        event = make_event(on=at, state=state, category=fault.category)
        grouping.note([grouping.Failed(fault, at, event=event, resource="invoice")])

    return make


def page(client: Client, **headers: str) -> str:
    answer = client.get(URL, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_says_that_everything_moves(client_of: Any, support: Any, connection: Connection) -> None:
    rates.count({connection.pk: rates.Count(done=41, applied=7)}, timezone.now())

    shown = page(client_of(support))

    assert "<h1>Everything moves</h1>" in shown
    assert "41 events went through in the last hour. Nothing waits for a person." in shown
    assert "of 41 done" in shown


def test_it_says_which_connection_needs_whom(client_of: Any, support: Any, fail: Any) -> None:
    fail(MAPPING)

    shown = page(client_of(support))

    assert "<h1>One connection needs someone</h1>" in shown
    assert "Stripe: 1 problem waits for engineers, 1 event parked. Nothing is lost." in shown


def test_what_the_engine_handles_needs_nobody(client_of: Any, support: Any, fail: Any) -> None:
    fail(WAITS, state=WorkState.WAITING)

    shown = page(client_of(support))

    assert "<h1>Everything moves</h1>" in shown
    assert "handled by itself" in shown


def test_late_data_needs_someone(client_of: Any, support: Any) -> None:
    Stream.objects.filter(resource="invoice").update(last_success_at=timezone.now() - timedelta(hours=2))

    shown = page(client_of(support))

    assert "data is late (invoices: 2 h old)" in shown
    assert "Invoices, should be under 1 h" in shown


def test_a_pause_is_a_choice_and_says_whose(client_of: Any, support: Any, connection: Connection) -> None:
    Stream.objects.update(last_success_at=timezone.now() - timedelta(days=1))
    pause.pause(connection, actor=Actor(None, "Priya Raman"), reason="Their maintenance window")

    shown = page(client_of(support))

    assert "<h1>Everything is paused</h1>" in shown
    assert "Paused by Priya Raman: “Their maintenance window”" in shown
    assert "held while paused" in shown


def test_the_worst_connection_comes_first(client_of: Any, support: Any, tenant: Tenant, fail: Any) -> None:
    worse = connected(tenant, "Zeta")
    Stream.objects.update(first_sync_done_at=timezone.now(), last_success_at=timezone.now())
    fail(MAPPING, on=worse)

    shown = page(client_of(support))

    assert shown.index(">Zeta</a>") < shown.index(">Stripe</a>")


def test_the_other_environment_is_not_here(client_of: Any, support: Any, tenant: Tenant, fail: Any) -> None:
    live = connected(tenant, "Live one", environment="live")
    Stream.objects.update(first_sync_done_at=timezone.now(), last_success_at=timezone.now())
    fail(MAPPING, on=live)

    shown = page(client_of(support))

    assert "Live one" not in shown
    assert "<h1>Everything moves</h1>" in shown


def test_it_marks_what_is_mine(client_of: Any, engineer: Any, fail: Any) -> None:
    fail(MAPPING)

    shown = page(client_of(engineer))

    assert 'Engineers <span class="faint">(you)</span>' in shown
    assert "Waits for engineers" in shown
    assert "invoice: tax has no value" in shown


def test_what_waits_for_others_is_not_in_my_list(client_of: Any, support: Any, fail: Any) -> None:
    fail(MAPPING)

    assert "Nothing waits for you" in page(client_of(support))


def test_the_provider_that_asks_to_wait_is_told(client_of: Any, support: Any, connection: Connection) -> None:
    assert "asked to wait" not in page(client_of(support))

    Connection.objects.update(wait_until=timezone.now() + timedelta(minutes=5))

    assert "asked to wait, goes on" in page(client_of(support))


def test_a_breaker_that_is_not_closed_is_told_with_its_next_probe(
    client_of: Any, support: Any, connection: Connection
) -> None:
    assert "next probe" not in page(client_of(support))

    Breaker.objects.create(
        connection=connection, state="open", reason="It answered 503", probe_at=timezone.now() + timedelta(seconds=58)
    )

    shown = page(client_of(support))
    assert "next probe" in shown
    assert "Commands held: “It answered 503”" in shown


def test_it_tells_what_changed_today(client_of: Any, support: Any, connection: Connection) -> None:
    def entry(action: str, summary: str, **fields: Any) -> Entry:
        return Entry(
            tenant_id=connection.tenant_id, environment="test", connection_id=connection.pk, lane="people",
            action=action, summary=summary, **fields,
        )  # fmt: skip

    yesterday = timezone.now() - timedelta(days=1)
    write(
        [
            entry("mapping.published", "Mapping invoice v8 published", reason=SCRIPT),
            entry("event.decided", "Evidence by the million"),
            entry("payload.revealed", "Somebody looked"),
            entry("mapping.published", "Mapping invoice v7 published", at=yesterday),
        ]
    )

    shown = page(client_of(support))

    assert "Mapping invoice v8 published" in shown
    assert "&lt;script&gt;" in shown
    assert all(text not in shown for text in (SCRIPT, "Evidence by the million", "Somebody looked", "invoice v7"))


def test_drift_is_for_those_who_may_see_it(client_of: Any, support: Any, finance: Any) -> None:
    assert "Open drift" not in page(client_of(support))
    assert "Open drift" in page(client_of(finance))


def test_htmx_gets_the_changing_part(client_of: Any, support: Any) -> None:
    client = client_of(support)

    whole, part = page(client), page(client, **{"HX-Request": "true"})

    assert 'hx-trigger="every 15s"' in whole
    assert "<html" not in part
    assert "<title>Everything moves" in part


def test_every_link_of_the_changing_part_keeps_the_focus(client_of: Any, engineer: Any, fail: Any) -> None:
    fail(MAPPING)

    part = page(client_of(engineer), **{"HX-Request": "true"})

    assert [link for link in part.split("<a ")[1:] if not link.startswith('id="') and ' id="' not in link[:200]] == []


def test_a_tenant_without_connections_says_what_comes(client_of: Any, support: Any, connection: Connection) -> None:
    answer = client_of(support).get("/northwind/live/")

    assert b"Nothing is connected yet" in answer.content


def test_scripts_in_names_are_inert(client_of: Any, engineer: Any, fail: Any, connection: Connection) -> None:
    Connection.objects.update(name=SCRIPT)
    fail(Fault(Category.MAPPING, "missing:tax", SCRIPT))

    assert SCRIPT not in page(client_of(engineer))


def test_more_connections_ask_no_more_queries(client_of: Any, engineer: Any, tenant: Tenant, fail: Any) -> None:
    client = client_of(engineer)
    fail(MAPPING)
    page(client)

    with CaptureQueriesContext(database) as few:
        page(client)
    for number in range(4):
        fail(MAPPING, on=connected(tenant, f"Another {number}"))
    Stream.objects.update(first_sync_done_at=timezone.now())
    with CaptureQueriesContext(database) as many:
        page(client)
    with CaptureQueriesContext(database) as part:
        page(client, **{"HX-Request": "true"})

    assert len(many) == len(few) <= 27
    assert len(part) <= 21
