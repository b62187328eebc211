"""Signing in leaves a trace, and opens nothing to strangers."""

from collections.abc import Callable

from django.test import Client

from console.models import User
from integrations.models import Connection, JournalEntry


def sign_in(email: str, password: str) -> Client:
    client = Client()
    client.post("/accounts/login/", {"login": email, "password": password}, REMOTE_ADDR="192.0.2.7")
    return client


def test_a_sign_in_is_in_the_journal_with_its_address(support: User, connection: Connection) -> None:
    sign_in(support.email, "right horse")

    entry = JournalEntry.objects.get(action="person.signed_in")
    assert (entry.actor_id, entry.address, entry.tenant_id) == (support.pk, "192.0.2.7", connection.tenant_id)


def test_a_failed_sign_in_is_in_the_journal_without_the_password(support: User, connection: Connection) -> None:
    sign_in(support.email, "wrong horse")

    entry = JournalEntry.objects.get(action="person.refused")
    assert "horse" not in f"{entry.summary}{entry.data}"


def test_nobody_signs_up_by_themselves(db: None) -> None:
    Client().post(
        "/accounts/signup/", {"email": "new@example.com", "password1": "a long one 1", "password2": "a long one 1"}
    )

    assert not User.objects.exists()


def test_signing_in_leads_to_the_first_space(support: User, connection: Connection) -> None:
    answer = sign_in(support.email, "right horse").get("/")

    assert answer.headers["Location"] == "/northwind/test/"


def test_signing_out_is_in_the_journal(
    support: User, connection: Connection, client_of: Callable[[User], Client]
) -> None:
    client_of(support).post("/accounts/logout/")

    assert JournalEntry.objects.filter(action="person.signed_out", actor_id=support.pk).exists()


def test_an_administrator_begins_with_the_people(
    administrator: User, connection: Connection, client_of: Callable[[User], Client]
) -> None:
    answer = client_of(administrator).get("/")

    assert answer.headers["Location"] == "/northwind/test/people/"
