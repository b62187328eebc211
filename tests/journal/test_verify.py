import io
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command

from integrations.journal.keys import key_file, public_keys, public_text
from integrations.journal.seal import JournalCut, head_file, seal
from integrations.journal.verify import verify, verify_newest
from integrations.models import JournalEntry, Tenant
from tests.journal.conftest import MARTA, without_triggers

pytestmark = pytest.mark.django_db(transaction=True)
Say = Callable[..., JournalEntry]


@pytest.fixture
def sealed(say: Say) -> list[JournalEntry]:
    """Three checkpoints of two entries each."""
    entries = []
    for _ in range(3):
        entries += [say("Paused"), say("Resumed")]
        assert seal()
    return entries


def words() -> list[str]:
    return [f"{finding.checkpoint}: {finding.words}" for finding in verify().findings]


def test_an_untouched_journal_is_intact(sealed: list[JournalEntry]) -> None:
    result = verify()

    assert result.intact
    assert (result.checkpoints, result.entries, result.first, result.last) == (3, 6, 1, 3)
    assert result.blind == []


def test_a_changed_entry_is_found(sealed: list[JournalEntry]) -> None:
    with without_triggers() as cursor:
        cursor.execute("UPDATE integrations_journal SET actor = 'Somebody else' WHERE id = %s", [sealed[2].pk])

    assert words() == ["2: At least one of 2 sealed entries changed."]


def test_a_changed_detail_is_found(sealed: list[JournalEntry]) -> None:
    with without_triggers() as cursor:
        cursor.execute("UPDATE integrations_journal SET data = '{\"rows\": 1}' WHERE id = %s", [sealed[2].pk])

    assert words() == ["2: At least one of 2 sealed entries changed."]


def test_a_removed_entry_is_found(sealed: list[JournalEntry]) -> None:
    with without_triggers() as cursor:
        cursor.execute("DELETE FROM integrations_journal WHERE id = %s", [sealed[0].pk])

    assert words() == ["1: 1 of 2 sealed entries removed."]


def test_an_emptied_journal_is_found(sealed: list[JournalEntry]) -> None:
    with without_triggers() as cursor:
        cursor.execute("TRUNCATE integrations_journal")

    assert words() == [f"{number}: 2 of 2 sealed entries removed." for number in (1, 2, 3)]


def test_an_entry_slipped_into_the_past_is_found(sealed: list[JournalEntry], say: Say) -> None:
    late = say("Approved")
    with without_triggers() as cursor:
        cursor.execute("UPDATE integrations_journal SET xact = %s WHERE id = %s", [sealed[2].xact, late.pk])
        sealed[2].refresh_from_db()
        cursor.execute("UPDATE integrations_journal SET xact = %s WHERE id = %s", [sealed[2].xact, late.pk])

    assert words() == ["2: 1 added to 2 sealed entries."]


def test_a_cut_end_is_found_by_what_is_known_outside_of_the_database(sealed: list[JournalEntry]) -> None:
    with without_triggers() as cursor:
        cursor.execute("DELETE FROM integrations_journal WHERE id >= %s", [sealed[4].pk])
        cursor.execute("DELETE FROM integrations_checkpoint WHERE number = 3")

    found = words()

    assert len(found) == 1
    assert "the journal ends at checkpoint 2, what came after was cut off" in found[0]


def test_a_cut_end_is_not_sealed_over(sealed: list[JournalEntry], say: Say) -> None:
    """The next seal would be a sound one, and forget outside of the database what was cut off."""
    with without_triggers() as cursor:
        cursor.execute("DELETE FROM integrations_journal WHERE id >= %s", [sealed[4].pk])
        cursor.execute("DELETE FROM integrations_checkpoint WHERE number = 3")
    say("Paused")

    with pytest.raises(JournalCut):
        seal()

    assert "the journal ends at checkpoint 2, what came after was cut off" in words()[0]


def test_a_history_written_anew_is_not_sealed_anew(sealed: list[JournalEntry], say: Say) -> None:
    with without_triggers() as cursor:
        cursor.execute("UPDATE integrations_journal SET actor = 'Somebody else'")
        cursor.execute("DELETE FROM integrations_checkpoint")

    with pytest.raises(JournalCut):
        seal()

    assert words()


def test_after_a_backup_was_restored_somebody_lets_sealing_go_on(sealed: list[JournalEntry], say: Say) -> None:
    with without_triggers() as cursor:
        cursor.execute("DELETE FROM integrations_checkpoint WHERE number = 3")
    head_file().unlink()

    assert seal()
    assert words() == []


def test_a_removed_checkpoint_is_found(sealed: list[JournalEntry]) -> None:
    with without_triggers() as cursor:
        cursor.execute("DELETE FROM integrations_checkpoint WHERE number = 1")

    assert words() == ["2: Checkpoint 1 before it is missing."]


def test_a_seal_made_anew_without_the_key_is_found(sealed: list[JournalEntry]) -> None:
    with without_triggers() as cursor:
        cursor.execute("UPDATE integrations_checkpoint SET entries = 1 WHERE number = 3")
        cursor.execute("DELETE FROM integrations_journal WHERE id = %s", [sealed[5].pk])

    found = words()

    assert "3: Its signature does not fit: the seal itself was changed, or another key signed it." in found
    assert "3: At least one of 1 sealed entry changed." in found


def test_seals_of_another_key_are_found(sealed: list[JournalEntry]) -> None:
    result = verify(public=[Ed25519PrivateKey.generate().public_key()])

    assert len(result.findings) == 3
    assert all("signature does not fit" in finding.words for finding in result.findings)


def test_a_replaced_key_still_verifies_old_seals(sealed: list[JournalEntry], settings: object) -> None:
    old = key_file().read_text()
    new = Ed25519PrivateKey.generate()
    from base64 import b64encode

    settings.JOURNAL_KEY = f"{b64encode(new.private_bytes_raw()).decode()},{old}"  # type: ignore[attr-defined]

    assert verify().intact


def test_without_head_and_key_it_says_what_it_cannot_tell(sealed: list[JournalEntry], data_dir: Path) -> None:
    head_file().unlink()
    key_file().unlink()

    result = verify()

    assert result.intact
    assert len(result.blind) == 2
    assert list(data_dir.iterdir()) == []


def test_the_newest_alone_are_verified_within_a_bound(sealed: list[JournalEntry]) -> None:
    assert verify(newest=2).first == 2
    assert verify(newest=3, most_entries=4).first == 2
    assert verify(newest=3, most_entries=1).first == 3


def test_the_older_ones_are_left_alone_by_a_bounded_look(sealed: list[JournalEntry]) -> None:
    with without_triggers() as cursor:
        cursor.execute("DELETE FROM integrations_journal WHERE id = %s", [sealed[0].pk])

    assert verify(newest=1).intact
    assert not verify().intact


def test_who_verified_and_what_they_found_is_journaled(sealed: list[JournalEntry]) -> None:
    tenant = Tenant.objects.create(slug="northwind", name="Northwind Traders")

    verify_newest(tenant, "test", actor=MARTA, newest=10, most_entries=1000)

    entry = JournalEntry.objects.get(action="journal.verified")
    assert entry.summary == "Marta Kowalczyk verified 6 entries: no entry missing, changed or added"
    assert entry.outcome == "intact"


def test_the_command_tells_and_fails_where_something_is_wrong(sealed: list[JournalEntry]) -> None:
    out = io.StringIO()
    call_command("verify_journal", stdout=out)
    assert "6 entries of 3 checkpoints are as they were sealed." in out.getvalue()

    with without_triggers() as cursor:
        cursor.execute("DELETE FROM integrations_journal WHERE id = %s", [sealed[0].pk])

    with pytest.raises(CommandError, match="Checkpoint 1: 1 of 2 sealed entries removed"):
        call_command("verify_journal", stdout=out)


def test_the_command_trusts_the_key_it_is_given(sealed: list[JournalEntry]) -> None:
    text = public_text(public_keys()[0])
    key_file().unlink()

    call_command("verify_journal", "--key", text, stdout=io.StringIO())
    with pytest.raises(CommandError, match="no public key"):
        call_command("verify_journal", "--key", "nonsense", stdout=io.StringIO())


def test_the_command_prints_the_public_key(sealed: list[JournalEntry]) -> None:
    out = io.StringIO()

    call_command("verify_journal", "--public-key", stdout=out)

    assert out.getvalue().strip() == public_text(public_keys()[0])
