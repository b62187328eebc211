"""Webhooks that tell of several events, or of none: each event is evidence of its own, over bytes kept once."""

from datetime import datetime

import pytest

from integrations.boundary import payloads
from integrations.boundary.vault import seal
from integrations.configuration import credentials
from integrations.configuration.connect import connect
from integrations.failures.categories import Category
from integrations.models import Connection, Credential, CredentialState, Event, Failure, Payload, Run, Tenant
from integrations.providers.answers import MOST_EVENTS
from integrations.providers.base import Item
from integrations.providers.xero.adapter import XeroAdapter
from integrations.providers.xero.signature import sign
from integrations.workflow.process import process_batch
from tests.conftest import TESTER
from tests.console.receive.conftest import deliver, nothing_is_kept
from tests.providers.xero.test_adapter import TENANT, event, webhook

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "key-of-the-tests-0001"
INVOICE, CONTACT = "55d84274-a3da-4829-a7c0-0cab601b95cc", "717f2bfc-c6d4-41fd-b238-3f2f0c0cf777"


@pytest.fixture
def books(tenant: Tenant) -> Connection:
    settings = {"tenant_id": TENANT, "client_id": "0123456789ABCDEF"}
    made = connect(tenant, provider="xero", name="Books", environment="test", values=settings, actor=TESTER)
    Credential.objects.create(
        connection=made, purpose="webhook_key", version=1, state=CredentialState.ACTIVE,
        secret=seal(KEY.encode()), hint="…0001", created_by="the tests",
    )  # fmt: skip
    return made


def headers(body: bytes, key: str = KEY) -> dict[str, str]:
    return {"x-xero-signature": sign(body, key), "content-type": "application/json"}


def three(first: int = 76) -> bytes:
    return webhook(
        event("INVOICE", "CREATE", resourceId=INVOICE),
        event("CONTACT", "UPDATE", resourceId=CONTACT),
        event("INVOICE", "UPDATE", resourceId=INVOICE),
        first=first,
    )


def test_each_event_is_kept_and_the_bytes_once(books: Connection) -> None:
    body = three()

    (answer,) = deliver(books, body, headers=headers(body))

    assert (answer.status_code, answer.content) == (200, b"")
    kept = Event.objects.order_by("provider_event_id")
    assert [(one.event_type, one.external_id) for one in kept] == [
        ("INVOICE.CREATE", INVOICE), ("CONTACT.UPDATE", CONTACT), ("INVOICE.UPDATE", INVOICE),
    ]  # fmt: skip
    payload = Payload.objects.get()
    assert {one.payload_id for one in kept} == {payload.pk}
    assert payloads.read(payload.pk, payload.at) == body


def test_a_redelivery_counts_each_event_and_keeps_nothing_twice(books: Connection) -> None:
    body = three()

    deliver(books, body, headers=headers(body), times=3)

    assert list(Event.objects.values_list("redelivered", flat=True)) == [2, 2, 2]
    assert Payload.objects.count() == 1


def test_of_deliveries_that_overlap_only_the_new_events_are_new(books: Connection) -> None:
    events = [event("INVOICE", "UPDATE", resourceId=f"{INVOICE[:-1]}{n}") for n in range(4)]
    old, new = webhook(*events[:3], first=1), webhook(*events[2:], first=3)
    deliver(books, old, headers=headers(old))

    deliver(books, new, headers=headers(new))

    assert list(Event.objects.order_by("external_id").values_list("redelivered", flat=True)) == [0, 0, 1, 0]
    assert Payload.objects.count() == 2


def test_events_that_name_what_changed_have_it_fetched_once(books: Connection) -> None:
    body = three()
    deliver(books, body, headers=headers(body))

    process_batch()

    (run,) = Run.objects.filter(connection=books)
    assert sorted(run.targets) == [["contact", CONTACT], ["invoice", INVOICE]]


def test_one_spoiled_event_fails_alone(books: Connection) -> None:
    body = webhook(event("CONTACT", "UPDATE"), event("CONTACT", "ENLIGHTEN"))
    deliver(books, body, headers=headers(body))

    process_batch()

    states = dict(Event.objects.values_list("event_type", "state"))
    assert states["CONTACT.ENLIGHTEN"] == "parked"
    assert states["CONTACT.UPDATE"] != "parked"


def test_an_intent_to_receive_is_answered_and_kept_nowhere(books: Connection) -> None:
    body = webhook()

    (good,) = deliver(books, body, headers=headers(body))
    (bad,) = deliver(books, body, headers=headers(body, "another key"))

    assert (good.status_code, good.content) == (200, b"")
    assert (bad.status_code, bad.content) == (401, b"")
    assert nothing_is_kept()
    books.refresh_from_db()
    assert books.refused_signatures == 1


def test_an_intent_to_receive_proves_the_key(books: Connection) -> None:
    credentials.submit(books, purpose="webhook_key", secret="key-of-the-tests-0002", actor=TESTER, reason="Rotated")
    body = webhook()

    (answer,) = deliver(books, body, headers=headers(body, "key-of-the-tests-0002"))

    assert answer.status_code == 200
    assert Credential.objects.get(connection=books, version=2).state == CredentialState.ACTIVE
    assert nothing_is_kept()


def test_a_webhook_that_cannot_be_read_is_kept_as_it_came(books: Connection) -> None:
    body = b'{"events": "none of your business"}'

    (answer,) = deliver(books, body, headers=headers(body))

    assert answer.status_code == 200
    assert Event.objects.get().event_type == "unreadable"


def test_a_webhook_of_too_many_events_is_kept_whole_as_one_that_fails(books: Connection) -> None:
    """It is read before it is answered, and others wait for that."""
    body = b'{"firstEventSequence": 1, "events": [' + b"0," * 500_000 + b"0]}"

    (answer,) = deliver(books, body, headers=headers(body))
    process_batch()

    assert answer.status_code == 200
    event, payload, failure = Event.objects.get(), Payload.objects.get(), Failure.objects.get()
    assert (event.event_type, event.state) == ("unreadable", "parked")
    assert (failure.category, failure.code) == (Category.CONTRACT, "too_many_events")
    assert payloads.read(payload.pk, payload.at) == body


def test_all_events_of_a_full_webhook_are_read_from_one_reading(
    books: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read again for each of its events, the work would grow with the square of their number."""
    body = webhook(*(event("CONTACT", "UPDATE", resourceId=f"{CONTACT[:-3]}{n:03}") for n in range(MOST_EVENTS)))
    deliver(books, body, headers=headers(body))
    read: list[bytes] = []
    parse = XeroAdapter.parse

    def counted(self: XeroAdapter, body: bytes, received_at: datetime) -> tuple[Item, ...]:
        read.append(body)
        return parse(self, body, received_at)

    monkeypatch.setattr(XeroAdapter, "parse", counted)

    assert process_batch() == 250

    assert len(read) == 1
    assert Event.objects.filter(state="ready").count() == MOST_EVENTS - 250
