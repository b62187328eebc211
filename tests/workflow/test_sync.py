"""Runs: a page's evidence and the cursor move together, nothing is open during HTTP, and every way to fail resumes."""

import time
from collections.abc import Callable
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
    JournalEntry,
    Payload,
    Record,
    Reference,
    Run,
    RunKind,
    Stream,
    Transition,
)
from integrations.providers.base import Request
from integrations.reconciliation.check import check_connection
from integrations.workflow import endings, runs, sights, sync, work
from integrations.workflow.errors import Refusal
from integrations.workflow.pause import pause, resume
from integrations.workflow.sync import perform_next
from tests.conftest import TESTER, connected, customer_object
from tests.fake_provider import Provider, work_off
from tests.stripe_objects import payment_object, refund_object

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(tenant: Any) -> Connection:
    """A connection whose pages hold two objects."""
    return connected(tenant, page_size=2)


@pytest.fixture
def stream(connection: Connection) -> Stream:
    return Stream.objects.get(connection=connection, resource="customer")


@pytest.fixture
def log(connection: Connection) -> Stream:
    return Stream.objects.get(connection=connection, change_log=True)


@pytest.fixture
def run(stream: Stream) -> Run:
    return runs.ask(stream, actor=TESTER)


def states(*models: Any) -> list[int]:
    return [model.objects.count() for model in models]


def now_due() -> None:
    Run.objects.filter(state="waiting").update(due_at=timezone.now())
    Connection.objects.update(wait_until=None)


def logged(
    event_id: str, obj: dict[str, Any], event_type: str = "customer.updated", created: int = 0
) -> dict[str, Any]:
    return {
        "id": event_id, "object": "event", "type": event_type, "created": created or int(time.time()),
        "data": {"object": obj},
    }  # fmt: skip


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


# -- nothing changed, nothing is written


def test_a_second_sync_of_unchanged_data_writes_no_evidence_and_no_belief(
    run: Run, stream: Stream, provider: Provider
) -> None:
    provider.customers(5)
    work_off()
    before = states(Event, Record, Transition), list(Record.objects.values_list("version", "updated_at"))
    seen = Reference.objects.values_list("seen_at", flat=True)[0]
    Stream.objects.update(changed_since=None)
    provider.now += 900

    again = runs.ask(Stream.objects.get(pk=stream.pk), actor=TESTER)
    work_off()

    again.refresh_from_db()
    assert (states(Event, Record, Transition), list(Record.objects.values_list("version", "updated_at"))) == before
    assert (again.items, again.changed) == (5, 0)
    assert Reference.objects.values_list("seen_at", flat=True)[0] == seen + timedelta(seconds=900)


def test_of_a_page_only_what_changed_is_new_evidence(run: Run, stream: Stream, provider: Provider) -> None:
    provider.customers(4)
    work_off()
    provider.put(customer_object("cus_0001", created=1_700_000_001, name="Renamed"))
    Stream.objects.update(changed_since=None)
    provider.now += 900

    again = runs.ask(Stream.objects.get(pk=stream.pk), actor=TESTER)
    work_off()

    again.refresh_from_db()
    assert (again.items, again.changed) == (4, 1)
    assert Record.objects.get(label="Renamed").version == 2


def test_what_the_log_tells_again_is_no_new_evidence(log: Stream, provider: Provider) -> None:
    provider.put(logged("evt_1", customer_object(), "customer.created"))
    first = runs.ask(log, actor=TESTER)
    work_off()
    again = runs.ask(Stream.objects.get(pk=log.pk), actor=TESTER)

    work_off()

    first.refresh_from_db()
    again.refresh_from_db()
    assert [(r.items, r.changed) for r in (first, again)] == [(1, 1), (1, 0)]
    assert Event.objects.count() == 1


def test_the_log_brings_what_no_webhook_brought_and_nothing_twice(
    log: Stream, provider: Provider, make_event: Callable[..., Event]
) -> None:
    make_event("customer.created", customer_object("cus_1"), event_id="evt_1", created=1_700_000_500)
    provider.put(
        logged("evt_1", customer_object("cus_1"), "customer.created"),
        logged("evt_2", customer_object("cus_1", name="Renamed"), created=1_700_000_501),
        logged("evt_3", {"id": "prod_1"}, "product.created"),
    )
    runs.ask(log, actor=TESTER)

    work_off()

    assert set(Event.objects.values_list("provider_event_id", "source")) == {
        ("evt_1", "webhook"), ("evt_2", "change log"),
    }  # fmt: skip
    assert Record.objects.get().data["name"] == "Renamed"


def test_one_bad_entry_of_the_log_does_not_stop_its_page(log: Stream, provider: Provider) -> None:
    provider.put(
        logged("evt_1", customer_object("cus_1"), "customer.created"),
        logged("evt_2", customer_object("cus_2"), "customer.exploded"),
        logged("evt_3", {"id": 7, "object": "customer"}),
    )
    runs.ask(log, actor=TESTER)

    work_off()

    found = dict(Event.objects.values_list("provider_event_id", "state"))
    assert found == {"evt_1": "done", "evt_2": "parked", "evt_3": "parked"}


def test_a_late_look_does_not_undo_what_an_event_told_since(
    run: Run, provider: Provider, make_event: Callable[..., Event]
) -> None:
    """The page was read, then the object changed and its event was settled, then the page's evidence is settled."""
    provider.put(customer_object("cus_1", name="Old"))
    perform_next()
    make_event("customer.updated", customer_object("cus_1", name="New"), created=provider.now + 1)
    Event.objects.filter(source="page").update(due_at=timezone.now() + timedelta(hours=1), state="waiting")
    work_off()
    Event.objects.filter(source="page").update(due_at=timezone.now())

    work_off()

    assert Record.objects.get().data["name"] == "New"
    assert Event.objects.get(source="page").decision == "stale"


# -- the provider fails


def test_429_is_obeyed_and_the_whole_connection_waits(run: Run, provider: Provider, connection: Connection) -> None:
    provider.answers = [provider.failing(429, **{"retry-after": "37"})]
    other = runs.ask(Stream.objects.get(connection=connection, resource="refund"), actor=TESTER)

    perform_next()

    run.refresh_from_db()
    connection.refresh_from_db()
    assert (run.state, run.category) == ("waiting", Category.RATE_LIMIT)
    assert 36 < (run.due_at - timezone.now()).total_seconds() <= 37
    assert connection.wait_until == run.due_at
    assert not perform_next(), f"{other} would ask the same provider"
    assert len(provider.asked) == 1


def test_a_waiting_connection_holds_up_no_other_one(run: Run, provider: Provider, other_connection: Connection) -> None:
    provider.answers = [provider.failing(429, **{"retry-after": "37"})]
    runs.ask(Stream.objects.get(connection=other_connection, resource="customer"), actor=TESTER)

    assert perform_next()
    assert perform_next()

    assert Run.objects.get(connection=other_connection).state == "done"


@pytest.mark.parametrize(
    ("answer", "category"),
    [
        (httpx.ReadTimeout("slow"), Category.TIMEOUT),
        (httpx.ConnectTimeout("slow"), Category.TIMEOUT),
        (httpx.ConnectError("refused"), Category.OUTAGE),
        (httpx.RemoteProtocolError("cut"), Category.OUTAGE),
        (500, Category.OUTAGE),
        (503, Category.OUTAGE),
    ],
)
def test_a_provider_that_fails_is_tried_again_at_the_same_page(
    run: Run, provider: Provider, answer: Any, category: Category
) -> None:
    provider.customers(3)
    provider.answers = [provider.truth, provider.failing(answer) if isinstance(answer, int) else answer]

    perform_next()

    run.refresh_from_db()
    assert (run.state, run.category, run.tries, run.pages) == ("waiting", category, 1, 1)
    assert Failure.objects.get(run=run).category == category
    now_due()
    work_off()
    run.refresh_from_db()
    assert (run.state, run.pages, run.category) == ("done", 2, "")
    assert provider.paths[1] == provider.paths[2]
    assert Failure.objects.get(run=run).resolved_at
    closed = Attempt.objects.values_list("state", flat=True).order_by("pk")[1]
    assert closed == ("answered" if isinstance(answer, int) else "no answer")


@pytest.mark.parametrize(("status", "category"), [(401, Category.AUTHENTICATION), (403, Category.AUTHORIZATION)])
def test_a_key_that_is_refused_parks_the_run_for_operations(
    run: Run, provider: Provider, status: int, category: Category
) -> None:
    provider.answers = [provider.failing(status)]

    perform_next()

    run.refresh_from_db()
    failure = Failure.objects.get(run=run)
    assert (run.state, failure.category, failure.problem.owner) == ("parked", category, "operations")
    assert JournalEntry.objects.get(action="run.parked").outcome == category


@pytest.mark.parametrize("body", [b"", b'{"object": "list", "da', b"\xff", b"[]", b'{"object": "list", "data": [7]}'])
def test_a_malformed_page_is_read_again_and_parks_after_three_times(
    run: Run, provider: Provider, stream: Stream, body: bytes
) -> None:
    provider.answers = [httpx.Response(200, content=body) for _ in range(9)]

    for _ in range(9):
        perform_next()
        now_due()

    run.refresh_from_db()
    assert (run.state, run.category, len(provider.asked)) == ("parked", Category.CONTRACT, 3)
    stream.refresh_from_db()
    assert stream.last_success_at is None


def test_a_page_that_was_cut_once_is_read_whole_the_next_time(run: Run, provider: Provider) -> None:
    provider.customers(1)
    provider.answers = [httpx.Response(200, content=b'{"object": "list", "data": [{"id')]

    perform_next()
    now_due()
    work_off()

    run.refresh_from_db()
    assert run.state == "done"
    assert Record.objects.count() == 1


def test_an_answer_that_nobody_could_read_is_kept_all_the_same(run: Run, provider: Provider) -> None:
    """Evidence first: whoever has to find out why sees what came."""
    provider.answers = [httpx.Response(200, content=b'{"object": "list", "data": [{"id')]

    perform_next()

    attempt = Attempt.objects.get()
    assert attempt.payload_id
    assert attempt.payload_at
    assert payloads.read(attempt.payload_id, attempt.payload_at) == b'{"object": "list", "data": [{"id'
    assert not Event.objects.exists()


def test_an_endless_answer_is_cut_off(run: Run, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LARGEST", 1000)
    provider.answers = [httpx.Response(200, content=b" " * 2000)]

    perform_next()

    run.refresh_from_db()
    assert run.category == Category.CONTRACT
    assert Failure.objects.get(run=run).code == "answer_too_large"


def test_a_run_that_the_engine_itself_fails_says_so_and_parks(
    run: Run, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise LookupError

    monkeypatch.setattr(sync, "store", fail)

    for _ in range(5):
        perform_next()
        now_due()

    run.refresh_from_db()
    assert (run.state, run.category, run.tries) == ("parked", Category.UNKNOWN, 3)


def test_progress_gives_a_run_its_tries_back(run: Run, provider: Provider) -> None:
    """Exhaustion counts failures in a row: a long sync meets many that do not belong together."""
    provider.customers(30)
    for _ in range(12):
        provider.answers = [provider.truth, provider.failing(500)]
        perform_next()
        now_due()

    run.refresh_from_db()
    assert (run.state, run.pages, run.tries) == ("waiting", 12, 1)


# -- single objects


def test_one_object_that_cannot_be_fetched_does_not_hold_up_the_others(
    connection: Connection, provider: Provider
) -> None:
    provider.put(customer_object("cus_2"), customer_object("cus_3"))
    provider.answers = [provider.failing(400)]
    Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, kind="resync", due_at=timezone.now(),
        targets=[["customer", "cus_1"], ["customer", "cus_2"], ["customer", "cus_3"]], asked_by="the tests",
    )  # fmt: skip

    work_off()

    assert set(Reference.objects.values_list("external_id", flat=True)) == {"cus_2", "cus_3"}
    parked = Run.objects.get(state="parked")
    assert (parked.targets, parked.category) == ([["customer", "cus_1"]], Category.VALIDATION)
    assert Failure.objects.get().run == parked


def test_an_object_that_is_not_there_is_evidence_too(
    connection: Connection, provider: Provider, make_event: Callable[..., Event]
) -> None:
    make_event(created=1_700_000_100)
    Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, kind="resync", due_at=timezone.now(),
        targets=[["customer", "cus_0001"]], asked_by="the tests",
    )  # fmt: skip

    work_off()

    assert Record.objects.get().state == "deleted"
    event = Event.objects.get(source="check")
    assert (event.event_type, event.decision) == ("customer absent", "changed")
    assert b"resource_missing" in payloads.read(event.payload_id, event.payload_at)


def test_long_ids_that_differ_only_at_their_end_stay_apart(connection: Connection, provider: Provider) -> None:
    provider.put(*(customer_object("cus_" + "x" * 200 + str(n)) for n in range(2)))
    Stream.objects.exclude(resource="customer").delete()
    check_connection(connection, actor=TESTER)

    perform_next()

    assert Event.objects.count() == 2


# -- people step in


def test_a_cancelled_run_ends_after_the_page_it_is_at(run: Run, provider: Provider, stream: Stream) -> None:
    provider.customers(5)

    def cancel(request: httpx.Request) -> httpx.Response:
        runs.cancel(run, actor=TESTER, reason="Too early")
        return provider.truth(request)

    provider.answers = [provider.truth, cancel]

    perform_next()

    run.refresh_from_db()
    assert (run.state, run.pages, len(provider.asked)) == ("dismissed", 2, 2)
    assert Event.objects.count() == 4, "what it brought stays"
    stream.refresh_from_db()
    assert stream.first_sync_done_at is None
    assert JournalEntry.objects.get(action="run.cancelled").reason == "Too early"


def test_a_run_that_waits_is_cancelled_at_once(run: Run, provider: Provider) -> None:
    runs.cancel(run, actor=TESTER)

    assert not perform_next()
    assert Run.objects.get().state == "dismissed"


def test_a_run_that_is_over_cannot_be_cancelled(run: Run, provider: Provider) -> None:
    work_off()

    with pytest.raises(Refusal, match="over already"):
        runs.cancel(run, actor=TESTER)


@pytest.mark.parametrize("level", ["connection", "stream"])
def test_a_pause_stops_a_run_between_two_pages_and_resuming_goes_on_there(
    run: Run, provider: Provider, connection: Connection, stream: Stream, level: str
) -> None:
    provider.customers(5)
    target: Any = connection if level == "connection" else stream

    def paused(request: httpx.Request) -> httpx.Response:
        pause(target, actor=TESTER, reason="Their maintenance")
        return provider.truth(request)

    provider.answers = [paused]
    perform_next()
    run.refresh_from_db()
    assert (run.state, run.pages) == ("ready", 1)
    assert not perform_next()

    resume(target, actor=TESTER)
    work_off()

    run.refresh_from_db()
    assert (run.state, run.pages, len(provider.asked)) == ("done", 3, 3)


def test_a_disabled_connection_asks_nothing(run: Run, provider: Provider) -> None:
    Connection.objects.update(disabled_at=timezone.now())

    assert not perform_next()
    assert provider.asked == []


def test_one_run_of_a_kind_at_a_time(run: Run, stream: Stream) -> None:
    with pytest.raises(Refusal, match="under way already"):
        runs.ask(stream, actor=TESTER)

    assert Run.objects.count() == 1


# -- the schedule


def test_streams_that_are_due_get_a_run_and_only_one(connection: Connection) -> None:
    assert runs.schedule() == 5
    assert runs.schedule() == 0
    assert Run.objects.count() == 5


@pytest.mark.parametrize("why", ["paused", "disabled", "without a key", "stream paused"])
def test_no_run_is_planned_for_a_connection_that_cannot_run(connection: Connection, why: str) -> None:
    if why == "paused":
        Connection.objects.update(paused_at=timezone.now())
    elif why == "disabled":
        Connection.objects.update(disabled_at=timezone.now())
    elif why == "without a key":
        connection.credentials.filter(purpose="api_key").delete()
    else:
        Stream.objects.update(paused_at=timezone.now())

    assert runs.schedule() == 0


def test_a_success_ends_the_runs_that_parked_before_it(run: Run, stream: Stream, provider: Provider) -> None:
    provider.answers = [provider.failing(403)]
    perform_next()
    assert Run.objects.get().state == "parked"
    runs.ask(stream, actor=TESTER)

    work_off()

    assert set(Run.objects.values_list("state", flat=True)) == {"done"}
    assert Failure.objects.get().resolved_at


# -- clocks


def test_a_look_between_reading_and_settling_does_not_hide_a_change(
    run: Run, stream: Stream, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page shows the object as we knew it, and at that moment an event makes us believe otherwise."""
    provider.put(customer_object("cus_1", name="A"))
    work_off()
    Stream.objects.update(changed_since=None)
    provider.now += 100
    real = sights._known

    def raced(*args: Any) -> Any:
        known = real(*args)
        Reference.objects.update(seen_hash=b"of what the event showed", seen_at=timezone.now())
        return known

    monkeypatch.setattr(sights, "_known", raced)
    provider.now = int(timezone.now().timestamp()) + 100

    runs.ask(Stream.objects.get(pk=stream.pk), actor=TESTER)
    perform_next()

    assert int(Reference.objects.get().seen_at.timestamp()) < provider.now


def test_payments_are_read_with_their_charge(connection: Connection, provider: Provider) -> None:
    provider.put(payment_object(latest_charge={"id": "ch_1", "amount_refunded": 300}), refund_object())
    runs.ask(Stream.objects.get(connection=connection, resource="payment_intent"), actor=TESTER)

    work_off()

    assert provider.paths == ["/v1/payment_intents?limit=2&expand%5B%5D=data.latest_charge"]
    assert Record.objects.get().data["amount_refunded"] == 300


@pytest.mark.parametrize(
    ("runs_before", "planned"),
    [
        ([("parked", Category.AUTHENTICATION)], 0),
        ([("parked", Category.AUTHORIZATION)], 0),
        ([("parked", Category.CONTRACT)], 1),
        ([("done", Category.AUTHENTICATION), ("parked", Category.CONTRACT)], 1),
    ],
)
def test_a_stream_whose_key_is_refused_waits_for_another_key(
    connection: Connection, stream: Stream, runs_before: list[tuple[str, str]], planned: int
) -> None:
    Stream.objects.exclude(pk=stream.pk).delete()
    for state, category in runs_before:
        Run.objects.create(
            tenant=connection.tenant, environment="test", connection=connection, stream=stream, kind="sync",
            state=state, category=category, due_at=timezone.now(), asked_by="the tests",
        )  # fmt: skip

    assert runs.schedule() == planned


def test_an_attempt_of_a_worker_that_died_is_closed_and_one_under_way_is_not(connection: Connection) -> None:
    now = timezone.now()
    told: dict[str, Any] = {"connection": connection, "method": "GET", "url": "https://example.com"}
    lost = Attempt.objects.create(started_at=now - timedelta(minutes=10), **told)
    under_way = Attempt.objects.create(started_at=now - timedelta(seconds=5), **told)

    work.sweep()

    lost.refresh_from_db()
    under_way.refresh_from_db()
    assert (lost.state, under_way.state) == ("no answer", "in flight")
    assert lost.finished_at
