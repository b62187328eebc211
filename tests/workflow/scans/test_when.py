"""When scans run: by schedule, one at a time, inside off-peak windows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import (
    Connection,
    Run,
    RunKind,
    Stream,
)
from integrations.workflow import runs
from integrations.workflow.errors import Refusal
from integrations.workflow.sync import perform_next
from tests.conftest import TESTER
from tests.fake_provider import Provider, work_off
from tests.workflow.scans.conftest import drop, gone, scan, scanned

pytestmark = pytest.mark.django_db(transaction=True)


# -- when


def test_scans_are_daily_where_the_list_does_not_show_deletions(connection: Connection) -> None:
    found = dict(Stream.objects.filter(connection=connection).values_list("resource", "scan_every"))

    assert found == {"customer": 86_400, "invoice": 86_400, "payment_intent": 0, "refund": 0, "event": 0}


def test_the_first_scan_is_due_a_day_after_it_could_be(stream: Stream) -> None:
    """All of it has just been listed by the first sync."""
    Stream.objects.update(next_run_at=timezone.now() + timedelta(days=9))

    assert runs.schedule() == 0

    due = Stream.objects.get(pk=stream.pk).next_scan_at
    assert due
    assert timedelta(hours=23) < due - timezone.now() <= timedelta(days=1)


def test_a_due_scan_is_planned_once(stream: Stream) -> None:
    quiet = timezone.now() + timedelta(days=9)
    Stream.objects.update(next_run_at=quiet, next_scan_at=quiet)
    Stream.objects.filter(pk=stream.pk).update(next_scan_at=timezone.now())

    assert (runs.schedule(), runs.schedule()) == (1, 0)
    assert Run.objects.filter(kind=RunKind.SCAN).count() == 1


def test_no_scan_is_planned_while_one_waits_for_a_person(many: Stream, provider: Provider) -> None:
    drop(provider, *[f"cus_{n:04}" for n in range(20)])
    scanned(many)
    quiet = timezone.now() + timedelta(days=9)
    Stream.objects.update(next_run_at=quiet, next_scan_at=quiet)
    Stream.objects.filter(pk=many.pk).update(next_scan_at=timezone.now())

    assert runs.schedule() == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"first_sync_done_at": None}, "first sync"),
        ({"change_log": True}, "holds events"),
    ],
)
def test_there_must_be_something_to_look_for(change: dict[str, Any], said: str, stream: Stream) -> None:
    Stream.objects.update(**change)

    with pytest.raises(Refusal, match=said):
        scan(stream)


def test_a_second_scan_is_refused_even_while_objects_are_asked_for(stream: Stream, provider: Provider) -> None:
    drop(provider, "cus_0001")
    scan(stream)
    provider.answers = [provider.truth, provider.truth, provider.failing(503)]
    work_off()
    assert Run.objects.get(kind=RunKind.SCAN).targets

    with pytest.raises(Refusal, match="under way"):
        scan(stream)


# -- off-peak windows


def window(begins: datetime, ends: datetime) -> list[dict[str, Any]]:
    return [{"days": list(range(7)), "from": f"{begins:%H:%M}", "to": f"{ends:%H:%M}", "zone": "UTC"}]


def test_a_scan_waits_for_the_window(stream: Stream, provider: Provider) -> None:
    now = datetime.now(UTC)
    begins = now + timedelta(hours=3)
    Connection.objects.update(windows=window(begins, now + timedelta(hours=5)))

    run = scanned(stream)

    assert (run.state, run.waits_for, run.pages, run.started_at) == ("waiting", "the off-peak window", 0, None)
    assert run.due_at == begins.replace(second=0, microsecond=0)
    assert provider.asked == []


def test_a_first_sync_waits_too_and_a_resync_does_not(stream: Stream, provider: Provider) -> None:
    now = datetime.now(UTC)
    Connection.objects.update(windows=window(now + timedelta(hours=3), now + timedelta(hours=5)))
    other = Stream.objects.get(resource="invoice")
    bulk, small = runs.ask(other, actor=TESTER), runs.ask(stream, actor=TESTER)

    work_off()

    assert (Run.objects.get(pk=bulk.pk).state, Run.objects.get(pk=small.pk).state) == ("waiting", "done")


def test_a_run_that_reaches_the_end_of_the_window_goes_on_in_the_next(stream: Stream, provider: Provider) -> None:
    drop(provider, "cus_0001")
    later = window(datetime.now(UTC) + timedelta(hours=3), datetime.now(UTC) + timedelta(hours=5))
    provider.watch = lambda _: Connection.objects.update(windows=later)

    run = scanned(stream)

    assert (run.state, run.waits_for, run.pages) == ("waiting", "the off-peak window", 1)
    assert run.started_at
    provider.watch = lambda _: None
    Connection.objects.update(windows=[])
    Run.objects.update(due_at=timezone.now())
    work_off()
    run.refresh_from_db()
    assert (run.state, gone(), run.pages) == ("done", ["cus_0001"], 3)


def test_a_turn_performs_a_scan_page_by_page(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.workflow.sync.TURN", 0.0)
    run = scan(stream)

    assert perform_next()

    run.refresh_from_db()
    assert (run.state, run.pages, run.waits_for) == ("ready", 1, "")
