"""The journal is sealed by finished transactions, so these tests commit for real and start over afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction

from integrations.journal.actor import Actor
from integrations.journal.write import Entry, write
from integrations.models import JournalEntry, Lane
from tests.conftest import triggers

MARTA = Actor(7, "Marta Kowalczyk", "finance", "192.0.2.88", "req_0001")


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> Path:
    """Give each test a key and a head of its own."""
    settings.DATA_DIR = tmp_path
    settings.JOURNAL_KEY = ""
    return tmp_path


@pytest.fixture
def say() -> Callable[..., JournalEntry]:
    """Return a factory of journal entries, each in a transaction of its own."""

    def make(summary: str = "Noted", **fields: Any) -> JournalEntry:
        defaults: dict[str, Any] = {
            "tenant_id": 1, "environment": "test", "lane": Lane.PEOPLE, "action": "record.noted", "actor": MARTA,
        }  # fmt: skip
        with transaction.atomic():
            return write([Entry(summary=summary, **(defaults | fields))])[0]

    return make


@contextmanager
def without_triggers() -> Iterator[Any]:
    """What a database administrator could do: write past the triggers that guard the journal."""
    with transaction.atomic(), database.cursor() as cursor:
        cursor.execute(triggers("DISABLE"))
        yield cursor
        cursor.execute(triggers("ENABLE"))
