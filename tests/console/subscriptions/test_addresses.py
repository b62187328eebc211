"""Receivers put keys into their addresses: whole they are shown only to who may change them, and journaled never."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from console.models import User
from integrations.boundary.destination import outline
from integrations.configuration import subscriptions
from integrations.models import Delivery, JournalEntry, Record
from tests.conftest import TESTER
from tests.outbox.conftest import Subscribed, send
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db

ClientOf = Callable[[User], Client]
TOKEN, KEY = "token=tk_4f9c", "Zq3xKdT0vWnB8sLmYp2RcJ7h"


@pytest.fixture
def told(subscribe: Callable[..., Subscribed], change: Callable[..., Record], receiver: Receiver) -> Delivery:
    """A delivery that was sent to an address with two secrets in it."""
    subscribe(url=f"{receiver.url}/services/T00/{KEY}?{TOKEN}")
    change()
    send()
    return Delivery.objects.get()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/hooks/orders", "https://example.com/hooks/orders"),
        ("https://example.com:8443/hooks?token=x&a=b", "https://example.com:8443/hooks?…"),
        (f"https://hooks.example.com/services/T00/B00/{KEY}", "https://hooks.example.com/services/T00/B00/…"),
        ("https://example.com/in/9d1c2a4e-6b1f-4c55-9f60-0c2f6f1f8a11/x", "https://example.com/in/…/x"),
        ("https://example.com/abcDEFghiJKLmnoPQR", "https://example.com/…"),
        ("https://example.com/in/%39d1c2a4e6b1f4c559f600c2f", "https://example.com/in/…"),
        ("https://example.com/webhook-receiver-of-the-warehouse-v2", "https://example.com/webhook-receiver-of-the-warehouse-v2"),
        ("https://example.com", "https://example.com"),
    ],
)  # fmt: skip
def test_what_may_be_a_key_is_left_out(url: str, shown: str) -> None:
    assert outline(url) == shown


@pytest.mark.parametrize("role", ["support", "operations", "finance", "auditor"])
def test_who_may_not_change_it_is_shown_no_key(
    request: pytest.FixtureRequest, at: Any, look: Any, told: Delivery, role: str
) -> None:
    person = request.getfixturevalue(role)

    for url in (at("subscription_delivery", told.pk), at("subscription", told.subscription_id)):
        shown = look(person, url)
        assert "/services/T00/" in shown
        assert KEY not in shown
        assert "tk_4f9c" not in shown


def test_who_may_change_it_sees_it_whole(at: Any, look: Any, engineer: User, told: Delivery) -> None:
    for url in (at("subscription_delivery", told.pk), at("subscription", told.subscription_id)):
        assert f"/services/T00/{KEY}?{TOKEN}" in look(engineer, url)


def test_the_journal_and_its_export_keep_no_key(
    at: Any, client_of: ClientOf, auditor: User, told: Delivery, receiver: Receiver
) -> None:
    subscriptions.change(
        told.subscription, name="Warehouse", url=f"{receiver.url}/2?{TOKEN}", topics=["*"], actor=TESTER, reason="Moved"
    )

    kept = "\n".join(f"{entry.summary} {entry.data}" for entry in JournalEntry.objects.all())
    export = client_of(auditor).post(at("audit_exports") + "?view=all", {"format": "csv", "reason": "The month"})
    text = export.getvalue().decode()

    assert "/services/T00/…?…" in kept
    assert "changed the subscription" in text
    for secret in (KEY, "tk_4f9c"):
        assert secret not in kept
        assert secret not in text


def test_what_a_change_took_away_is_offered_back_whole_to_who_may_change_it(
    at: Any, look: Any, client_of: ClientOf, engineer: User, told: Delivery, receiver: Receiver
) -> None:
    before = told.subscription.url
    subscriptions.change(
        told.subscription, name="Warehouse", url=f"{receiver.url}/2", topics=["*"], actor=TESTER, reason="Moved"
    )
    change = JournalEntry.objects.get(action="subscription.changed")

    proposed = client_of(engineer).get(f"{at('subscription_edit', told.subscription_id)}?undo={change.pk}")

    assert proposed.context["form"].initial["url"] == before
    assert KEY not in look(engineer, at("subscription", told.subscription_id)).partition('id="history"')[2]
