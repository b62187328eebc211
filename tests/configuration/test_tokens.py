"""Refresh tokens of single use: one worker refreshes, the next pair is kept before it is used, and none is lost."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from integrations.boundary.client import Exchanges, OpenTransaction, http
from integrations.boundary.vault import unseal
from integrations.configuration import credentials, tokens
from integrations.configuration.connect import connect
from integrations.configuration.reach import access_of
from integrations.failures.categories import Category, Fault, NotYet
from integrations.models import Attempt, Connection, Credential, CredentialState, Scope, Tenant, Token
from integrations.providers import get_adapter
from integrations.providers.xero.sandbox.harness import Sandbox, run_sandbox
from tests.conftest import TESTER

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with run_sandbox() as made:
        yield made


@pytest.fixture(autouse=True)
def connections_closed() -> Iterator[None]:
    """Close what this thread holds open to the sandbox."""
    yield
    http().close()


@pytest.fixture
def books(sandbox: Sandbox, tenant: Tenant) -> Connection:
    """A connection to the sandbox whose client secret and refresh token are proved."""
    return proved(give(connected(sandbox, tenant), sandbox.client_secret, sandbox.tokens()[1]))


def connected(sandbox: Sandbox, tenant: Tenant) -> Connection:
    settings = {
        "tenant_id": sandbox.tenant_id,
        "client_id": sandbox.client_id,
        "api_base": sandbox.url,
        "identity_base": sandbox.url,
    }
    return connect(tenant, provider="xero", name="Books", environment="test", values=settings, actor=TESTER)


def give(connection: Connection, client_secret: str, refresh_token: str) -> Connection:
    """Submit both secrets, as the form that connects a provider does."""
    for purpose, secret in (("client_secret", client_secret), ("refresh_token", refresh_token)):
        credentials.submit(connection, purpose=purpose, secret=secret, actor=TESTER, reason="Connected")
    return connection


def proved(connection: Connection) -> Connection:
    """Have every pending secret proved, as workers do."""
    for credential in Credential.objects.filter(connection=connection, state=CredentialState.PENDING).order_by("pk"):
        credentials.verify(credential.pk)
    return connection


def give_another(connection: Connection, refresh_token: str) -> None:
    """Rotate the refresh token; the one before retires."""
    made = credentials.submit(
        connection, purpose="refresh_token", secret=refresh_token, actor=TESTER, reason="Rotated", overlap_hours=1
    )
    credentials.verify(made.pk)


def states(connection: Connection) -> dict[str, str]:
    return dict(Credential.objects.filter(connection=connection).values_list("purpose", "state"))


def age(connection: Connection, by: timedelta = timedelta(hours=1)) -> None:
    """Let the access token in force expire."""
    Token.objects.filter(credential__connection=connection, replaced_at=None).update(expires_at=timezone.now() - by)


def refreshes(sandbox: Sandbox) -> tuple[int, int]:
    """How many refreshes the sandbox made, and how many lost answers it repeated."""
    counted = sandbox.effects()
    return counted["refreshes"], counted["refreshes_repeated"]


def works(connection: Connection) -> str:
    return get_adapter("xero").check(access_of(connection), Exchanges(connection)).name


def in_threads(count: int, act: Callable[[], Any]) -> list[Any]:
    """What `act` returns in so many threads that begin at once."""
    barrier = threading.Barrier(count)

    def one() -> Any:
        try:
            barrier.wait(20)
            return act()
        finally:
            http().close()
            database.close()

    with ThreadPoolExecutor(count) as pool:
        return [future.result(60) for future in [pool.submit(one) for _ in range(count)]]


def test_two_secrets_prove_each_other(sandbox: Sandbox, books: Connection) -> None:
    assert states(books) == {"client_secret": "active", "refresh_token": "active"}
    assert works(books) == "Northwind Books"


def test_a_wrong_refresh_token_does_not_take_the_client_secret_with_it(sandbox: Sandbox, tenant: Tenant) -> None:
    connection = proved(give(connected(sandbox, tenant), sandbox.client_secret, "not-a-refresh-token"))

    assert states(connection) == {"client_secret": "pending", "refresh_token": "revoked"}

    fresh = sandbox.tokens()[1]
    credentials.submit(connection, purpose="refresh_token", secret=fresh, actor=TESTER, reason="Typed wrongly")
    proved(connection)

    assert set(Credential.objects.filter(connection=connection, state="active").values_list("purpose", flat=True)) == {
        "client_secret",
        "refresh_token",
    }


def test_a_wrong_client_secret_spends_no_refresh_token(sandbox: Sandbox, tenant: Tenant) -> None:
    connection = connected(sandbox, tenant)
    before = refreshes(sandbox)

    proved(give(connection, "not-the-client-secret", sandbox.tokens()[1]))

    assert states(connection)["client_secret"] == "revoked"
    assert refreshes(sandbox) == before


def test_another_client_secret_is_proved_by_a_refresh(sandbox: Sandbox, books: Connection) -> None:
    credentials.submit(books, purpose="client_secret", secret="no-longer-good", actor=TESTER, reason="Rotated")
    proved(books)

    wrong = Credential.objects.get(connection=books, purpose="client_secret", version=2)
    assert wrong.state == CredentialState.REVOKED
    assert works(books)


def test_a_good_token_is_used_again(sandbox: Sandbox, books: Connection) -> None:
    before = refreshes(sandbox)

    assert access_of(books).secrets["access_token"] == access_of(books).secrets["access_token"]
    assert refreshes(sandbox) == before


def test_an_expired_token_is_refreshed_and_the_history_kept(sandbox: Sandbox, books: Connection) -> None:
    old = access_of(books).secrets
    age(books)

    new = access_of(books).secrets

    assert new["access_token"] != old["access_token"]
    assert new["refresh_token"] != old["refresh_token"]
    chain = Token.objects.filter(credential__connection=books).order_by("version")
    assert [token.version for token in chain] == list(range(1, len(chain) + 1))
    assert [token.replaced_at is None for token in chain] == [False] * (len(chain) - 1) + [True]
    assert [bool(token.secrets) for token in chain] == [False] * (len(chain) - 2) + [True, True]
    assert works(books)


def test_tokens_are_kept_sealed_and_never_represented(sandbox: Sandbox, books: Connection) -> None:
    access = access_of(books)
    token = Token.objects.get(credential__connection=books, replaced_at=None)

    assert access.secrets["access_token"].encode() not in bytes(token.secrets)
    assert access.secrets["access_token"].encode() in unseal(token.secrets)
    assert access.secrets["access_token"] not in f"{token!r} {token} {access!r}"


def test_a_revoked_credential_has_no_tokens_left(sandbox: Sandbox, books: Connection) -> None:
    old = Credential.objects.get(connection=books, purpose="refresh_token")
    give_another(books, sandbox.tokens()[1])

    credentials.revoke(old, actor=TESTER, reason="It leaked")

    assert Token.objects.filter(credential=old).exists()
    assert not Token.objects.filter(credential=old).exclude(secrets=b"").exists()
    assert works(books)


def test_a_refresh_that_ends_after_the_revocation_keeps_nothing(sandbox: Sandbox, books: Connection) -> None:
    old = Credential.objects.get(connection=books, purpose="refresh_token")
    newest = tokens.in_force(old)
    Credential.objects.filter(pk=old.pk).update(state=CredentialState.RETIRING)
    old.refresh_from_db()
    credentials.revoke(old, actor=TESTER, reason="It leaked")

    with pytest.raises(Fault, match="revoked meanwhile"):
        tokens._keep(newest, {"access_token": "fresh"}, timezone.now())

    assert not Token.objects.filter(credential=old).exclude(secrets=b"").exists()


def test_who_sees_a_connection_alone_sees_its_tokens(sandbox: Sandbox, books: Connection) -> None:
    class Visitor:
        scope = Scope(connections=frozenset({books.pk}))

    assert Token.objects.visible_to(Visitor()).exists()


def test_the_exchange_is_an_attempt_without_its_secrets(sandbox: Sandbox, books: Connection) -> None:
    attempts = Attempt.objects.filter(connection=books, url__endswith="/connect/token")

    assert attempts.count() >= 1
    assert all(attempt.status == 200 and attempt.payload_id is None for attempt in attempts)


def test_twenty_workers_make_one_refresh(sandbox: Sandbox, books: Connection) -> None:
    age(books)
    before = refreshes(sandbox)

    found = in_threads(20, lambda: access_of(books).secrets["access_token"])

    assert len(set(found)) == 1
    assert refreshes(sandbox) == (before[0] + 1, before[1])


def test_twenty_workers_share_the_first_refresh_of_all(sandbox: Sandbox, tenant: Tenant) -> None:
    connection = give(connected(sandbox, tenant), sandbox.client_secret, sandbox.tokens()[1])
    Credential.objects.filter(connection=connection).update(state=CredentialState.ACTIVE)
    before = refreshes(sandbox)

    found = in_threads(20, lambda: access_of(connection).secrets["access_token"])

    assert len(set(found)) == 1
    assert refreshes(sandbox) == (before[0] + 1, before[1])


def test_a_worker_killed_between_answer_and_commit_loses_nothing(
    sandbox: Sandbox, books: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(books)
    before = refreshes(sandbox)
    database.close()
    http().close()  # a connection that both go on with would carry neither's words
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(tokens, "_keep", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        access_of(books)
        os._exit(1)
    _, ended = os.waitpid(child, 0)
    assert os.WIFSIGNALED(ended)
    assert os.WTERMSIG(ended) == signal.SIGKILL
    assert refreshes(sandbox)[0] == before[0] + 1

    Token.objects.exclude(leased_until=None).update(leased_until=timezone.now() - timedelta(seconds=1))

    assert works(books) == "Northwind Books"
    assert refreshes(sandbox) == (before[0] + 1, before[1] + 1)


def test_who_waits_too_long_comes_again_later(
    sandbox: Sandbox, books: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(books)
    monkeypatch.setattr(tokens, "PATIENCE", 0.1)
    Token.objects.filter(replaced_at=None).update(leased_until=timezone.now() + timedelta(minutes=1))

    with pytest.raises(NotYet) as wait:
        access_of(books)

    assert wait.value.retry_after


def test_a_token_that_is_still_good_serves_while_another_refreshes(sandbox: Sandbox, books: Connection) -> None:
    old = access_of(books).secrets["access_token"]
    soon = timezone.now() + tokens.EARLY - timedelta(seconds=10)
    Token.objects.filter(replaced_at=None).update(expires_at=soon, leased_until=timezone.now() + timedelta(minutes=1))

    assert access_of(books).secrets["access_token"] == old


def test_a_failed_refresh_frees_the_way(sandbox: Sandbox, books: Connection) -> None:
    age(books)
    sandbox.set_faults({"kind": "error", "on": "* /connect/token"})
    with pytest.raises(Fault) as failed:
        access_of(books)
    sandbox.set_faults()

    assert failed.value.category in (Category.OUTAGE, Category.TIMEOUT)
    assert works(books)


def test_a_spent_refresh_token_asks_for_another(sandbox: Sandbox, books: Connection) -> None:
    age(books)
    sandbox.expire_tokens(refresh=True)

    with pytest.raises(Fault) as refused:
        access_of(books)

    assert (refused.value.category, refused.value.field) == (Category.AUTHENTICATION, "refresh_token")


def test_a_token_that_ends_before_its_time_is_replaced_by_itself(sandbox: Sandbox, books: Connection) -> None:
    made = timezone.now() - timedelta(minutes=5)
    Token.objects.filter(replaced_at=None).update(made_at=made)
    sandbox.expire_tokens()

    with pytest.raises(Fault) as refused:
        works(books)

    assert refused.value.category == Category.TIMEOUT
    assert works(books) == "Northwind Books"


def test_a_fresh_token_that_is_refused_is_not_refreshed_again(sandbox: Sandbox, books: Connection) -> None:
    sandbox.expire_tokens()
    before = refreshes(sandbox)

    for _ in range(3):
        with pytest.raises(Fault):
            works(books)

    assert refreshes(sandbox) == before


def test_no_refresh_leaves_while_a_transaction_is_open(sandbox: Sandbox, books: Connection) -> None:
    age(books)

    with pytest.raises(OpenTransaction), transaction.atomic():
        access_of(books)
