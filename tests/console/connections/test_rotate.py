import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.models import User
from integrations.boundary.vault import unseal
from integrations.configuration import credentials
from integrations.models import Connection, Credential, JournalEntry
from tests.conftest import TESTER

pytestmark = pytest.mark.django_db
At = Callable[..., str]
SECRET = "sk_test_brandnew_4711"
SIGNING = "whsec_brandnew_4711"


def given(secret: str = SECRET, **more: str) -> dict[str, str]:
    return {"secret": secret, "overlap_hours": "24", "reason": "Yearly rotation"} | more


@pytest.mark.parametrize("role", ["support", "finance", "auditor", "administrator"])
def test_it_needs_operations_or_an_engineer(
    role: str, request: Any, connection: Connection, at: At, client_of: Any
) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.post(at("credential_rotate", connection.pk, "api_key"), given()).status_code == 403
    assert Credential.objects.count() == 2


def test_a_new_one_is_kept_encrypted_and_waits_for_its_proof(
    connection: Connection, at: At, client_of: Any, operations: User
) -> None:
    answer = client_of(operations).post(at("credential_rotate", connection.pk, "api_key"), given())

    new = Credential.objects.get(state="pending")
    assert answer.status_code == 302
    assert (new.purpose, new.version, new.created_by) == ("api_key", 2, "Operations")
    assert SECRET.encode() not in bytes(new.secret)
    assert unseal(bytes(new.secret)) == SECRET.encode()
    assert Credential.objects.get(purpose="api_key", version=1).state == "active"


def test_the_page_asks_again_while_it_is_verified(
    connection: Connection, at: At, client_of: Any, operations: User
) -> None:
    client = client_of(operations)
    client.post(at("credential_rotate", connection.pk, "api_key"), given())

    during = client.get(at("connection_secrets", connection.pk)).content.decode()
    credentials.activate(Credential.objects.get(state="pending"), actor=TESTER, how="It works")
    after = client.get(at("connection_secrets", connection.pk)).content.decode()

    assert "being verified" in during
    assert "every 2s" in during
    assert "every 2s" not in after
    assert "retiring" in after
    assert "minutes left" in after


def test_one_that_only_a_delivery_proves_says_so(
    connection: Connection, at: At, client_of: Any, operations: User
) -> None:
    client = client_of(operations)

    client.post(at("credential_rotate", connection.pk, "webhook_secret"), given(SIGNING))

    page = client.get(at("connection", connection.pk)).content.decode()
    assert "waits for the first delivery signed with it" in page


def test_a_refused_one_says_why_and_that_nothing_changed(
    connection: Connection, at: At, client_of: Any, operations: User
) -> None:
    Credential.objects.create(
        connection=connection, purpose="api_key", version=2, state="revoked", secret=b"", hint="…4711",
        failure="Invalid API key", created_by="Operations", revoked_at=timezone.now(),
    )  # fmt: skip

    page = client_of(operations).get(at("connection", connection.pk)).content.decode()

    assert "v2 was not accepted: Invalid API key" in page
    assert "v1 is still active; nothing changed" in page


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (given(""), "Paste the new secret"),
        (given("hunter2"), "This is no API key"),
        (given(reason=""), "Give a reason"),
        (given(overlap_hours="-1"), "greater than or equal to 0"),
        (given(overlap_hours="soon"), "Give a number of hours"),
        (given(overlap_hours="1000000"), "less than or equal to 336"),
        (given(overlap_hours="nan"), "Give a number of hours"),
    ],
)
def test_a_bad_answer_is_asked_again_without_the_secret(
    answer: dict[str, str], said: str, connection: Connection, at: At, client_of: Any, operations: User
) -> None:
    response = client_of(operations).post(at("credential_rotate", connection.pk, "api_key"), answer)

    page = response.content.decode()
    assert response.status_code == 422
    assert said in page
    assert SECRET not in page
    assert "hunter2" not in page
    assert Credential.objects.count() == 2


def test_a_second_new_one_waits_for_the_first(connection: Connection, at: At, client_of: Any, operations: User) -> None:
    client = client_of(operations)
    client.post(at("credential_rotate", connection.pk, "api_key"), given())

    second = client.post(at("credential_rotate", connection.pk, "api_key"), given("sk_test_another_0815"))

    assert second.status_code == 422
    assert Credential.objects.filter(state="pending").count() == 1


def test_it_can_be_dropped_before_its_proof(connection: Connection, at: At, client_of: Any, operations: User) -> None:
    client = client_of(operations)
    client.post(at("credential_rotate", connection.pk, "webhook_secret"), given(SIGNING))
    pending = Credential.objects.get(state="pending")

    client.post(at("credential_cancel", pending.pk), {"reason": "Pasted the wrong one"})

    pending.refresh_from_db()
    assert pending.state == "revoked"
    assert "dropped" in client.get(at("connection", connection.pk)).content.decode()


def test_the_overlap_can_be_ended_now(connection: Connection, at: At, client_of: Any, operations: User) -> None:
    old = Credential.objects.get(purpose="api_key")
    Credential.objects.filter(pk=old.pk).update(state="retiring", retire_at=timezone.now() + timedelta(hours=5))
    client = client_of(operations)

    question = client.get(at("credential_revoke", old.pk)).content.decode()
    client.post(at("credential_revoke", old.pk), {"reason": "Leaked"})

    old.refresh_from_db()
    assert "It was never seen in use" in question
    assert old.state == "revoked"


def test_an_active_one_cannot_be_ended(connection: Connection, at: At, client_of: Any, operations: User) -> None:
    active = Credential.objects.get(purpose="api_key")

    answer = client_of(operations).post(at("credential_revoke", active.pk), {"reason": "Leaked"})

    assert answer.status_code == 422
    active.refresh_from_db()
    assert active.state == "active"


def test_a_secret_that_the_provider_does_not_have_is_not_there(
    connection: Connection, at: At, client_of: Any, operations: User
) -> None:
    assert client_of(operations).get(at("credential_rotate", connection.pk, "password")).status_code == 404


def test_another_tenants_secret_is_not_there(
    other_connection: Connection, connection: Connection, at: At, client_of: Any, operations: User
) -> None:
    theirs = Credential.objects.filter(connection=other_connection).first()

    assert theirs
    assert client_of(operations).get(at("credential_revoke", theirs.pk)).status_code == 404


def test_no_secret_reaches_a_page_a_log_a_history_or_the_journal(
    connection: Connection, at: At, client_of: Any, engineer: User, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(engineer)
    with caplog.at_level(logging.DEBUG):
        posted = client.post(at("credential_rotate", connection.pk, "api_key"), given(), follow=True)
        credentials.activate(Credential.objects.get(state="pending"), actor=TESTER, how="It works")
        names = ("connection", "connection_secrets", "connection_settings")
        pages = [posted, *(client.get(at(name, connection.pk)) for name in names), client.get(at("audit"))]

    seen = "".join(page.content.decode() for page in pages) + caplog.text
    history = f"{list(connection.history.values())}"
    journal = f"{list(JournalEntry.objects.values())}"
    for place in (seen, history, journal):
        assert SECRET not in place
    assert "…4711" in seen
