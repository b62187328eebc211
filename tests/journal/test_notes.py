from collections.abc import Callable

import pytest

from integrations.journal.notes import note, reveal
from integrations.models import Event, JournalEntry, Record
from integrations.workflow.errors import Refusal
from tests.journal.conftest import MARTA

pytestmark = pytest.mark.django_db


def test_a_note_stands_on_the_records_timeline(make_record: Callable[..., Record]) -> None:
    record = make_record("invoice", data={"number": "INV-1"})

    note(record, text="  Customer called.\x00 ", actor=MARTA)

    entry = JournalEntry.objects.get(record_id=record.pk)
    assert (entry.lane, entry.action, entry.reason) == ("people", "record.noted", "Customer called.")
    assert (entry.actor, entry.role, entry.address, entry.request_id) == (
        "Marta Kowalczyk", "finance", "192.0.2.88", "req_0001"
    )  # fmt: skip
    assert entry.connection_id == record.connection_id


@pytest.mark.parametrize("text", ["", "  \n", "\x00", "x" * 2001])
def test_an_empty_or_endless_note_is_refused(text: str, make_record: Callable[..., Record]) -> None:
    with pytest.raises(Refusal):
        note(make_record(), text=text, actor=MARTA)

    assert not JournalEntry.objects.filter(action="record.noted").exists()


def test_a_reveal_keeps_its_reason(make_event: Callable[..., Event]) -> None:
    event = make_event()

    reveal(event, actor=MARTA, reason="Is the tax id empty?")

    entry = JournalEntry.objects.get(action="payload.revealed")
    assert (entry.subject_type, entry.subject_id, entry.reason) == ("event", event.pk, "Is the tax id empty?")


def test_a_reveal_without_a_reason_is_refused(make_event: Callable[..., Event]) -> None:
    with pytest.raises(Refusal):
        reveal(make_event(), actor=MARTA, reason=" ")
