"""Runs read page by page: evidence and cursor move together, and nothing is open during HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from integrations.boundary import client, payloads
from integrations.failures.categories import Category
from integrations.models import (
    Attempt,
    Connection,
    Event,
    Failure,
    Payload,
    Record,
    Run,
    RunKind,
    Stream,
    Transition,
)
from integrations.providers.base import Request
from integrations.workflow import endings, runs, sync, work
from integrations.workflow.sync import perform_next
from tests.conftest import TESTER, customer_object
from tests.fake_provider import Provider, work_off
from tests.workflow.sync.conftest import now_due, states

pytestmark = pytest.mark.django_db(transaction=True)


# -- the whole way


def test_a_first_sync_reads_every_page_and_makes_every_record(run: Run, provider: Provider) -> None:
    provider.customers(5)

    work_off()

    run.refresh_from_db()
    assert (run.state, run.kind, run.pages, run.items, run.changed) == ("done", "sync", 3, 5, 5)
    assert provider.paths == [
        "/v1/customers?limit=2",
        "/v1/customers?limit=2&starting_after=cus_0003",
        "/v1/customers?limit=2&starting_after=cus_0001",
    ]
    assert Record.objects.count() == 5
    assert run.as_of == datetime.fromtimestamp(provider.now, UTC)


def test_a_run_that_read_everything_moves_its_stream(run: Run, stream: Stream, provider: Provider) -> None:
    work_off()

    stream.refresh_from_db()
    assert stream.first_sync_done_at
    assert stream.last_success_at
    assert stream.changed_since == datetime.fromtimestamp(provider.now, UTC)
    assert stream.next_run_at
    assert stream.next_run_at > timezone.now() + timedelta(seconds=stream.every - 60)


def test_the_next_run_asks_for_what_changed_since_by_the_providers_clock(
    run: Run, stream: Stream, provider: Provider
) -> None:
    provider.now = 1_700_000_000  # far from ours
    work_off()

    again = runs.ask(Stream.objects.get(pk=stream.pk), actor=TESTER)
    work_off()

    assert again.kind == RunKind.RESYNC
    five_minutes_earlier = 1_700_000_000 - 300
    assert provider.paths[-1] == f"/v1/customers?limit=2&created%5Bgte%5D={five_minutes_earlier}"


def test_the_page_is_kept_with_its_attempt(run: Run, provider: Provider) -> None:
    provider.customers(1)

    perform_next()

    attempt = Attempt.objects.get()
    assert (attempt.state, attempt.status, attempt.provider_request_id) == ("answered", 200, "req_1")
    assert attempt.payload_id
    assert attempt.payload_at
    assert b"cus_0000" in payloads.read(attempt.payload_id, attempt.payload_at)
    event = Event.objects.get()
    assert (event.payload_id, event.path, event.source, event.run) == (attempt.payload_id, "/data/0", "page", run)


def test_no_secret_is_kept_with_an_attempt(run: Run, provider: Provider) -> None:
    perform_next()

    with database.cursor() as cursor:
        cursor.execute("SELECT a::text FROM integrations_attempt a")
        assert "sk_test" not in cursor.fetchone()[0]


# -- nothing is open during HTTP, and the attempt is committed first


def test_the_attempt_is_committed_before_its_request_leaves(run: Run, provider: Provider) -> None:
    seen: list[Any] = []

    def look(request: httpx.Request) -> None:
        seen.append((database.in_atomic_block, list(Attempt.objects.values_list("state", flat=True))))

    provider.watch = look
    provider.customers(3)

    perform_next()

    assert seen == [(False, ["in flight"]), (False, ["in flight", "answered"])]


def test_a_request_inside_a_transaction_is_refused_and_leaves_nothing_behind(connection: Connection) -> None:
    with transaction.atomic(), pytest.raises(client.OpenTransaction):
        client.Exchanges(connection)(Request("GET", "https://api.stripe.com/v1/customers"))

    assert not Attempt.objects.exists()


# -- the cursor moves in the transaction of its page


def test_a_page_that_cannot_be_kept_does_not_move_the_cursor(
    run: Run, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.customers(5)
    real = sync._progress
    calls: list[int] = []

    def second_fails(run: Run, items: int, fresh: int) -> None:
        calls.append(items)
        real(run, items, fresh)
        if len(calls) == 2:
            raise MemoryError

    monkeypatch.setattr(sync, "_progress", second_fails)

    perform_next()

    run.refresh_from_db()
    assert (run.state, run.pages, run.items) == ("waiting", 1, 2)
    assert run.cursor["starting_after"] == "cus_0003"
    assert set(Event.objects.values_list("external_id", flat=True)) == {"cus_0004", "cus_0003"}


def test_an_interrupted_run_goes_on_at_its_last_page(run: Run, provider: Provider) -> None:
    """Killed while the second page was under way: the lease ends, and another worker reads that page again."""
    provider.customers(5)

    def die(request: httpx.Request) -> httpx.Response:
        raise Killed

    provider.answers = [provider.truth, die]
    with pytest.raises(Killed):
        perform_next()
    assert not perform_next(), "its lease still runs"
    Run.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    work.sweep()

    work_off()

    run.refresh_from_db()
    assert (run.state, run.pages, run.items) == ("done", 3, 5)
    assert provider.paths.count("/v1/customers?limit=2") == 1
    assert Record.objects.count() == Transition.objects.count() == 5


class Killed(BaseException):
    """The worker was killed."""


@pytest.mark.parametrize("of", ["a stream", "single objects"])
def test_a_run_killed_at_its_very_end_ends_the_next_time(
    connection: Connection, stream: Stream, provider: Provider, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    provider.customers(3)
    single = {"stream": None, "targets": [["customer", "cus_0000"], ["customer", "cus_0001"]]}
    run = Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, kind="resync", due_at=timezone.now(),
        asked_by="the tests", **({"stream": stream} if of == "a stream" else single),
    )  # fmt: skip
    real = endings.finish

    def die(run: Run) -> None:
        raise Killed

    monkeypatch.setattr(endings, "finish", die)
    with pytest.raises(Killed):
        perform_next()
    monkeypatch.setattr(endings, "finish", real)
    Run.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    work.sweep()

    work_off()

    run.refresh_from_db()
    assert (run.state, run.category, run.pages) == ("done", "", 2)
    assert not Failure.objects.exists()


def test_a_long_run_lets_others_have_their_turn(
    run: Run, connection: Connection, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.customers(5)
    runs.ask(Stream.objects.select_related("connection").get(connection=connection, resource="refund"), actor=TESTER)
    monkeypatch.setattr(sync, "TURN", 0)

    for _ in range(4):
        assert perform_next()

    run.refresh_from_db()
    assert (run.state, run.pages) == ("done", 3)
    assert [path.partition("?")[0] for path in provider.paths] == [
        "/v1/customers", "/v1/refunds", "/v1/customers", "/v1/customers",
    ]  # fmt: skip


def test_who_lost_the_lease_over_a_run_keeps_no_page(run: Run, provider: Provider) -> None:
    provider.customers(3)

    def stolen(request: httpx.Request) -> httpx.Response:
        Run.objects.update(leased_by=None, leased_until=None, state="ready")
        return provider.truth(request)

    provider.answers = [stolen]

    perform_next()

    run.refresh_from_db()
    assert (run.state, run.pages, run.cursor) == ("ready", 0, None)
    assert states(Event, Payload) == [0, 0]
    work_off()
    assert Record.objects.count() == 3


# -- the end of the pages


def test_a_provider_that_names_a_page_again_stops_the_run(run: Run, provider: Provider) -> None:
    provider.customers(6)

    def circle(request: httpx.Request) -> httpx.Response:
        first = [customer_object("cus_0005"), customer_object("cus_0004")]
        second = [customer_object("cus_0003"), customer_object("cus_0002")]
        page = second if request.url.params.get("starting_after") == "cus_0004" else first
        return provider.json({"object": "list", "data": page, "has_more": True})

    provider.answers = [circle] * 50

    for _ in range(10):
        perform_next()
        now_due()

    run.refresh_from_db()
    assert (run.state, run.category) == ("parked", Category.CONTRACT)
    assert Failure.objects.get(run=run).code == "repeated_cursor"
    assert len(provider.asked) < 10


def test_an_empty_page_that_is_not_the_last_is_no_end(run: Run, provider: Provider, stream: Stream) -> None:
    provider.answers = [provider.json({"object": "list", "data": [], "has_more": True})]

    perform_next()

    run.refresh_from_db()
    assert (run.state, run.category) == ("waiting", Category.CONTRACT)
    stream.refresh_from_db()
    assert stream.first_sync_done_at is None


def test_an_empty_last_page_is_the_end(run: Run, provider: Provider) -> None:
    work_off()

    run.refresh_from_db()
    assert (run.state, run.pages, run.items) == ("done", 1, 0)
