from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Connection, JournalEntry, Record, Run, RunKind, WorkState
from integrations.workflow import process, sync
from tests.conftest import customer_object
from tests.fake_provider import Provider


@pytest.fixture
def url(records_url: str, customer: Record) -> str:
    return f"{records_url}{customer.pk}/"


def test_operations_ask_the_provider_and_see_the_check_under_way(
    client_of: Any, operations: Any, url: str, customer: Record
) -> None:
    answer = client_of(operations).post(f"{url}check/", follow=True)

    run = Run.objects.get(kind=RunKind.RECONCILE)
    assert run.targets == [["customer", "cus_0001"]]
    assert answer.redirect_chain[0][0] == f"{url}?check={run.pk}#sides"
    assert "is asked how the record stands now" in answer.content.decode()
    assert JournalEntry.objects.get(action="record.check_asked").actor_id == operations.pk


@pytest.mark.django_db(transaction=True)
def test_htmx_gets_the_panel_which_asks_again_until_it_is_over(
    client_of: Any, operations: Any, url: str, provider: Provider
) -> None:
    provider.put(customer_object(name="Halvorsen AS"))
    client = client_of(operations)
    asked = client.post(f"{url}check/", HTTP_HX_REQUEST="true")
    run = Run.objects.get(kind=RunKind.RECONCILE)
    waiting = client.get(f"{url}sides/", {"check": run.pk}, HTTP_HX_REQUEST="true")

    sync.perform_next()
    process.process_batch()
    over = client.get(f"{url}sides/", {"check": run.pk}, HTTP_HX_REQUEST="true").content.decode()

    assert f"check={run.pk}" in asked.content.decode()
    assert waiting.status_code == 204
    assert "every 1s" not in over
    assert "Just checked: they differ." in over
    assert "Halvorsen AS" in over
    assert 'id="timeline"' in over
    assert "differs in 1 field" in over


def test_a_check_that_finds_nothing_says_so(client_of: Any, operations: Any, url: str, customer: Record) -> None:
    now = timezone.now()
    run = Run.objects.create(
        tenant=customer.tenant, environment="test", connection=customer.connection, kind=RunKind.RECONCILE,
        state=WorkState.DONE, due_at=now, asked_by="the tests",
    )  # fmt: skip

    assert "both sides are equal" in client_of(operations).get(url, {"check": run.pk}).content.decode()


def test_a_disabled_connection_is_not_asked_and_the_reason_is_said(
    client_of: Any, operations: Any, url: str, connection: Connection
) -> None:
    Connection.objects.filter(pk=connection.pk).update(disabled_at=timezone.now())
    client = client_of(operations)

    page = client.post(f"{url}check/", follow=True)
    part = client.post(f"{url}check/", HTTP_HX_REQUEST="true")

    assert "is disabled. Enable it first." in page.content.decode()
    assert "is disabled. Enable it first." in part.content.decode()
    assert not Run.objects.filter(kind=RunKind.RECONCILE).exists()


def test_support_may_not_ask(client_of: Any, support: Any, url: str) -> None:
    assert client_of(support).post(f"{url}check/").status_code == 403
    assert not Run.objects.exists()


def test_looking_never_asks(client_of: Any, operations: Any, url: str) -> None:
    assert client_of(operations).get(f"{url}check/").status_code == 405


def test_strangers_find_nothing_to_check(client_of: Any, stranger: Any, url: str) -> None:
    assert client_of(stranger).post(f"{url}check/").status_code == 404
