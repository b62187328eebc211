from typing import Any

import pytest

from integrations.models import JournalEntry, Record
from tests.console.records.conftest import ALERT


@pytest.fixture
def url(records_url: str, make_record: Any) -> str:
    record: Record = make_record(data={"name": "Halvorsen"})
    return f"{records_url}{record.pk}/"


def test_a_note_stands_in_the_timeline_with_its_writer(client_of: Any, support: Any, url: str) -> None:
    answer = client_of(support).post(f"{url}note/", {"text": f"They called. {ALERT}"}, follow=True)

    entry = JournalEntry.objects.get(action="record.noted")
    assert entry.actor_id == support.pk
    assert "noted: “They called." in answer.content.decode()
    assert ALERT not in answer.content.decode()


def test_the_question_is_a_dialog_to_htmx_and_a_page_to_others(client_of: Any, support: Any, url: str) -> None:
    client = client_of(support)

    assert client.get(f"{url}note/", HTTP_HX_REQUEST="true").content.decode().strip().startswith("<dialog")
    assert "<html" in client.get(f"{url}note/").content.decode()


@pytest.mark.parametrize(("text", "said"), [("  ", "Write what the next reader should know."), ("x" * 2001, "at most")])
def test_a_note_that_cannot_be_kept_comes_back(client_of: Any, support: Any, url: str, text: str, said: str) -> None:
    answer = client_of(support).post(f"{url}note/", {"text": text})

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not JournalEntry.objects.filter(action="record.noted").exists()


def test_auditors_read_and_do_not_write(client_of: Any, auditor: Any, url: str) -> None:
    assert client_of(auditor).post(f"{url}note/", {"text": "x"}).status_code == 403
