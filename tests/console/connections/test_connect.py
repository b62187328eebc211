"""Connecting a provider from the console."""

from collections.abc import Callable
from typing import Any

from django.test import Client

from console.models import User
from integrations.models import Connection, Credential, JournalEntry, Tenant

KEY = "sk_test_new00000001"


def post(client: Client, **given: Any) -> Any:
    values = {"connection_name": "Stripe EU", "api_base": "http://127.0.0.1:9", "page_size": "50", "timeout": "20"}
    return client.post(
        "/northwind/test/connections/new/stripe/", values | {"secret_api_key": KEY, "reason": "EU shop"} | given
    )


def test_an_engineer_connects_a_provider_with_its_secrets_pending(
    engineer: User, client_of: Callable[[User], Client]
) -> None:
    answer = post(client_of(engineer), secret_webhook_secret="whsec_12345678")

    made = Connection.objects.get(name="Stripe EU")
    assert answer.status_code == 302, answer.content.decode()
    assert made.streams.count() == 5
    assert set(made.credentials.values_list("purpose", "state")) == {
        ("api_key", "pending"),
        ("webhook_secret", "pending"),
    }


def test_the_signing_secret_may_come_later(engineer: User, client_of: Callable[[User], Client]) -> None:
    post(client_of(engineer))

    assert Credential.objects.get().purpose == "api_key"


def test_a_name_is_taken_once(engineer: User, connection: Connection, client_of: Callable[[User], Client]) -> None:
    answer = post(client_of(engineer), connection_name=connection.name)

    assert answer.status_code == 422
    assert Connection.objects.count() == 1


def test_a_secret_of_a_wrong_form_connects_nothing(engineer: User, client_of: Callable[[User], Client]) -> None:
    answer = post(client_of(engineer), secret_api_key="hello there")

    assert answer.status_code == 422
    assert not Connection.objects.exists()
    assert "hello there" not in answer.content.decode()


def test_settings_that_do_not_fit_are_named(engineer: User, client_of: Callable[[User], Client]) -> None:
    answer = post(client_of(engineer), api_base="http://example.com")

    assert answer.status_code == 422
    assert not Connection.objects.exists()


def test_a_secret_is_in_no_answer_and_no_journal(engineer: User, client_of: Callable[[User], Client]) -> None:
    client = client_of(engineer)

    post(client)

    told = "".join(f"{e.summary}{e.data}{e.reason}" for e in JournalEntry.objects.all())
    assert KEY not in told
    assert KEY not in client.get(f"/northwind/test/connections/{Connection.objects.get().pk}/").content.decode()


def test_operations_may_not_connect(operations: User, tenant: Tenant, client_of: Callable[[User], Client]) -> None:
    assert post(client_of(operations)).status_code == 403


def test_an_unknown_provider_is_not_there(engineer: User, client_of: Callable[[User], Client]) -> None:
    assert client_of(engineer).get("/northwind/test/connections/new/nobody/").status_code == 404
