"""Changing when streams run and scan, and the off-peak windows: checked, kept with who and why."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.configuration.schedules import change_stream, change_windows
from integrations.configuration.settings import BadSettings
from integrations.models import Connection, JournalEntry, Run, Stream
from integrations.workflow.errors import Refusal
from tests.conftest import TESTER

pytestmark = pytest.mark.django_db


@pytest.fixture
def stream(connection: Connection) -> Stream:
    return Stream.objects.get(connection=connection, resource="customer")


def change(stream: Stream, reason: str = "Finance asks", **values: Any) -> list[tuple[str, Any, Any]]:
    return change_stream(stream, values=values, actor=TESTER, reason=reason)


def test_an_interval_becomes_cron_and_the_next_time_follows(stream: Stream) -> None:
    changes = change(stream, schedule="30 2 * * MON-FRI")

    stream.refresh_from_db()
    assert changes == [("Runs", "15 min", "30 2 * * mon-fri")]
    assert (stream.every, stream.cron) == (0, "30 2 * * mon-fri")
    assert stream.next_run_at
    assert (stream.next_run_at.hour, stream.next_run_at.minute) == (2, 30)


def test_cron_becomes_an_interval_again(stream: Stream) -> None:
    change(stream, schedule="0 3 * * *")

    changes = change(stream, schedule="every 2 h")

    stream.refresh_from_db()
    assert changes == [("Runs", "0 3 * * *", "2 h")]
    assert (stream.every, stream.cron) == (7200, "")
    assert stream.next_run_at
    assert timedelta(hours=1) < stream.next_run_at - timezone.now() <= timedelta(hours=2)


def test_what_is_not_given_stays(stream: Stream) -> None:
    change(stream, overlap="10 min")

    stream.refresh_from_db()
    assert (stream.overlap, stream.every, stream.scan_every, stream.next_run_at) == (600, 900, 86_400, None)


@pytest.mark.parametrize("words", ["never", "", " Never "])
def test_scans_can_be_switched_off(words: str, stream: Stream) -> None:
    change(stream, scan=words)

    stream.refresh_from_db()
    assert (stream.scan_every, stream.scan_cron, stream.next_scan_at) == (0, "", None)


def test_it_is_kept_with_the_difference(stream: Stream) -> None:
    change(stream, scan="0 4 * * sun", absent_share=5, reason="Less at once")

    version = stream.history.first()
    assert version
    assert (version.history_change_reason, version.scan_cron, version.absent_share) == (
        "Less at once",
        "0 4 * * sun",
        5,
    )
    entry = JournalEntry.objects.get(action="stream.changed")
    assert entry.data["changes"] == [
        ["Absence scan", "1 d", "0 4 * * sun"],
        ["Most that may go at once, percent", 10, 5],
    ]
    assert entry.reason == "Less at once"


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"schedule": "often"}, "schedule", "Give an interval"),
        ({"schedule": "99 * * * *"}, "schedule", "The minute “99” is none"),
        ({"schedule": "never"}, "schedule", "Give an interval"),
        ({"overlap": "8 d"}, "overlap", "at most 7 d"),
        ({"overlap": "soon"}, "overlap", "Give a length of time"),
        ({"scan": "0 0 31 2 *"}, "scan", "There is no such day"),
        ({"absent_share": 0}, "absent_share", "from 1 to 100"),
        ({"absent_share": 101}, "absent_share", "from 1 to 100"),
        ({"absent_least": 0}, "absent_least", "from 1 to 1,000,000"),
    ],
)
def test_what_does_not_fit_is_said_and_changes_nothing(
    values: dict[str, Any], field: str, said: str, stream: Stream
) -> None:
    with pytest.raises(BadSettings) as caught:
        change(stream, **values)

    assert said in caught.value.faults[field]
    assert not JournalEntry.objects.filter(action="stream.changed").exists()


def test_an_event_log_is_not_scanned(connection: Connection) -> None:
    with pytest.raises(BadSettings, match="holds events"):
        change(Stream.objects.get(connection=connection, change_log=True), scan="1 d")


def test_it_takes_a_reason_and_something_to_change(stream: Stream) -> None:
    with pytest.raises(Refusal, match="Give a reason"):
        change(stream, reason=" ", overlap="10 min")
    with pytest.raises(Refusal, match="Nothing was changed"):
        change(stream, overlap="5 min", schedule="15 min", scan="1 d")


def windows(connection: Connection, lines: str, reason: str = "Quiet hours") -> list[tuple[str, Any, Any]]:
    return change_windows(connection, lines=lines, actor=TESTER, reason=reason)


def test_windows_are_kept_with_who_and_why(connection: Connection) -> None:
    changes = windows(connection, "Mon-Fri 22:00-06:00 Europe/Berlin\nSat 00:00-24:00")

    connection.refresh_from_db()
    assert changes == [("Off-peak windows", "none", "Mon-Fri 22:00-06:00 Europe/Berlin; Sat 00:00-00:00 UTC")]
    assert connection.windows[1] == {"days": [5], "from": "00:00", "to": "00:00", "zone": "UTC"}
    assert connection.history.first().history_change_reason == "Quiet hours"
    assert JournalEntry.objects.get(action="settings.changed").reason == "Quiet hours"


def test_a_line_that_names_no_window_changes_nothing(connection: Connection) -> None:
    with pytest.raises(BadSettings, match="Line 2"):
        windows(connection, "Mon 22:00-06:00\nat night")

    connection.refresh_from_db()
    assert connection.windows == []


def test_what_waits_for_a_window_looks_at_once_whether_it_may_go_on(connection: Connection, stream: Stream) -> None:
    windows(connection, "Mon 03:00-04:00")
    later = timezone.now() + timedelta(days=2)
    run = Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, stream=stream, kind="scan",
        state="waiting", waits_for="the off-peak window", due_at=later, asked_by="Priya",
    )  # fmt: skip

    windows(connection, "")

    run.refresh_from_db()
    assert run.due_at <= timezone.now()


def test_the_same_windows_again_change_nothing(connection: Connection) -> None:
    windows(connection, "daily 22:00-06:00")

    with pytest.raises(Refusal, match="Nothing was changed"):
        windows(connection, "daily 22:00 to 6:00 UTC\n\n")
