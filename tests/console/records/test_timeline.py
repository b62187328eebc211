from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.models import User
from console.records import timeline
from integrations.models import JournalEntry, Record
from integrations.workflow.process import process_batch
from tests.conftest import customer_object
from tests.console.records.conftest import invoice_object

NOW = datetime(2026, 11, 19, 14, 32, 8, tzinfo=UTC)


def line(record: Record, at: datetime, **fields: Any) -> JournalEntry:
    """Write one line of a record's journal."""
    given = {"lane": "events", "action": "event.decided", "summary": "invoice.paid arrived: open → paid"} | fields
    return JournalEntry.objects.create(
        at=at, tenant_id=record.tenant_id, environment="test", record_id=record.pk, **given
    )


@pytest.fixture
def record(make_record: Any) -> Record:
    made: Record = make_record()
    return made


def test_days_are_headed_and_silences_said(record: Record, support: User) -> None:
    line(record, NOW - timedelta(days=2, hours=7))
    line(record, NOW - timedelta(hours=22))
    line(record, NOW - timedelta(hours=1))
    line(record, NOW)

    stretch = timeline.read(record, NOW, support)

    assert [(each.day, each.gap) for each in stretch.lines] == [
        ("Today, Thursday 19 November", ""),
        ("", ""),
        ("Yesterday, Wednesday 18 November", "21 hours, nothing"),
        ("Tuesday 17 November", "1 day 9 hours, nothing"),
    ]


@pytest.mark.parametrize("oldest_first", [False, True])
def test_stretches_follow_each_other_without_a_gap_or_a_day_twice(
    record: Record, support: User, monkeypatch: pytest.MonkeyPatch, oldest_first: bool
) -> None:
    monkeypatch.setattr(timeline, "SIZE", 3)
    written = [line(record, NOW - timedelta(minutes=10 - n)).pk for n in range(8)]

    seen, days, place, counts = [], [], None, ""
    for _ in range(3):
        stretch = timeline.read(record, NOW, support, place=place, oldest_first=oldest_first, seen=counts)
        seen += [each.entry.pk for each in stretch.lines]
        days += [each.day for each in stretch.lines if each.day]
        place, counts = stretch.goes_on, stretch.seen

    assert seen == (written if oldest_first else written[::-1])
    assert len(days) == 1
    assert place is None
    assert counts == "0.8.0.0.0"


def test_evidence_from_before_the_record_belongs_to_its_story(
    tell: Any, client_of: Any, support: Any, records_url: str
) -> None:
    tell("invoice.created", invoice_object(), created=1_700_000_100)
    tell("customer.created", customer_object(), created=1_700_000_000)
    process_batch()
    invoice = Record.objects.get(kind="invoice")

    text = client_of(support).get(f"{records_url}{invoice.pk}/").content.decode()

    assert "Its customer has not arrived yet" in text
    assert "The first evidence of this record" in text


def test_duplicates_and_late_evidence_are_told_in_words(
    tell: Any, client_of: Any, support: Any, records_url: str, customer: Record
) -> None:
    tell("customer.updated", customer_object(name="Halvorsen AS"), created=1_700_000_500)
    tell("customer.updated", customer_object(name="Halvorsen"), created=1_700_000_400)
    line(
        customer,
        NOW,
        action="event.redelivered",
        summary="customer.updated was delivered again: counted and not processed, the evidence was already here",
        outcome="duplicate",
    )

    text = client_of(support).get(f"{records_url}{customer.pk}/").content.decode()

    assert "we already hold 2023-11-14 22:21:40 UTC: the evidence is kept, belief stays" in text
    assert "stale" in text
    assert "counted and not processed, the evidence was already here" in text
    assert "duplicate" in text


def test_older_entries_come_alone_to_htmx_and_as_a_page_to_others(
    client_of: Any, support: Any, records_url: str, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "SIZE", 2)
    for minute in range(5):
        line(record, NOW - timedelta(minutes=minute), summary=f"customer.updated arrived: number {minute}")
    client = client_of(support)
    first = client.get(f"{records_url}{record.pk}/")
    place = first.context["stretch"].goes_on

    more = client.get(
        f"{records_url}{record.pk}/timeline/", {"place": place, "seen": "0.2.0.0.0"}, HTTP_HX_REQUEST="true"
    )
    page = client.get(f"{records_url}{record.pk}/", {"place": place})

    assert "number 2" in more.content.decode()
    assert "<html" not in more.content.decode()
    assert '<span class="count" id="count-events" hx-swap-oob="true">4</span>' in more.content.decode()
    assert "number 2" in page.content.decode()
    assert "number 0" not in page.content.decode()


def test_an_entry_shows_the_change_and_the_evidence_behind_it(
    client_of: Any, support: Any, records_url: str, invoice: Record
) -> None:
    entry = JournalEntry.objects.filter(record_id=invoice.pk, action="record.changed").latest("id")
    url = f"{records_url}{invoice.pk}/entries/{entry.pk}/"

    part = client_of(support).get(url, HTTP_HX_REQUEST="true").content.decode()
    page = client_of(support).get(url).content.decode()

    assert "<del>draft</del> <ins>open</ins>" in part
    assert "<del>none</del> <ins>INV-2041</ins>" in part
    assert "invoice v1" in part
    assert f"/events/{entry.subject_id}/" in part
    assert "<html" not in part
    assert "<html" in page


def test_an_entry_of_another_record_is_not_found(
    client_of: Any, support: Any, records_url: str, record: Record, make_record: Any
) -> None:
    other = line(make_record(), NOW)

    assert client_of(support).get(f"{records_url}{record.pk}/entries/{other.pk}/").status_code == 404


@pytest.mark.parametrize(
    ("summary", "action", "lane", "said"),
    [
        ("invoice.paid arrived: open → paid", "event.decided", "events", ("invoice.paid", "arrived", "open → paid")),
        ("Checked at Stripe: matches", "record.checked", "reconciliation", ("", "Checked at Stripe", "matches")),
        ("draft → open. Caused by x", "record.changed", "state", ("", "draft → open", "Caused by x")),
        ("Sam noted", "record.noted", "people", ("", "noted", "")),
        (
            "unreadable arrived: no JSON.; parked",
            "event.parked",
            "events",
            ("", "unreadable arrived", "no JSON; parked"),
        ),
    ],
)
def test_a_line_is_cut_where_its_reason_begins(
    summary: str, action: str, lane: str, said: tuple[str, str, str]
) -> None:
    entry = JournalEntry(summary=summary, action=action, lane=lane, actor="Sam")

    assert timeline.said_of(entry) == timeline.Said(*said)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(hours=2), "2 hours"),
        (timedelta(hours=21, minutes=20), "21 hours"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=2, hours=6), "2 days 6 hours"),
        (timedelta(days=40, hours=6), "40 days"),
    ],
)
def test_silence_is_said_in_days_and_hours(span: timedelta, words: str) -> None:
    assert timeline.silence_of(span) == words
