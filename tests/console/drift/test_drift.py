from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.drift import listing
from integrations.models import Connection, Drift, DriftStatus, Run, Tenant
from tests.conftest import connected
from tests.console.drift.conftest import INVOICE

URL = "/northwind/test/drift/"
SCRIPT = "<script>alert(1)</script>"


def page(client: Client, url: str = URL, **headers: str) -> str:
    answer = client.get(url, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("role, status", [("support", 403), ("finance", 200), ("operations", 200), ("auditor", 200)])
def test_drift_is_not_for_support(client_of: Any, request: Any, check: Run, role: str, status: int) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.get(URL).status_code == status
    assert client.get(f"{URL}checks/").status_code == status


def test_it_shows_both_sides_and_the_evidence(client_of: Any, finance: Any, make_drift: Any) -> None:
    drift = make_drift()

    shown = page(client_of(finance))

    assert "1 difference open" in shown
    assert "INV-2041" in shown
    assert f"/events/{drift.evidence_id}/" in shown
    assert f"/records/{drift.record_id}/" in shown


def test_differences_of_one_record_stand_together(client_of: Any, finance: Any, make_drift: Any) -> None:
    first = make_drift("amount_paid", 0, 481250)
    make_drift()
    make_drift(record=first.record)

    groups = client_of(finance).get(URL).context["page"].groups

    assert [[row.field for row in group.rows] for group in groups] == [["state", "amount_paid"], ["state"]]


def test_money_is_said_for_each_currency(client_of: Any, finance: Any, make_drift: Any, make_record: Any) -> None:
    dollars = make_record("invoice", data=INVOICE | {"currency": "USD", "number": "INV-1"})
    moved = make_drift("subtotal", 481250, 485750)
    make_drift("total", 481250, 486250, record=moved.record)
    make_drift(record=dollars)
    make_drift("amount_paid", 0, 481250, record=dollars)

    stakes = client_of(finance).get(URL).context["stakes"]

    assert [(s.currency, s.records, s.total) for s in stakes.currencies] == [("USD", 1, 481250), ("EUR", 1, 5000)]


def test_what_has_no_money_is_counted_apart(
    client_of: Any, finance: Any, make_drift: Any, make_record: Any, missing_here: Drift
) -> None:
    make_drift("name", "Halvorsen Marine", "Halvorsen Maritime", record=make_record("customer"))

    stakes = client_of(finance).get(URL).context["stakes"]

    assert (stakes.currencies, stakes.without) == ((), 2)


def test_odd_values_do_not_break_the_sums(client_of: Any, finance: Any, make_drift: Any, make_record: Any) -> None:
    drift = make_drift("total", None, "much", record=make_record("invoice", data=INVOICE))
    make_drift("tax", [], {"a": 1}, record=drift.record)
    make_drift("amount_due", None, 5, record=drift.record)

    answer = client_of(finance).get(URL)

    assert [(s.currency, s.total) for s in answer.context["stakes"].currencies] == [("EUR", 5)]


@pytest.mark.parametrize(
    "query, found",
    [
        ("", 2),
        ("?field=state", 1),
        ("?field=state&field=total", 2),
        ("?kind=invoice", 2),
        ("?kind=customer", 0),
        ("?status=ignored", 0),
        ("?run=999", 0),
        ("?run=abc", 0),
        ("?run=R-99999999999999999999", 0),
        ("?field=nonsense&kind=&connection=x&status=%00&after=zzz&before=-1", 2),
        ("?after=1", 0),
    ],
)
def test_it_can_be_narrowed(client_of: Any, finance: Any, make_drift: Any, query: str, found: int) -> None:
    make_drift()
    make_drift("total", 1, 2)
    low = Drift.objects.order_by("pk")[0].pk

    answer = client_of(finance).get(URL + query.replace("after=1", f"after={low}"))

    assert len(answer.context["page"].groups) == found


def test_a_check_leads_to_what_it_found(client_of: Any, finance: Any, make_drift: Any, check: Run) -> None:
    make_drift()
    make_drift(status=DriftStatus.GONE, settled_at=timezone.now())
    client = client_of(finance)

    assert len(client.get(f"{URL}?run=R-{check.pk}").context["page"].groups) == 2
    assert len(client.get(f"{URL}?run={check.pk}&status=gone").context["page"].groups) == 1
    assert page(client, f"{URL}?run={check.pk}").count('name="row"') == 1


def test_pages_follow_by_record(client_of: Any, finance: Any, make_drift: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "SIZE", 2)
    records = [make_drift().record for _ in range(5)]
    make_drift("total", 1, 2, record=records[0])
    client, seen, url = client_of(finance), [], URL

    for _ in range(3):
        found = client.get(url).context["page"]
        seen += [group.record for group in found.groups]
        url = f"{URL}?after={found.older}"
    back = client.get(f"{URL}?before={found.newer}").context["page"]

    assert seen == [records[0], *reversed(records[1:])]
    assert not found.older
    assert [group.record for group in back.groups] == seen[2:4]


def test_settled_ones_say_who_and_why(client_of: Any, finance: Any, make_drift: Any) -> None:
    drift = make_drift()
    Drift.objects.filter(pk=drift.pk).update(
        status=DriftStatus.IGNORED, settled_by="Marta", reason=SCRIPT, settled_at=drift.first_seen_at
    )

    shown = page(client_of(finance), f"{URL}?status=ignored")

    assert "Marta" in shown
    assert "&lt;script&gt;" in shown
    assert SCRIPT not in shown


def test_personal_sides_are_taken_out(
    client_of: Any, finance: Any, engineer: Any, make_drift: Any, make_record: Any
) -> None:
    make_drift("email", "jane@old.example", "jane@new.example", record=make_record("customer"))

    assert "jane@" not in page(client_of(finance))
    assert "jane@new.example" in page(client_of(engineer))


def test_scripts_in_values_are_inert(client_of: Any, finance: Any, make_drift: Any, make_record: Any) -> None:
    customer = make_record("customer", data={"name": SCRIPT})
    drift = make_drift("name", SCRIPT, SCRIPT, record=customer)
    client = client_of(finance)

    assert SCRIPT not in page(client)
    assert SCRIPT not in page(client, f"{URL}accept/?row={drift.pk}")


def test_nothing_open_says_when_it_was_compared(client_of: Any, finance: Any, check: Run) -> None:
    shown = page(client_of(finance))

    assert "<h1>Nothing differs</h1>" in shown
    assert "Last compared" in shown


def test_nothing_compared_says_what_to_do(client_of: Any, finance: Any, connection: Connection) -> None:
    assert "Nothing was compared yet" in page(client_of(finance))


def test_the_other_environment_is_not_here(
    client_of: Any, finance: Any, tenant: Tenant, make_drift: Any, make_record: Any
) -> None:
    make_drift(record=make_record("invoice", data=INVOICE, on=connected(tenant, "Live", environment="live")))

    assert "INV-2041" not in page(client_of(finance))


def test_only_those_who_may_are_offered_the_acts(
    client_of: Any, auditor: Any, finance: Any, operations: Any, make_drift: Any
) -> None:
    make_drift()
    acts = {user: page(client_of(user)) for user in (auditor, finance, operations)}

    assert {user for user, shown in acts.items() if "/drift/accept/" in shown and "Accept" in shown} == {
        finance,
        operations,
    }
    assert {user for user, shown in acts.items() if "/drift/report/" in shown} == {auditor, finance}
    assert {user for user, shown in acts.items() if "/drift/check/" in shown} == {operations}


def test_more_differences_ask_no_more_queries(client_of: Any, finance: Any, make_drift: Any) -> None:
    client = client_of(finance)
    make_drift()
    page(client)

    with CaptureQueriesContext(database) as few:
        page(client)
    for _ in range(6):
        make_drift("total", 1, 2, record=make_drift().record)
    with CaptureQueriesContext(database) as many:
        page(client)

    assert len(many) == len(few) <= 19
