import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, close_old_connections, connection, transaction

from integrations.journal.keys import fingerprint, key_file, public_keys, signing_key
from integrations.journal.seal import JournalWentBack, digest_of, head_file, seal
from integrations.journal.verify import unsealed, verify
from integrations.models import Checkpoint, JournalEntry

pytestmark = pytest.mark.django_db(transaction=True)
Say = Callable[..., JournalEntry]


def test_it_seals_what_was_written_since_the_last_one(say: Say) -> None:
    say(), say()
    first = seal()
    say()

    second = seal()

    assert first
    assert second
    assert (first.number, first.entries) == (1, 2)
    assert (second.number, second.entries) == (2, 1)
    assert second.previous == first.digest
    assert second.from_xact == first.to_xact


def test_nothing_new_makes_no_checkpoint(say: Say) -> None:
    say()
    seal()

    assert seal() is None
    assert Checkpoint.objects.count() == 1


def test_much_is_sealed_in_several_of_whole_transactions(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.journal.seal.MOST", 2)
    with transaction.atomic():
        say(), say(), say()
    for _ in range(4):
        say()

    seal()

    made = list(Checkpoint.objects.values_list("entries", flat=True))
    assert made == [3, 2, 2]
    assert verify().intact


def test_an_entry_of_a_transaction_that_still_runs_waits_for_the_next_one(say: Say) -> None:
    written, sealed = threading.Event(), threading.Event()

    def slow() -> None:
        try:
            with transaction.atomic():
                say("slow")
                written.set()
                sealed.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    written.wait(20)
    say("fast, and later")

    during = seal()
    sealed.set()
    thread.join()
    after = seal()

    close_old_connections()
    assert during is None
    assert after
    assert after.entries == 2


def test_equal_entries_give_equal_digests_and_others_do_not(say: Say) -> None:
    say(data={"b": 1.10, "a": "ü"})
    with transaction.atomic():
        once, again = digest_of(0, 2**62, ""), digest_of(0, 2**62, "")
        chained = digest_of(0, 2**62, "other")

    assert once == again
    assert once[1] != chained[1]


def test_the_key_is_made_once_and_its_owner_alone_may_read_it(data_dir: Path) -> None:
    assert public_keys() == []

    first, second = signing_key(), signing_key()

    assert fingerprint(first.public_key()) == fingerprint(second.public_key())
    assert key_file().stat().st_mode & 0o777 == 0o600
    assert [path.name for path in data_dir.iterdir()] == ["journal.key"]


def test_the_newest_seal_is_known_outside_of_the_database(say: Say) -> None:
    say()

    checkpoint = seal()

    assert checkpoint
    assert checkpoint.digest in head_file().read_text()


def test_a_database_that_counts_from_further_back_is_refused(say: Say) -> None:
    Checkpoint.objects.create(
        number=1, from_xact=0, to_xact=2**60, entries=1, digest="d", signature="s", at="2026-01-01T00:00:00Z"
    )
    say()

    with pytest.raises(JournalWentBack):
        seal()


def test_entries_wait_for_the_next_seal(say: Say) -> None:
    say()
    seal()
    say(), say()

    assert unsealed() == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE integrations_journal SET summary = 'nothing happened'",
        "DELETE FROM integrations_journal",
        "TRUNCATE integrations_journal",
        "UPDATE integrations_checkpoint SET entries = 0",
        "DELETE FROM integrations_checkpoint",
    ],
)
def test_the_database_refuses_to_change_or_remove(say: Say, statement: str) -> None:
    say()
    seal()

    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute(statement)

    assert JournalEntry.objects.get().summary == "Noted"
    assert Checkpoint.objects.get().entries == 1


def test_a_partition_cannot_be_changed_behind_the_journal(say: Say) -> None:
    entry = say()

    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM integrations_journal_{entry.at:%Y_%m}")

    assert JournalEntry.objects.count() == 1


def partitions() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent='integrations_journal'::regclass"
        )
        return [row[0] for row in cursor.fetchall()]


def test_a_partition_cannot_be_emptied_behind_the_journal(say: Say) -> None:
    say()

    for name in partitions():
        with pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {name}")

    assert JournalEntry.objects.count() == 1
