from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from console.models import Token, User
from console.tokens import keys
from integrations.models import Connection, JournalEntry, Tenant
from tests.conftest import TESTER, connected

pytestmark = pytest.mark.django_db


def address(name: str, *args: Any) -> str:
    return reverse(name, args=["northwind", "test", *args])


@pytest.fixture
def token(connection: Connection, operations: User, tenant: Tenant) -> Token:
    return keys.make(operations, tenant, "test", name="warehouse", actor=TESTER)[0]


def test_a_token_is_made_and_its_secret_shown_once(client_of: Any, support: User, connection: Connection) -> None:
    client = client_of(support)

    answer = client.post(address("token_new"), {"name": "warehouse"})
    again = client.get(address("tokens")).content.decode()

    secret = answer.context["secret"]
    assert secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert secret not in again
    assert "warehouse" in again


def test_only_a_digest_of_the_secret_is_kept(client_of: Any, support: User, connection: Connection) -> None:
    secret = client_of(support).post(address("token_new"), {"name": "warehouse"}).context["secret"]

    kept = Token.objects.get()

    assert bytes(kept.digest) == sha256(secret.encode()).digest()
    assert secret not in {str(value) for value in vars(kept).values()}
    assert len(secret.removeprefix("ict_")) == 40


def test_the_journal_names_who_made_it_and_never_the_secret(
    client_of: Any, support: User, connection: Connection
) -> None:
    secret = client_of(support).post(address("token_new"), {"name": "warehouse"}).context["secret"]

    entry = JournalEntry.objects.get(action="token.made")
    assert (entry.actor_id, entry.environment) == (support.pk, "test")
    assert secret not in f"{entry.summary}{entry.data}"


@pytest.mark.parametrize(("given", "days"), [({}, 90), ({"days": "30"}, 30), ({"days": "365"}, 365)])
def test_it_ends_after_the_days_that_were_chosen(
    client_of: Any, support: User, connection: Connection, given: dict[str, str], days: int
) -> None:
    client_of(support).post(address("token_new"), {"name": "warehouse"} | given)

    token = Token.objects.get()
    assert timedelta(days=days - 1) < token.expires_at - timezone.now() <= timedelta(days=days)
    assert f"{token.expires_at:%Y-%m-%d}" in JournalEntry.objects.get(action="token.made").summary


@pytest.mark.parametrize("days", ["0", "31", "36500", "x"])
def test_it_has_an_end_within_a_year(client_of: Any, support: User, connection: Connection, days: str) -> None:
    assert client_of(support).post(address("token_new"), {"name": "x", "days": days}).status_code == 422
    assert not Token.objects.exists()


def test_one_whose_time_is_over_is_shown_and_counts_no_more(
    client_of: Any, operations: User, administrator: User, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MOST", 1)
    Token.objects.update(expires_at=timezone.now() - timedelta(days=1))

    shown = client_of(operations).get(address("tokens")).content.decode()

    assert "expired" in shown
    assert "warehouse" not in client_of(administrator).get(address("people")).content.decode()
    assert client_of(operations).post(address("token_new"), {"name": "next"}).status_code == 200


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "\x00"])
def test_it_needs_a_name(client_of: Any, support: User, connection: Connection, name: str) -> None:
    assert client_of(support).post(address("token_new"), {"name": name}).status_code == 422
    assert not Token.objects.exists()


def test_there_is_an_end_to_how_many_one_has(
    client_of: Any, support: User, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MOST", 1)
    client = client_of(support)
    client.post(address("token_new"), {"name": "one"})

    answer = client.post(address("token_new"), {"name": "two"})

    assert answer.status_code == 422
    assert Token.objects.count() == 1


def test_one_revokes_ones_own_with_a_reason(client_of: Any, operations: User, token: Token) -> None:
    client = client_of(operations)

    assert client.post(address("token_revoke", token.pk), {"reason": ""}).status_code == 422
    assert client.post(address("token_revoke", token.pk), {"reason": "It leaked"}).status_code == 302

    token.refresh_from_db()
    assert token.revoked_at
    entry = JournalEntry.objects.get(action="token.revoked")
    assert (entry.actor_id, entry.reason) == (operations.pk, "It leaked")


def test_the_tokens_of_others_are_not_there(client_of: Any, engineer: User, token: Token) -> None:
    client = client_of(engineer)

    assert "warehouse" not in client.get(address("tokens")).content.decode()
    assert client.post(address("token_revoke", token.pk), {"reason": "x"}).status_code == 404


def test_an_administrator_sees_and_revokes_everybodys(client_of: Any, administrator: User, token: Token) -> None:
    client = client_of(administrator)

    assert "warehouse" in client.get(address("people")).content.decode()
    assert client.post(address("people_token", token.pk), {"reason": "They left"}).status_code == 302

    token.refresh_from_db()
    assert token.revoked_by == administrator.name


def test_a_token_is_of_one_environment(client_of: Any, operations: User, tenant: Tenant, token: Token) -> None:
    connected(tenant, environment="live")

    assert "warehouse" not in client_of(operations).get("/northwind/live/tokens/").content.decode()
    assert client_of(operations).get(f"/northwind/live/tokens/{token.pk}/revoke/").status_code == 404


def test_requests_are_counted_by_the_minute(
    operations: User, tenant: Tenant, connection: Connection, settings: Any
) -> None:
    settings.API_PER_MINUTE = 2
    token, secret = keys.make(operations, tenant, "test", name="busy", actor=TESTER)
    keys.use(secret)
    keys.use(secret)

    with pytest.raises(keys.TooMany) as many:
        keys.use(secret)

    assert 1 <= many.value.seconds <= 60
    Token.objects.filter(pk=token.pk).update(minute=timezone.now() - timedelta(minutes=2))
    assert keys.use(secret) == token


def test_a_revoked_one_opens_nothing(operations: User, tenant: Tenant, connection: Connection) -> None:
    token, secret = keys.make(operations, tenant, "test", name="old", actor=TESTER)

    keys.revoke(token, actor=TESTER, reason="Over")

    assert keys.use(secret) is None
