"""How the settings stand where people reach the console by https, and whom it believes there."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import reverse

from console.models import User
from console.proxies import behind
from integrations.boundary.vault import seal
from integrations.models import Connection
from tests.test_urls import LINES, REFUSED

ROOT = Path(__file__).resolve().parents[2]
NAMES = (
    "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY",
    "SECURE_HSTS_SECONDS", "DEBUG", "EMAIL_BACKEND", "EMAIL_HOST", "EMAIL_PORT", "EMAIL_HOST_USER",
    "EMAIL_HOST_PASSWORD", "EMAIL_USE_TLS", "EMAIL_USE_SSL", "PROVIDERS_INSIDE", "MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN",
)  # fmt: skip


def settings_with(**variables: str) -> dict[str, Any]:
    """Return the settings of a process of its own that has only these variables."""
    code = f"import json; from console import settings as s; print(json.dumps({{n: getattr(s, n) for n in {NAMES}}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": os.environ["PATH"]} | variables, cwd=ROOT, capture_output=True,
        check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_in_earnest_everything_is_closed() -> None:
    found = settings_with(PUBLIC_URL="https://console.example.com/", EMAIL_URL="smtp://ada:p%40ss@mail.example.com")

    assert "console.example.com" in found["ALLOWED_HOSTS"]
    assert "*" not in found["ALLOWED_HOSTS"]
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://console.example.com"]
    assert found["SESSION_COOKIE_SECURE"] is found["CSRF_COOKIE_SECURE"] is found["SESSION_COOKIE_HTTPONLY"] is True
    assert found["SECURE_HSTS_SECONDS"] >= 31536000
    assert found["DEBUG"] is found["PROVIDERS_INSIDE"] is found["MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN"] is False
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"], found["EMAIL_USE_TLS"]) == ("mail.example.com", 587, True)
    assert (found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"]) == ("ada", "p@ss")


def test_in_earnest_no_link_that_sets_a_password_is_printed() -> None:
    found = settings_with(PUBLIC_URL="https://console.example.com")

    assert found["EMAIL_BACKEND"].endswith("smtp.EmailBackend")


@pytest.mark.django_db
def test_without_keys_nobody_signs_in_and_nothing_is_kept(settings: Any) -> None:
    settings.SECRET_KEY, settings.FIELD_KEYS = "", []

    with pytest.raises(ImproperlyConfigured):
        Client().get("/accounts/login/")
    with pytest.raises(ImproperlyConfigured):
        seal(b"{}")


def seen_by(proxies: int, headers: dict[str, str]) -> tuple[str, str]:
    """Return the client and the scheme that an application sees."""
    found: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        found.append(scope)

    scope = {
        "type": "http", "client": ("10.0.0.1", 4), "scheme": "http",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip

    async def run() -> None:
        await behind(application, proxies)(scope, None, None)

    asyncio.run(run())
    return found[0]["client"][0], found[0]["scheme"]


@pytest.mark.parametrize(
    ("proxies", "passed", "client"),
    [
        (0, "192.0.2.9", "10.0.0.1"),
        (1, "192.0.2.9", "192.0.2.9"),
        (1, "203.0.113.7, 192.0.2.9", "192.0.2.9"),
        (2, "203.0.113.7, 192.0.2.9, 10.0.0.2", "192.0.2.9"),
        (2, "192.0.2.9", "10.0.0.1"),
        (1, "", "10.0.0.1"),
    ],
)
def test_only_what_our_own_proxies_wrote_is_believed(proxies: int, passed: str, client: str) -> None:
    """Whoever could choose their address would guess passwords without end, and the journal would name another."""
    assert seen_by(proxies, {"x-forwarded-for": passed, "x-forwarded-proto": "https"}) == (
        client, "https" if proxies else "http",
    )  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(name for name, line in LINES.items() if line.post != REFUSED))
def test_no_form_is_taken_from_another_site(name: str, engineer: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(engineer, backend="django.contrib.auth.backends.ModelBackend")

    numbers = [word.strip('"') if word.startswith('"') else 1 for word in LINES[name].at.values()]
    answer = client.post(reverse(name, args=["northwind", "test", *numbers]), {"reason": "From elsewhere"})

    assert answer.status_code == 403
    assert "Nothing was done" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/theme/", "/accounts/login/", "/accounts/logout/", "/accounts/password/change/"])
def test_no_form_outside_of_spaces_is_taken_from_another_site(path: str, engineer: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(engineer, backend="django.contrib.auth.backends.ModelBackend")

    assert client.post(path, {"theme": "dark"}).status_code == 403


def test_signing_out_takes_a_form(support: User, connection: Connection, client_of: Callable[[User], Client]) -> None:
    client = client_of(support)

    client.get("/accounts/logout/")

    assert client.get("/northwind/test/").status_code == 200


def test_another_host_is_answered_with_nothing(db: None) -> None:
    assert Client().get("/accounts/login/", headers={"host": "evil.example"}).status_code == 400


def test_where_no_mail_goes_out_the_role_is_given_and_the_link_is_said_to_be_missing(
    administrator: User, client_of: Callable[[User], Client], settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9

    answer = client_of(administrator).post(
        "/northwind/live/people/give/",
        {"email": "new@northwind.example", "role": "support", "where": "", "reason": "Starts today"},
        follow=True,
    )

    assert "could not be sent" in answer.content.decode()
    assert User.objects.get(email="new@northwind.example").grants.count() == 1
    assert not hasattr(mail, "outbox") or not mail.outbox
