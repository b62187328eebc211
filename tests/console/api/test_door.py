"""Who gets in by a token, and as whom."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from console.access import revoke
from console.models import Grant, Token, User
from console.tokens import keys
from integrations.models import Command, Connection, Tenant
from tests.conftest import TESTER, connected
from tests.console.api.conftest import URL, Ask

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer ict_" + "x" * 40},
        {"Authorization": "Bearer \xe9"},
        {"Authorization": "Token abc"},
        {"Authorization": "Basic b3BlcmF0aW9uczpyaWdodA=="},
    ],
)
def test_without_a_token_that_opens_there_is_401(headers: dict[str, str], connection: Connection) -> None:
    for answer in (Client().get(URL, headers=headers), Client().post(URL, headers=headers)):
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert answer["Content-Type"] == "application/problem+json"


def test_a_session_opens_nothing(client_of: Any, operations: User, connection: Connection) -> None:
    client = client_of(operations)

    assert client.get(URL).status_code == 401
    assert client.post(URL, {}, content_type="application/json").status_code == 401


def test_a_revoked_token_opens_nothing(secret_of: Any, operations: User) -> None:
    secret = secret_of(operations)
    keys.revoke(Token.objects.get(), actor=TESTER, reason="Over")

    assert Client().get(URL, headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_a_token_whose_time_is_over_says_so(secret_of: Any, operations: User) -> None:
    secret = secret_of(operations)
    Token.objects.update(expires_at=datetime(2026, 11, 1, 12, 30, tzinfo=UTC))

    answer = Client().get(URL, headers={"Authorization": f"Bearer {secret}"})

    assert answer.status_code == 401
    assert "This token ended on 2026-11-01 at 12:30 UTC" in answer.json()["detail"]


def test_a_token_that_was_revoked_before_it_ended_says_no_more(secret_of: Any, operations: User) -> None:
    secret = secret_of(operations)
    keys.revoke(Token.objects.get(), actor=TESTER, reason="Over")
    Token.objects.update(expires_at=datetime(2026, 11, 1, tzinfo=UTC))

    answer = Client().get(URL, headers={"Authorization": f"Bearer {secret}"})

    assert "ended on" not in answer.json()["detail"]


def test_the_token_of_somebody_who_may_not_sign_in_opens_nothing(get: Ask, operations: User) -> None:
    operations.is_active = False
    operations.save()

    assert get(operations).status_code == 401


def test_a_token_may_at_most_what_its_person_may(submit: Ask, get: Ask, operations: User) -> None:
    assert submit(operations, "op_1").status_code == 201

    revoke(Grant.objects.get(user=operations), by="the tests", reason="They moved on")

    assert submit(User.objects.get(pk=operations.pk), "op_2").status_code == 404
    assert get(User.objects.get(pk=operations.pk)).status_code == 404
    assert Command.objects.count() == 1


def test_a_token_of_one_environment_does_not_see_the_other(
    secret_of: Any, submit: Ask, operations: User, tenant: Tenant
) -> None:
    connected(tenant, environment="live")
    submit(operations)

    live = Client().get(URL, headers={"Authorization": f"Bearer {secret_of(operations, environment='live')}"})

    assert live.json()["results"] == []


def test_too_many_requests_are_told_when_to_come_back(secret_of: Any, operations: User, settings: Any) -> None:
    settings.API_PER_MINUTE = 1
    headers = {"Authorization": f"Bearer {secret_of(operations)}"}
    Client().get(URL, headers=headers)

    answer = Client().get(URL, headers=headers)

    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert answer.json()["title"] == "Too Many Requests"


def test_its_last_use_is_known(get: Ask, operations: User) -> None:
    get(operations)

    assert Token.objects.get().last_used_at


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_commands_are_only_added(secret_of: Any, operations: User, method: str) -> None:
    headers = {"Authorization": f"Bearer {secret_of(operations)}"}

    assert getattr(Client(), method)(URL, headers=headers).status_code == 405


def test_the_description_is_for_who_signed_in_or_has_a_token(client_of: Any, secret_of: Any, support: User) -> None:
    with_token = Client().get("/api/v1/schema/", headers={"Authorization": f"Bearer {secret_of(support)}"})

    assert Client().get("/api/v1/schema/").status_code == 401
    assert client_of(support).get("/api/v1/schema/").status_code == 200
    assert "/api/v1/commands/{key}/" in with_token.content.decode()
    assert "Idempotency-Key" in with_token.content.decode()
