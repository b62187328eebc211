"""Who somebody is cannot be changed by themselves, and the way back in is safe."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from console.models import Grant, User
from console.tokens import keys
from integrations.models import Connection, JournalEntry
from tests.conftest import TESTER, person

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


def test_nobody_takes_on_the_address_of_somebody_who_is_not_here_yet(
    stranger: User, administrator: User, connection: Connection, client_of: ClientOf
) -> None:
    """An administrator gives roles by address: whoever holds it without proof would get somebody else's role."""
    client, wanted = client_of(stranger), "ceo@northwind.example"
    EmailAddress.objects.create(user=stranger, email=stranger.email, primary=True)

    client.post("/accounts/email/", {"action_add": "", "email": wanted})
    client.post("/accounts/email/", {"action_primary": "", "email": wanted})
    client_of(administrator).post(
        "/northwind/test/people/give/", {"email": wanted, "role": "engineer", "where": "", "reason": "Starts today"}
    )

    assert not Grant.objects.filter(user=stranger, tenant=connection.tenant).exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_page_of_addresses_is_closed(method: str, support: User, client_of: ClientOf) -> None:
    assert getattr(client_of(support), method)("/accounts/email/").status_code == 404


def test_a_link_that_sets_a_password_leads_to_the_public_address(support: User, settings: Any) -> None:
    settings.PUBLIC_URL = "https://console.example.com"
    settings.ALLOWED_HOSTS = ["console.example.com", "10.0.0.7"]

    Client().post("/accounts/password/reset/", {"email": support.email}, headers={"host": "10.0.0.7"})

    (link,) = re.findall(r"\S+://\S+", str(mail.outbox[0].body))
    assert link.startswith("https://console.example.com/accounts/password/reset/key/")


def test_asking_for_a_link_tells_nobody_who_has_an_account(support: User) -> None:
    known, unknown = (
        Client().post("/accounts/password/reset/", {"email": email}) for email in (support.email, "no@body.example")
    )

    assert (known.status_code, known.headers["Location"]) == (unknown.status_code, unknown.headers["Location"])


@pytest.mark.parametrize("name", ["no@body.example", "support@northwind.example"])
def test_guessing_passwords_is_slowed_down(name: str, support: User) -> None:
    answers = [
        Client().post("/accounts/login/", {"login": name, "password": f"wrong {n}"}).content.decode() for n in range(6)
    ]

    assert "Too many failed login attempts" in answers[-1]


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "http:evil.example"],
)
def test_signing_in_leads_to_no_other_host(target: str, support: User) -> None:
    answer = Client().post(
        f"/accounts/login/?next={target}", {"login": support.email, "password": "right horse", "next": target}
    )

    assert answer.status_code == 302
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
def test_the_theme_leads_to_no_other_host(target: str, support: User, client_of: ClientOf) -> None:
    answer = client_of(support).post("/theme/", {"theme": "dark", "next": target})

    assert "Location" not in answer.headers


def test_somebody_who_may_not_sign_in_any_more_is_out_at_once(
    support: User, connection: Connection, client_of: ClientOf
) -> None:
    client = client_of(support)
    User.objects.filter(pk=support.pk).update(is_active=False)

    assert client.get("/northwind/test/").status_code == 302


def test_a_new_password_ends_the_sessions_of_others(support: User, connection: Connection, client_of: ClientOf) -> None:
    stolen, own = client_of(support), client_of(support)

    own.post(
        "/accounts/password/change/",
        {"oldpassword": "right horse", "password1": "battery staple 77", "password2": "battery staple 77"},
    )

    assert stolen.get("/northwind/test/").status_code == 302


NEW = {"password1": "battery staple 77", "password2": "battery staple 77"}


def test_a_new_password_revokes_the_api_tokens(support: User, tenant: Any, client_of: ClientOf) -> None:
    secrets = [keys.make(support, tenant, "test", name=name, actor=TESTER)[1] for name in ("one", "two")]

    answer = client_of(support).post("/accounts/password/change/", {"oldpassword": "right horse"} | NEW, follow=True)

    assert [keys.use(secret) for secret in secrets] == [None, None]
    assert "2 API tokens of yours were revoked" in answer.content.decode()
    entries = JournalEntry.objects.filter(action="token.revoked")
    assert {(entry.actor_id, entry.reason) for entry in entries} == {(support.pk, "They set a new password")}


def test_a_password_that_was_reset_by_mail_revokes_them_too(support: User, tenant: Any) -> None:
    secret = keys.make(support, tenant, "test", name="one", actor=TESTER)[1]
    client = Client()
    client.post("/accounts/password/reset/", {"email": support.email})
    (link,) = re.findall(r"http\S+", str(mail.outbox[0].body))

    form = client.get(urlsplit(link).path, follow=True)
    client.post(form.redirect_chain[-1][0], NEW)

    assert User.objects.get(pk=support.pk).check_password(NEW["password1"])
    assert keys.use(secret) is None


def test_a_wrong_password_revokes_nothing(support: User, tenant: Any, client_of: ClientOf) -> None:
    secret = keys.make(support, tenant, "test", name="one", actor=TESTER)[1]

    client_of(support).post("/accounts/password/change/", {"oldpassword": "wrong"} | NEW)

    assert keys.use(secret) is not None


def test_second_factors_are_changed_only_after_signing_in_anew(support: User, client_of: ClientOf) -> None:
    for path in ("totp/activate/", "webauthn/add/", "recovery-codes/generate/"):
        answer = client_of(support).get(f"/accounts/2fa/{path}")
        assert answer.status_code == 302
        assert "reauthenticate" in answer.headers["Location"], path


def test_a_role_taken_is_gone_with_the_next_click(
    tenant: Any, connection: Connection, administrator: User, client_of: ClientOf
) -> None:
    somebody = person("somebody", tenant, "support")
    client = client_of(somebody)
    assert client.get("/northwind/test/").status_code == 200

    client_of(administrator).post(f"/northwind/test/people/grants/{somebody.grants.get().pk}/take/", {"reason": "Left"})

    assert client.get("/northwind/test/").status_code == 404
