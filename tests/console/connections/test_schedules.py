import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.connections.page import bulk_said, clock_said, scan_said, schedule_said
from console.models import User
from integrations.failures import grouping
from integrations.models import Connection, Failure, JournalEntry, Run, Stream
from integrations.workflow.scans import TOO_MANY
from integrations.workflow.windows import parse_all

pytestmark = pytest.mark.django_db
At = Callable[..., str]
SOUND = {
    "schedule": "*/10 * * * *", "overlap": "2 min", "scan": "30 2 * * sun", "absent_share": "10",
    "absent_least": "20", "reason": "Bookkeepers want it sooner",
}  # fmt: skip


@pytest.fixture
def scan(connection: Connection, stream: Stream) -> Run:
    """A scan that found 25 of 40 objects missing, and waits for a person."""
    now = timezone.now()
    run = Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, stream=stream, kind="scan",
        state="parked", category="business rule", due_at=now, asked_by="Priya", started_at=now, listed_at=now,
        finished_at=now, held=40, missing=25,
    )  # fmt: skip
    grouping.note([grouping.Failed(TOO_MANY, connection, run=run, resource=stream.resource)])
    return run


@pytest.fixture
def synced(stream: Stream) -> Stream:
    Stream.objects.filter(pk=stream.pk).update(first_sync_done_at=timezone.now(), changed_since=timezone.now())
    return Stream.objects.get(pk=stream.pk)


@pytest.mark.parametrize(
    ("role", "name", "status"),
    [
        (role, name, 200 if role in able else 403)
        for name, able in {
            "stream_schedule": ("engineer",),
            "stream_scan": ("operations", "engineer"),
            "scan_release": ("operations", "engineer"),
            "scan_dismiss": ("operations", "engineer"),
        }.items()
        for role in ("support", "operations", "finance", "engineer", "auditor", "administrator")
    ],
)
def test_who_may(
    role: str, name: str, status: int, request: Any, scan: Run, stream: Stream, at: At, client_of: Any
) -> None:
    target = stream.pk if name.startswith("stream") else scan.pk

    assert client_of(request.getfixturevalue(role)).get(at(name, target)).status_code == status


def test_a_changed_schedule_shows_in_words_with_its_difference(
    synced: Stream, at: At, client_of: Any, engineer: User
) -> None:
    client = client_of(engineer)

    answer = client.post(at("stream_schedule", synced.pk), SOUND)

    assert answer.status_code == 302
    page = client.get(at("connection", synced.connection_id)).content.decode()
    assert "changed Invoices" in page
    assert "<del>15 min</del> <ins>*/10 * * * *</ins>" in page
    assert "<del>5 min</del> <ins>2 min</ins>" in page
    assert "looks back 2 min" in page
    assert "Sun at 02:30 UTC" in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schedule": "61 * * * *"}, "The minute “61” is none"),
        ({"overlap": "9 d"}, "at most 7 d"),
        ({"scan": "sometimes"}, "Give an interval"),
        ({"absent_share": "0"}, "greater than or equal to 1"),
        ({"reason": ""}, "Give a reason"),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field(
    change: dict[str, str], said: str, stream: Stream, at: At, client_of: Any, engineer: User
) -> None:
    answer = client_of(engineer).post(at("stream_schedule", stream.pk), SOUND | change)

    assert answer.status_code == 422
    assert said in answer.content.decode()
    stream.refresh_from_db()
    assert stream.every == 900


def test_an_event_log_has_no_scan_to_edit(connection: Connection, at: At, client_of: Any, engineer: User) -> None:
    log = Stream.objects.get(connection=connection, change_log=True)

    page = client_of(engineer).get(at("stream_schedule", log.pk)).content.decode()

    assert 'name="overlap"' in page
    assert 'name="scan"' not in page


def test_windows_are_edited_shown_and_kept_in_the_history(
    connection: Connection, at: At, client_of: Any, engineer: User
) -> None:
    client = client_of(engineer)

    client.post(at("connection_windows", connection.pk), {"windows": "daily 22:00-06:00", "reason": "Quiet hours"})

    page = client.get(at("connection", connection.pk)).content.decode()
    assert "daily 22:00-06:00 UTC" in page
    assert "<del>none</del> <ins>daily 22:00-06:00 UTC</ins>" in page
    assert "daily 22:00-06:00 UTC" in client.get(at("connection_windows", connection.pk)).content.decode()


def test_a_line_that_names_no_window_is_said(connection: Connection, at: At, client_of: Any, engineer: User) -> None:
    answer = client_of(engineer).post(at("connection_windows", connection.pk), {"windows": "at night", "reason": "x"})

    assert answer.status_code == 422
    assert "Line 1: Write days, hours and a time zone" in answer.content.decode()


def test_a_scan_is_asked_for_after_one_question(synced: Stream, at: At, client_of: Any, operations: User) -> None:
    client = client_of(operations)

    question = client.get(at("stream_scan", synced.pk)).content.decode()
    answer = client.post(at("stream_scan", synced.pk))

    assert "Scan Invoices for deletions?" in question
    assert answer.status_code == 302
    assert Run.objects.get(kind="scan").asked_by == operations.name
    assert JournalEntry.objects.get(action="stream.run_asked").summary.endswith("absence scan of Invoices")


def test_the_page_asks_for_a_decision_with_counts_and_both_choices(
    scan: Run, at: At, client_of: Any, operations: User
) -> None:
    page = client_of(operations).get(at("connection", scan.connection_id)).content.decode()

    assert "25 of 40 objects of Invoices are missing at the provider." in page
    assert "Ask for each of 25…" in page
    assert "Dismiss, keep 25…" in page


def test_who_may_not_decide_sees_the_question_without_the_choices(
    scan: Run, at: At, client_of: Any, support: User
) -> None:
    page = client_of(support).get(at("connection", scan.connection_id)).content.decode()

    assert "25 of 40 objects of Invoices are missing at the provider." in page
    assert "Ask for each of" not in page


def test_letting_it_go_on_takes_a_reason(scan: Run, at: At, client_of: Any, operations: User) -> None:
    client = client_of(operations)

    assert client.post(at("scan_release", scan.pk)).status_code == 422
    assert client.post(at("scan_release", scan.pk), {"reason": "They closed them"}).status_code == 302

    scan.refresh_from_db()
    assert scan.released_by == operations.name
    assert JournalEntry.objects.get(action="run.released").reason == "They closed them"
    assert client.post(at("scan_release", scan.pk), {"reason": "Again"}).status_code == 422


def test_dismissing_keeps_everything(scan: Run, at: At, client_of: Any, operations: User) -> None:
    answer = client_of(operations).post(at("scan_dismiss", scan.pk), {"reason": "Wrong account"})

    assert answer.status_code == 302
    scan.refresh_from_db()
    assert scan.state == "dismissed"
    assert Failure.objects.get().resolution == f"Dismissed by {operations.name}"


def test_other_runs_are_no_scans(
    connection: Connection, stream: Stream, at: At, client_of: Any, engineer: User
) -> None:
    run = Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, stream=stream, kind="resync",
        state="parked", due_at=timezone.now(), asked_by="Priya",
    )  # fmt: skip

    assert client_of(engineer).get(at("scan_release", run.pk)).status_code == 404
    assert client_of(engineer).get(at("scan_dismiss", run.pk)).status_code == 404


def test_a_run_that_waits_for_its_window_says_so(
    connection: Connection, synced: Stream, at: At, client_of: Any, support: User
) -> None:
    Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, stream=synced, kind="scan",
        state="waiting", waits_for="the off-peak window", asked_by="Priya",
        due_at=timezone.now() + timedelta(hours=3, minutes=1),
    )  # fmt: skip

    page = client_of(support).get(at("connection", connection.pk)).content.decode()

    assert "waits for the off-peak window" in page
    assert "waits for its window" in page
    assert "in 3 h" in page


@pytest.mark.parametrize(
    ("every", "cron", "said"),
    [
        (900, "", "every 15 min"),
        (0, "", ""),
        (0, "30 2 * * *", "daily at 02:30 UTC"),
        (0, "0 14 * * mon-fri", "Mon-Fri at 14:00 UTC"),
        (0, "5 0 * * 0,6", "Sat-Sun at 00:05 UTC"),
        (0, "*/10 * * * *", "by cron */10 * * * *, UTC"),
        (0, "0 3 1 * *", "by cron 0 3 1 * *, UTC"),
        (0, "30 2 * * mon-fri Europe/Berlin", "Mon-Fri at 02:30 Europe/Berlin"),
        (0, "*/10 * * * * Asia/Tokyo", "by cron */10 * * * *, Asia/Tokyo"),
    ],
)
def test_a_schedule_in_words(every: int, cron: str, said: str) -> None:
    assert schedule_said(every, cron) == said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"state": "ready"}, "R-7 reads the list, 0 objects"),
        ({"state": "waiting", "waits_for": "the off-peak window"}, "R-7 waits for the off-peak window"),
        ({"state": "leased", "missing": 3, "gone": 1, "listed": True}, "R-7 asks for 3 missing objects, 1 gone"),
        (
            {"state": "parked", "category": "business rule", "missing": 25, "held": 40, "listed": True},
            "25 of 40 are missing",
        ),
        ({"state": "parked", "category": "authentication", "missing": 2, "listed": True}, "R-7 failed: authentication"),
        ({"state": "parked", "category": "provider outage"}, "R-7 failed: provider outage"),
        ({"state": "dismissed"}, "dismissed, everything is kept"),
        ({"state": "done", "held": 40}, "all 40 are there"),
        ({"state": "done", "missing": 5, "gone": 3, "held": 40}, "3 gone, 2 still there of 5 not listed"),
    ],
)
def test_what_a_scan_found_in_words(fields: dict[str, Any], said: str) -> None:
    listed = timezone.now() if fields.pop("listed", False) else None

    assert scan_said(Run(pk=7, kind="scan", listed_at=listed, **fields)) == said


@pytest.mark.parametrize(
    ("at", "zone", "said"),
    [
        ("2026-11-21 01:30", "UTC", ""),
        ("2026-11-21 01:30", "Europe/Berlin", "Sat 02:30 Europe/Berlin, 01:30 UTC"),
        ("2026-11-21 23:30", "Europe/Berlin", "Sun 00:30 Europe/Berlin, Sat 23:30 UTC"),
    ],
)
def test_a_time_is_told_by_the_clocks_of_its_zone_and_of_utc(at: str, zone: str, said: str) -> None:
    assert clock_said(datetime.fromisoformat(f"{at}+00:00"), zone) == said


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "at any time"),
        ("daily 22:00-06:00 Europe/Berlin", "from Sat 22:00 Europe/Berlin, 21:00 UTC"),
        ("daily 08:00-22:00 Europe/Berlin", "now, until Sat 22:00 Europe/Berlin, 21:00 UTC"),
        ("daily 22:00-06:00", "from Sat 22:00 UTC"),
    ],
)
def test_whether_bulk_runs_may_go_on_is_told_with_until_or_from_when(lines: str, said: str) -> None:
    kept = [window.kept() for window in parse_all(lines)]

    assert bulk_said(kept, datetime(2026, 11, 21, 12, tzinfo=UTC)) == said


def test_a_schedule_in_a_time_zone_shows_its_next_run_in_both(
    stream: Stream, at: At, client_of: Any, engineer: User
) -> None:
    client = client_of(engineer)

    answer = client.post(
        at("stream_schedule", stream.pk),
        {"schedule": "30 2 * * * europe/berlin", "overlap": "5 min", "scan": "never", "absent_share": "10",
         "absent_least": "20", "reason": "At night there"},
    )  # fmt: skip

    assert answer.status_code == 302
    page = client.get(at("connection", stream.connection_id)).content.decode()
    assert "daily at 02:30 Europe/Berlin" in page
    assert re.search(r"\w{3} 02:30 Europe/Berlin, 0[01]:30 UTC", page)
    assert "A time that clocks skip in spring" in client.get(at("stream_schedule", stream.pk)).content.decode()
