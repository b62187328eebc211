"""Secrets rotate without a moment in which nothing opens, and a proof that fails changes nothing."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from integrations.boundary.gates import load_gate
from integrations.configuration.credentials import (
    activate_by_delivery,
    cancel,
    retire_due,
    revoke,
    submit,
    verify,
)
from integrations.configuration.reach import access_of
from integrations.failures.categories import Category
from integrations.journal.actor import Actor
from integrations.models import Attempt, Connection, Credential, JournalEntry, Run, Stream
from integrations.workflow import runs, sync, tasks
from integrations.workflow.errors import Refusal
from tests.conftest import API_KEY
from tests.fake_provider import Provider

pytestmark = pytest.mark.django_db(transaction=True)

MARTA = Actor(None, "Marta Kowalczyk", "operations", "192.0.2.88", "req_1")
NEW_KEY = "sk_test_northwind0002"
NEW_SECRET = "whsec_of_the_tests_0002"


def give(connection: Connection, secret: str = NEW_KEY, **options: Any) -> Credential:
    purpose = "api_key" if secret.startswith("sk") else "webhook_secret"
    return submit(connection, purpose=purpose, secret=secret, actor=MARTA, reason="Yearly", **options)


def states(purpose: str = "api_key") -> list[tuple[int, str]]:
    return list(Credential.objects.filter(purpose=purpose).order_by("version").values_list("version", "state"))


def actions() -> list[str]:
    return list(
        JournalEntry.objects.filter(action__startswith="credential.").order_by("id").values_list("action", flat=True)
    )


# -- a secret that a call proves


def test_a_new_key_is_proved_by_a_call_and_the_old_one_retires(connection: Connection, provider: Provider) -> None:
    new = give(connection, overlap_hours=2)
    assert states() == [(1, "active"), (2, "pending")]

    verify(new.pk)

    assert states() == [(1, "retiring"), (2, "active")]
    assert provider.paths == ["/v1/account"]
    assert provider.asked[0].headers["authorization"] == f"Bearer {NEW_KEY}"
    old = Credential.objects.get(purpose="api_key", version=1)
    assert old.retire_at
    assert timedelta(minutes=119) < old.retire_at - timezone.now() <= timedelta(hours=2)
    assert access_of(connection).secrets["api_key"] == NEW_KEY


def test_the_overlap_is_24_hours_where_nobody_says_otherwise(connection: Connection, provider: Provider) -> None:
    verify(give(connection).pk)

    old = Credential.objects.get(purpose="api_key", version=1)
    assert old.retire_at
    assert timedelta(hours=23, minutes=59) < old.retire_at - timezone.now() <= timedelta(hours=24)


def test_until_it_is_proved_the_old_key_is_used(connection: Connection, provider: Provider) -> None:
    give(connection)

    assert access_of(connection).secrets["api_key"] == API_KEY


def account(provider: Provider, name: str) -> httpx.Response:
    return provider.json({"id": name, "object": "account"})


def test_a_key_of_another_account_is_refused_once_anything_came_of_the_present_one(
    connection: Connection, provider: Provider, make_event: Any
) -> None:
    """A command in doubt would be done in both, and nothing that is known by its id is there."""
    verify(give(connection).pk)
    make_event()
    provider.answers = [account(provider, "acct_2")]
    other = give(connection, "sk_test_northwind0003")

    verify(other.pk)

    assert states()[1:] == [(2, "active"), (3, "revoked")]
    other.refresh_from_db()
    assert other.failure == "It is of another account, acct_2, and this connection is of acct_1. Connect that one anew"
    assert access_of(connection).secrets["api_key"] == NEW_KEY


def test_before_anything_came_of_it_a_key_may_be_of_another_account(connection: Connection, provider: Provider) -> None:
    verify(give(connection).pk)
    provider.answers = [account(provider, "acct_2")]

    verify(give(connection, "sk_test_northwind0003").pk)

    connection.refresh_from_db()
    assert (states()[-1], connection.account) == ((3, "active"), "acct_2")


def test_a_key_that_may_not_read_its_account_is_taken(
    connection: Connection, provider: Provider, make_event: Any
) -> None:
    verify(give(connection).pk)
    make_event()
    provider.answers = [provider.json({"error": {"type": "invalid_request_error"}}, status=403)]

    verify(give(connection, "sk_test_northwind0003").pk)

    connection.refresh_from_db()
    assert (states()[-1], connection.account) == ((3, "active"), "acct_1")


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_the_provider_refuses_changes_nothing(
    connection: Connection, provider: Provider, status: int
) -> None:
    provider.answers = [provider.failing(status), provider.failing(status)]
    new = give(connection)

    verify(new.pk)

    new.refresh_from_db()
    assert states() == [(1, "active"), (2, "revoked")]
    assert new.failure
    assert access_of(connection).secrets["api_key"] == API_KEY
    assert actions() == ["credential.submitted", "credential.failed"]


@pytest.mark.parametrize("answer", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), 500, 429])
def test_a_provider_that_does_not_answer_has_not_refused_the_key(
    connection: Connection, provider: Provider, answer: Any
) -> None:
    """The secret was given once and nobody can read it again: it waits until the provider says something."""
    provider.answers = [provider.failing(answer) if isinstance(answer, int) else answer]
    new = give(connection)

    verify(new.pk)
    assert states() == [(1, "active"), (2, "pending")]
    new.refresh_from_db()
    assert new.failure
    verify(new.pk)

    assert states() == [(1, "retiring"), (2, "active")]
    assert actions() == ["credential.submitted", "credential.activated"]


def test_a_lost_message_does_not_lose_the_proof(
    connection: Connection, provider: Provider, monkeypatch: pytest.MonkeyPatch, quiet_broker: list[str]
) -> None:
    give(connection)
    quiet_broker.clear()  # emptied before a worker came
    Credential.objects.filter(state="pending").update(created_at=timezone.now() - timedelta(minutes=1))

    tasks.sweep()

    assert "integrations.verify_credential" in quiet_broker


def test_proving_it_twice_proves_it_once(connection: Connection, provider: Provider) -> None:
    new = give(connection)
    verify(new.pk)

    verify(new.pk)

    assert states() == [(1, "retiring"), (2, "active")]
    assert len(provider.asked) == 1


def test_the_call_is_an_attempt_and_no_transaction_is_open(connection: Connection, provider: Provider) -> None:
    seen: list[tuple[bool, int]] = []
    provider.watch = lambda _: seen.append((database.in_atomic_block, Attempt.objects.count()))

    verify(give(connection).pk)

    assert seen == [(False, 1)]
    assert Attempt.objects.get().status == 200


def test_runs_that_the_old_key_parked_go_on(connection: Connection, provider: Provider) -> None:
    provider.answers = [provider.failing(401)]
    runs.ask(Stream.objects.select_related("connection").get(resource="customer"), actor=MARTA)
    sync.perform_next()
    assert Run.objects.get().category == Category.AUTHENTICATION

    verify(give(connection).pk)
    sync.perform_next()

    assert Run.objects.get().state == "done"


# -- a secret that only a delivery proves


def test_a_signing_secret_opens_beside_the_old_one_until_it_is_proved(connection: Connection) -> None:
    new = give(connection, NEW_SECRET)

    gate = load_gate(connection.public_id)

    assert gate
    assert len(gate.secrets) == 2
    assert gate.pending == {new.pk}


def test_a_delivery_proves_it(connection: Connection) -> None:
    new = give(connection, NEW_SECRET)

    activate_by_delivery(new.pk)
    activate_by_delivery(new.pk)

    assert states("webhook_secret") == [(1, "retiring"), (2, "active")]
    assert actions() == ["credential.submitted", "credential.activated"]


def test_after_the_overlap_the_old_one_opens_nothing(connection: Connection) -> None:
    activate_by_delivery(give(connection, NEW_SECRET).pk)
    assert retire_due() == 0
    Credential.objects.filter(state="retiring").update(retire_at=timezone.now() - timedelta(seconds=1))

    assert retire_due() == 1

    gate = load_gate(connection.public_id)
    assert states("webhook_secret") == [(1, "revoked"), (2, "active")]
    assert gate
    assert gate.secrets == [NEW_SECRET]
    assert JournalEntry.objects.get(action="credential.revoked").actor == "the engine"


def test_the_overlap_can_be_ended_early(connection: Connection) -> None:
    activate_by_delivery(give(connection, NEW_SECRET).pk)
    old = Credential.objects.get(purpose="webhook_secret", version=1)

    revoke(old, actor=MARTA, reason="It leaked")

    gate = load_gate(connection.public_id)
    assert gate
    assert gate.secrets == [NEW_SECRET]
    entry = JournalEntry.objects.get(action="credential.revoked")
    assert (entry.actor, entry.reason) == ("Marta Kowalczyk", "It leaked")


@pytest.mark.parametrize("state", ["active", "pending", "revoked"])
def test_only_a_retiring_secret_is_ended(connection: Connection, state: str) -> None:
    credential = give(connection, NEW_SECRET)
    Credential.objects.filter(purpose="webhook_secret", version=1).update(state="revoked")
    Credential.objects.filter(pk=credential.pk).update(state=state)

    with pytest.raises(Refusal, match=state):
        revoke(credential, actor=MARTA, reason="It leaked")


def test_a_third_secret_leaves_the_second_retiring_and_the_first_to_its_end(connection: Connection) -> None:
    activate_by_delivery(give(connection, NEW_SECRET).pk)
    activate_by_delivery(give(connection, "whsec_of_the_tests_0003").pk)

    assert states("webhook_secret") == [(1, "retiring"), (2, "retiring"), (3, "active")]
    gate = load_gate(connection.public_id)
    assert gate
    assert len(gate.secrets) == 3


# -- giving and taking back


def test_one_secret_is_proved_at_a_time(connection: Connection) -> None:
    give(connection)

    with pytest.raises(Refusal, match="Cancel that first"):
        give(connection, "sk_test_northwind0003")

    assert give(connection, NEW_SECRET), "a secret of another purpose is another matter"


def test_a_pending_secret_can_be_cancelled(connection: Connection, provider: Provider) -> None:
    new = give(connection)

    cancel(new, actor=MARTA, reason="The wrong one")
    verify(new.pk)

    assert states() == [(1, "active"), (2, "revoked")]
    assert provider.asked == []
    assert JournalEntry.objects.get(action="credential.cancelled").reason == "The wrong one"
    assert give(connection, "sk_test_northwind0003").version == 3


def test_what_is_proved_cannot_be_cancelled(connection: Connection, provider: Provider) -> None:
    new = give(connection)
    verify(new.pk)

    with pytest.raises(Refusal, match="active already"):
        cancel(new, actor=MARTA, reason="The wrong one")


def test_cancelling_while_it_is_proved_wins(connection: Connection, provider: Provider) -> None:
    new = give(connection)
    provider.watch = lambda _: cancel(new, actor=MARTA, reason="The wrong one")

    verify(new.pk)

    assert states() == [(1, "active"), (2, "revoked")]


@pytest.mark.parametrize(
    ("secret", "reason", "words"),
    [
        ("", "Yearly", "This is no API key"),
        ("pk_test_0001", "Yearly", "This is no API key"),
        ("sk_test_short", "Yearly", "This is no API key"),
        (f"{NEW_KEY}\n{NEW_KEY}", "Yearly", "This is no API key"),
        (NEW_KEY, " ", "Give a reason"),
    ],
)
def test_what_is_no_key_or_has_no_reason_is_refused(
    connection: Connection, secret: str, reason: str, words: str
) -> None:
    with pytest.raises(Refusal, match=words) as caught:
        submit(connection, purpose="api_key", secret=secret, actor=MARTA, reason=reason)

    assert states() == [(1, "active")]
    assert NEW_KEY not in str(caught.value)


def test_a_purpose_that_the_provider_does_not_have_is_refused(connection: Connection) -> None:
    with pytest.raises(Refusal, match="no such secret"):
        submit(connection, purpose="password", secret="x", actor=MARTA, reason="Yearly")


def test_spaces_around_a_pasted_secret_are_not_part_of_it(connection: Connection, provider: Provider) -> None:
    verify(give(connection, f"{NEW_KEY}\n").pk)

    assert access_of(connection).secrets["api_key"] == NEW_KEY


def test_no_secret_lies_open_in_the_database(connection: Connection, provider: Provider) -> None:
    verify(give(connection).pk)

    with database.cursor() as cursor:
        for table in ("credential", "journal", "attempt"):
            cursor.execute(f"SELECT t::text FROM integrations_{table} t")
            text = "".join(row[0] for row in cursor.fetchall())
            assert NEW_KEY not in text, table
            assert NEW_KEY.encode().hex() not in text, table
    assert Credential.objects.get(version=2).hint == "…0002"


def test_a_refused_submission_asks_nobody_to_prove_it(connection: Connection, quiet_broker: list[str]) -> None:
    with transaction.atomic():
        give(connection)
        transaction.set_rollback(True)

    assert quiet_broker == []
    assert states() == [(1, "active")]
