from typing import Any

import pytest

from integrations.models import Drift, DriftStatus, JournalEntry, Transition
from tests.conftest import connected
from tests.console.drift.conftest import INVOICE

URL = "/northwind/test/drift/"


@pytest.mark.parametrize("role", ["finance", "operations", "engineer"])
def test_accepting_theirs_changes_belief(client_of: Any, request: Any, make_drift: Any, role: str) -> None:
    drift = make_drift()

    answer = client_of(request.getfixturevalue(role)).post(
        f"{URL}accept/", {"row": drift.pk, "reason": "Paid by bank"}, follow=True
    )

    drift.refresh_from_db()
    drift.record.refresh_from_db()
    assert "Theirs accepted for 1 difference." in answer.content.decode()
    assert (drift.status, drift.reason, drift.record.state) == (DriftStatus.ACCEPTED, "Paid by bank", "paid")
    assert Transition.objects.get(record=drift.record).cause == "reconciliation"


def test_many_are_accepted_at_once(client_of: Any, finance: Any, make_drift: Any) -> None:
    first, second = make_drift(), make_drift()
    third = make_drift("amount_paid", 0, 481250, record=second.record)

    client_of(finance).post(
        f"{URL}accept/", {"row": [first.pk, second.pk, third.pk], "reason": "All were paid by bank"}
    )

    assert set(Drift.objects.values_list("status", flat=True)) == {DriftStatus.ACCEPTED}
    third.record.refresh_from_db()
    assert (third.record.state, third.record.data["amount_paid"]) == ("paid", 481250)


def test_ignoring_leaves_both_sides(client_of: Any, finance: Any, make_drift: Any) -> None:
    drift = make_drift("total", 481250, 481251)

    client_of(finance).post(f"{URL}ignore/", {"row": drift.pk, "reason": "Rounding"})

    drift.refresh_from_db()
    assert (drift.status, drift.record.data["total"]) == (DriftStatus.IGNORED, 481250)
    assert JournalEntry.objects.get(action="drift.ignored").reason == "Rounding"


def test_the_question_says_what_will_change(client_of: Any, finance: Any, make_drift: Any, missing_here: Drift) -> None:
    drift = make_drift("state", "paid", "draft")

    shown = client_of(finance).get(f"{URL}accept/?row={drift.pk}&row={missing_here.pk}").content.decode()

    assert "<del>paid</del> <ins>draft</ins>" in shown
    assert "becomes a record here, from the evidence of the check" in shown
    assert "would not be a legal step by itself" in shown
    assert "Accept theirs for 2 differences" in shown


def test_the_question_changes_nothing(client_of: Any, finance: Any, make_drift: Any) -> None:
    drift = make_drift()

    client_of(finance).get(f"{URL}accept/?row={drift.pk}")

    drift.refresh_from_db()
    assert drift.status == DriftStatus.OPEN


@pytest.mark.parametrize("act", ["accept", "ignore"])
def test_without_a_reason_nothing_is_settled(client_of: Any, finance: Any, make_drift: Any, act: str) -> None:
    drift = make_drift()

    answer = client_of(finance).post(f"{URL}{act}/", {"row": drift.pk, "reason": " "})

    drift.refresh_from_db()
    assert (answer.status_code, drift.status) == (422, DriftStatus.OPEN)


@pytest.mark.parametrize("role", ["support", "auditor"])
@pytest.mark.parametrize("act", ["accept", "ignore"])
def test_others_may_not(client_of: Any, request: Any, make_drift: Any, role: str, act: str) -> None:
    drift = make_drift()
    client = client_of(request.getfixturevalue(role))

    assert client.get(f"{URL}{act}/?row={drift.pk}").status_code == 403
    assert client.post(f"{URL}{act}/", {"row": drift.pk, "reason": "x"}).status_code == 403


@pytest.mark.parametrize("query", ["", "?row=", "?row=x", "?row=%00", "?row=0", "?row=-1", "?row=99999999999999999999"])
def test_rows_that_are_none_settle_nothing(client_of: Any, finance: Any, make_drift: Any, query: str) -> None:
    make_drift()

    assert client_of(finance).get(f"{URL}accept/{query}").status_code in (302, 404)


def test_a_row_of_another_tenant_does_not_exist(
    client_of: Any, finance: Any, other_connection: Any, make_record: Any, make_drift: Any
) -> None:
    mine = make_drift()
    foreign = make_drift(record=make_record("invoice", data=INVOICE, on=other_connection))

    answer = client_of(finance).post(f"{URL}accept/", {"row": [mine.pk, foreign.pk], "reason": "x"})

    mine.refresh_from_db()
    assert (answer.status_code, mine.status) == (404, DriftStatus.OPEN)


def test_a_row_of_the_other_environment_does_not_exist(
    client_of: Any, finance: Any, tenant: Any, make_record: Any, make_drift: Any
) -> None:
    live = make_drift(record=make_record("invoice", data=INVOICE, on=connected(tenant, "L", environment="live")))

    assert client_of(finance).get(f"{URL}accept/?row={live.pk}").status_code == 404


def test_what_is_settled_already_is_told(client_of: Any, finance: Any, make_drift: Any) -> None:
    drift = make_drift(status=DriftStatus.GONE)

    answer = client_of(finance).get(f"{URL}accept/?row={drift.pk}", follow=True)

    assert "These are settled already." in answer.content.decode()
