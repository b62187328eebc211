from pathlib import Path
from typing import Any

import pytest

from console.models import User
from integrations.journal.keys import public_keys, public_text
from integrations.journal.seal import seal
from integrations.models import Connection, JournalEntry
from tests.journal.conftest import without_triggers

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/northwind/test/audit/"


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.JOURNAL_KEY = ""


def test_it_needs_an_auditor(
    connection: Connection, client_of: Any, support: User, operations: User, finance: User, engineer: User,
    administrator: User,
) -> None:  # fmt: skip
    for user in (support, operations, finance, engineer, administrator):
        client = client_of(user)
        assert client.post(f"{PAGE}verify/").status_code == 403
        assert client.get(f"{PAGE}key/").status_code == 403


def test_an_intact_journal_is_said_to_be(connection: Connection, client_of: Any, auditor: User) -> None:
    sealed = seal()
    client = client_of(auditor)

    page = client.post(f"{PAGE}verify/", follow=True).content.decode()

    assert sealed
    assert f"{sealed.entries:,} entries of 1 checkpoint are as they were sealed" in page
    assert "by Auditor: no entry missing, changed or added" in page
    assert JournalEntry.objects.get(action="journal.verified").actor == "Auditor"


def test_a_changed_journal_is_said_loudly_until_it_is_verified_again(
    connection: Connection, client_of: Any, auditor: User
) -> None:
    seal()
    with without_triggers() as cursor:
        cursor.execute("UPDATE integrations_journal SET actor = 'Nobody'")
    client = client_of(auditor)

    first = client.post(f"{PAGE}verify/", follow=True).content.decode()
    later = client.get(PAGE).content.decode()

    assert "Checkpoint 1: At least one of" in first
    assert "not as it was sealed" in later
    assert 'class="notice danger"' in later


def test_reading_the_address_verifies_nothing(connection: Connection, client_of: Any, auditor: User) -> None:
    assert client_of(auditor).get(f"{PAGE}verify/").status_code == 405


def test_before_the_first_seal_it_says_so(connection: Connection, client_of: Any, auditor: User) -> None:
    page = client_of(auditor).post(f"{PAGE}verify/", follow=True).content.decode()

    assert "Nothing has been sealed yet" in page


def test_the_public_key_is_handed_out(connection: Connection, client_of: Any, auditor: User) -> None:
    seal()

    answer = client_of(auditor).get(f"{PAGE}key/")

    assert answer.content.decode().strip() == public_text(public_keys()[0])
    assert answer["Content-Type"].startswith("text/plain")


def test_sealed_entries_are_marked(connection: Connection, client_of: Any, auditor: User, engineer: User) -> None:
    seal()

    page = client_of(auditor).get(PAGE, {"view": "all"}).content.decode()

    assert "sealed</span>" in page
    assert "ed25519:" in page
