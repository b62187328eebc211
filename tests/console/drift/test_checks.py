from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Connection, JournalEntry, Run, RunKind, WorkState

URL = "/northwind/test/drift/"


def test_operations_asks_for_a_check(client_of: Any, operations: Any, connection: Connection) -> None:
    answer = client_of(operations).post(f"{URL}check/{connection.pk}/", {"reason": "Month end"}, follow=True)

    runs = Run.objects.filter(kind=RunKind.RECONCILE)
    assert {run.stream.resource for run in runs if run.stream} == {"customer", "invoice", "payment_intent", "refund"}
    assert "Stripe is being checked: 4 streams." in answer.content.decode()
    assert JournalEntry.objects.get(action="connection.check_asked").reason == "Month end"


def test_a_second_check_is_refused_while_one_runs(client_of: Any, operations: Any, connection: Connection) -> None:
    client = client_of(operations)
    client.post(f"{URL}check/{connection.pk}/", {"reason": "Month end"})

    answer = client.post(f"{URL}check/{connection.pk}/", {"reason": "Again"})

    assert answer.status_code == 422
    assert b"under way already" in answer.content


@pytest.mark.parametrize("role", ["support", "finance", "auditor"])
def test_others_may_not_ask(client_of: Any, request: Any, connection: Connection, role: str) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.get(f"{URL}check/{connection.pk}/").status_code == 403
    assert client.post(f"{URL}check/{connection.pk}/", {"reason": "x"}).status_code == 403


def test_a_connection_of_others_does_not_exist(
    client_of: Any, operations: Any, connection: Any, other_connection: Any
) -> None:
    assert client_of(operations).get(f"{URL}check/{other_connection.pk}/").status_code == 404


def test_the_list_says_who_asked_and_what_came_of_it(client_of: Any, finance: Any, check: Run) -> None:
    shown = client_of(finance).get(f"{URL}checks/").content.decode()

    assert "Priya Raman" in shown
    assert "“Month end”" in shown
    assert f"?run={check.pk}" in shown
    assert "every 2s" not in shown


def test_a_running_check_asks_again_and_can_be_cancelled(client_of: Any, operations: Any, check: Run) -> None:
    running = Run.objects.create(
        tenant=check.tenant, environment="test", connection=check.connection, stream=check.stream, items=20, changed=20,
        kind=RunKind.RECONCILE, state=WorkState.LEASED, due_at=timezone.now(), asked_by="Priya", compared=10,
    )  # fmt: skip
    client = client_of(operations)

    shown = client.get(f"{URL}checks/", headers={"HX-Request": "true"}).content.decode()
    client.post(f"{URL}checks/{running.pk}/cancel/", {"reason": "Too early"})

    assert 'hx-trigger="every 2s"' in shown
    assert '<progress value="10" max="40"' in shown
    running.refresh_from_db()
    assert running.cancelled_at


def test_what_was_read_and_not_yet_compared_counts_as_running(client_of: Any, finance: Any, check: Run) -> None:
    Run.objects.filter(pk=check.pk).update(compared=10)
    assert client_of(finance).get(f"{URL}checks/").context["page"].moving

    Run.objects.filter(pk=check.pk).update(finished_at=timezone.now() - timedelta(minutes=5))
    assert not client_of(finance).get(f"{URL}checks/").context["page"].moving


def test_cancelling_a_finished_check_is_refused(client_of: Any, operations: Any, check: Run) -> None:
    answer = client_of(operations).post(f"{URL}checks/{check.pk}/cancel/", {"reason": "x"})

    assert answer.status_code == 422
    assert b"This run is over already." in answer.content


@pytest.mark.parametrize("role", ["support", "finance", "auditor"])
def test_others_may_not_cancel(client_of: Any, request: Any, check: Run, role: str) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.post(f"{URL}checks/{check.pk}/cancel/", {"reason": "x"}).status_code == 403


def test_another_sort_of_run_is_no_check(client_of: Any, operations: Any, check: Run) -> None:
    Run.objects.update(kind=RunKind.RESYNC)

    assert client_of(operations).get(f"{URL}checks/{check.pk}/cancel/").status_code == 404


@pytest.mark.parametrize("query", ["?after=x", "?before=99999999999999999999", "?after=%00", "?before=-5"])
def test_a_wrong_place_is_the_beginning(client_of: Any, finance: Any, check: Run, query: str) -> None:
    assert len(client_of(finance).get(f"{URL}checks/{query}").context["page"].checks) == 1
