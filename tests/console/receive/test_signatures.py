"""Which signatures open the door, while a secret is replaced too."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from console.receive import app as door
from integrations.boundary import refusals
from integrations.boundary.vault import seal
from integrations.configuration import credentials
from integrations.models import Connection, Credential, Event, JournalEntry
from tests.conftest import TESTER, WEBHOOK_SECRET, customer_object, signed, webhook_body
from tests.console.receive.conftest import at_the_door, deliver, nothing_is_kept

pytestmark = pytest.mark.django_db(transaction=True)
NEW_SECRET = "whsec_of_the_tests_0002"


@pytest.fixture
def add_secret(connection: Connection) -> Callable[..., Credential]:
    """Return a factory of further signing secrets of the connection."""

    def make(secret: str, state: str, **fields: Any) -> Credential:
        return Credential.objects.create(
            connection=connection, purpose="webhook_secret", version=2, state=state,
            secret=seal(secret.encode()), hint="…0002", created_by="the tests", **fields,
        )  # fmt: skip

    return make


# -- signatures


def test_a_bad_signature_is_stored_nowhere_but_in_a_counter_and_a_journal_line(
    connection: Connection, body: bytes
) -> None:
    (answer,) = deliver(connection, body, headers=signed(body, secret="whsec_of_somebody_else"))

    assert answer.status_code == 401
    assert nothing_is_kept()
    connection.refresh_from_db()
    assert connection.refused_signatures == 1
    entry = JournalEntry.objects.get(action="webhook.refused")
    assert (entry.connection_id, entry.outcome, entry.address) == (connection.pk, "refused", "127.0.0.1")
    assert entry.data == {"bytes": len(body)}
    assert "marked" not in entry.summary


@pytest.mark.parametrize(
    "header",
    [
        None, "", "nonsense", "t=,v1=", "v1=00", "t=1e9,v1=00", f"t={2**70},v1=00", "t=-1,v1=00", "t=ü,v1=ü",
        f"t={int(time.time())}", f"t={int(time.time())},v0=00", f"t={int(time.time())},v1=",
    ],
)  # fmt: skip
def test_a_signature_header_in_any_wrong_form_is_a_401(connection: Connection, body: bytes, header: str | None) -> None:
    headers: Any = {} if header is None else {"stripe-signature": header.encode()}

    (answer,) = deliver(connection, body, headers=headers)

    assert answer.status_code == 401
    assert nothing_is_kept()


def test_a_changed_body_does_not_fit_its_signature(connection: Connection, body: bytes) -> None:
    (answer,) = deliver(connection, body + b" ", headers=signed(body))

    assert answer.status_code == 401


def test_a_connection_without_a_secret_accepts_nothing(connection: Connection, body: bytes) -> None:
    Credential.objects.filter(purpose="webhook_secret").delete()

    (answer,) = deliver(connection, body)

    assert answer.status_code == 401


def test_a_flood_of_bad_signatures_is_counted_in_full_and_journaled_in_part(
    connection: Connection, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(refusals, "LINES_A_MINUTE", 2)
    monkeypatch.setattr(time, "time", lambda: now)

    deliver(connection, body, headers=signed(body, secret="whsec_of_somebody_else"), times=5)

    connection.refresh_from_db()
    assert connection.refused_signatures == 5
    assert JournalEntry.objects.filter(action="webhook.refused").count() == 2


@pytest.mark.parametrize(("seconds", "status"), [(0, 200), (300, 200), (301, 401), (-300, 200), (-301, 401)])
def test_a_signature_holds_for_300_seconds_both_ways(
    connection: Connection, body: bytes, monkeypatch: pytest.MonkeyPatch, seconds: int, status: int
) -> None:
    signed_at = int(time.time())
    ours = datetime.fromtimestamp(signed_at + seconds, UTC)
    monkeypatch.setattr(door, "now", lambda: ours)

    (answer,) = deliver(connection, body, headers=signed(body, at=signed_at))

    assert answer.status_code == status


def test_a_recorded_delivery_that_is_played_again_later_is_refused(
    connection: Connection, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = signed(body)
    (first,) = deliver(connection, body, headers=recorded)
    monkeypatch.setattr(door, "now", lambda: timezone.now() + timedelta(seconds=302))

    (again,) = deliver(connection, body, headers=recorded)

    assert (first.status_code, again.status_code) == (200, 401)
    assert Event.objects.values_list("redelivered", flat=True).get() == 0


# -- several secrets at once


@pytest.mark.parametrize(
    ("state", "retire_in", "status"),
    [
        ("active", None, 200),
        ("pending", None, 200),
        ("retiring", 60, 200),
        ("retiring", -1, 401),
        ("revoked", None, 401),
    ],
)
def test_which_secrets_open(
    connection: Connection, add_secret: Any, body: bytes, state: str, retire_in: int | None, status: int
) -> None:
    if state == "active":
        Credential.objects.filter(purpose="webhook_secret").update(state="revoked")
    retire_at = None if retire_in is None else timezone.now() + timedelta(seconds=retire_in)
    add_secret(NEW_SECRET, state, retire_at=retire_at)

    (answer,) = deliver(connection, body, headers=signed(body, secret=NEW_SECRET))

    assert answer.status_code == status


def test_one_header_may_carry_the_signatures_of_two_secrets(connection: Connection, body: bytes) -> None:
    at = int(time.time())
    unknown, known = (
        signed(body, secret=secret, at=at)["stripe-signature"] for secret in ("whsec_unknown_here", WEBHOOK_SECRET)
    )

    (answer,) = deliver(connection, body, headers={"stripe-signature": f"{unknown},{known.partition(',')[2]}"})

    assert answer.status_code == 200


def test_the_first_delivery_signed_with_a_new_secret_makes_it_the_active_one(
    connection: Connection, body: bytes
) -> None:
    new = credentials.submit(
        connection, purpose="webhook_secret", secret=NEW_SECRET, actor=TESTER, reason="Yearly", overlap_hours=1
    )

    deliver(connection, body, headers=signed(body, secret=NEW_SECRET))

    new.refresh_from_db()
    old = Credential.objects.get(connection=connection, purpose="webhook_secret", version=1)
    assert (new.state, old.state) == ("active", "retiring")
    assert old.retire_at
    assert timedelta(minutes=59) < old.retire_at - timezone.now() <= timedelta(hours=1)


def test_a_delivery_shows_that_its_secret_is_in_use(connection: Connection, body: bytes) -> None:
    (answer,) = deliver(connection, body)

    assert answer.status_code == 200
    used = Credential.objects.get(connection=connection, purpose="webhook_secret").last_used_at
    assert used is not None


def test_while_a_secret_is_replaced_no_delivery_is_refused(connection: Connection) -> None:
    """Old, new, old again, then the new one only: all within one process that trusts what it read."""

    async def act(client: httpx.AsyncClient) -> list[int]:
        answers = []
        for n, secret in enumerate([WEBHOOK_SECRET, NEW_SECRET, WEBHOOK_SECRET, NEW_SECRET]):
            if n == 1:
                await sync_to_async(credentials.submit)(
                    connection, purpose="webhook_secret", secret=NEW_SECRET, actor=TESTER, reason="Yearly"
                )
            one = webhook_body("customer.created", customer_object(), event_id=f"evt_{n}")
            sent = signed(one, secret=secret)
            answer = await client.post(f"/hooks/{connection.public_id}/", content=one, headers=sent)
            answers.append(answer.status_code)
        return answers

    assert at_the_door(act) == [200] * 4
    assert Event.objects.count() == 4
