"""Every way in which a provider fails a run, and how it goes on."""

from typing import Any

import httpx
import pytest
from django.utils import timezone

from integrations.boundary import client, payloads
from integrations.failures.categories import Category
from integrations.models import (
    Attempt,
    Connection,
    Event,
    Failure,
    JournalEntry,
    Record,
    Run,
    Stream,
)
from integrations.workflow import runs, sync
from integrations.workflow.sync import perform_next
from tests.conftest import TESTER
from tests.fake_provider import Provider, work_off
from tests.workflow.sync.conftest import now_due

pytestmark = pytest.mark.django_db(transaction=True)


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
