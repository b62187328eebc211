"""`manage.py tenant` gives a tenant its first administrator."""

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from console.models import Grant, User
from integrations.models import Tenant


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("tenant", *arguments, stdout=out)
    return out.getvalue()


def test_the_administrator_sets_a_password_by_the_printed_link(db: None) -> None:
    told = run("acme", "Acme", "--administrator", "ada@acme.example")

    link = re.search(r"https?://[^/]+(/accounts/password/reset/key/\S+)", told)
    assert link
    client = Client()
    form = client.get(link[1], follow=True)
    client.post(form.redirect_chain[-1][0], {"password1": "correct horse 7", "password2": "correct horse 7"})
    assert User.objects.get(email="ada@acme.example").check_password("correct horse 7")


def test_a_second_call_changes_nothing(db: None) -> None:
    run("acme", "Acme", "--administrator", "ada@acme.example")
    run("acme", "Acme", "--administrator", "ada@acme.example")

    assert (Tenant.objects.count(), Grant.objects.count()) == (1, 1)


@pytest.mark.parametrize("slug", ["hooks", "no spaces", ""])
def test_a_slug_that_cannot_be_an_address_is_refused(db: None, slug: str) -> None:
    with pytest.raises(CommandError):
        run(slug, "Acme", "--administrator", "ada@acme.example")
