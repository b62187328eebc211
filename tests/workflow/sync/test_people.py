"""What people and the schedule do to runs."""

from typing import Any

import httpx
import pytest
from django.utils import timezone

from integrations.models import (
    Connection,
    Event,
    Failure,
    JournalEntry,
    Run,
    Stream,
)
from integrations.workflow import runs
from integrations.workflow.errors import Refusal
from integrations.workflow.pause import pause, resume
from integrations.workflow.sync import perform_next
from tests.conftest import TESTER
from tests.fake_provider import Provider, work_off

pytestmark = pytest.mark.django_db(transaction=True)


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
