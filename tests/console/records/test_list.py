from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.records import listing
from integrations.models import Record


def labels(answer: Any) -> list[str]:
    """The records of an answer, in order."""
    return [row.record.label for row in answer.context["rows"]]


@pytest.fixture
def many(make_record: Any, monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """Seven records, the first one changed last, on pages of three."""
    monkeypatch.setattr(listing, "SIZE", 3)
    now = timezone.now()
    made = [make_record(data={"name": f"Customer {n}"}) for n in range(7)]
    for age, record in enumerate(made):
        Record.objects.filter(pk=record.pk).update(updated_at=now - timedelta(hours=age))
    return made


@pytest.mark.usefixtures("many")
def test_pages_lead_to_the_end_and_back_without_a_gap(client_of: Any, support: Any, records_url: str) -> None:
    client = client_of(support)
    first = client.get(records_url)

    second = client.get(records_url, {"after": first.context["cut"].older})
    third = client.get(records_url, {"after": second.context["cut"].older})
    back = client.get(records_url, {"before": third.context["cut"].newer})

    assert labels(first) == ["Customer 0", "Customer 1", "Customer 2"]
    assert labels(second) == labels(back) == ["Customer 3", "Customer 4", "Customer 5"]
    assert labels(third) == ["Customer 6"]
    assert not first.context["cut"].newer
    assert not third.context["cut"].older


@pytest.mark.usefixtures("many")
def test_records_changed_at_the_same_moment_are_not_lost_between_pages(
    client_of: Any, support: Any, records_url: str
) -> None:
    Record.objects.update(updated_at=timezone.now())
    client = client_of(support)

    seen: list[str] = []
    address: dict[str, str] = {}
    for _ in range(3):
        answer = client.get(records_url, address)
        seen += labels(answer)
        address = {"after": answer.context["cut"].older}

    assert sorted(seen) == [f"Customer {n}" for n in range(7)]


def test_stuck_records_come_longest_stuck_first_with_what_they_wait_for(
    client_of: Any, support: Any, records_url: str, make_record: Any
) -> None:
    now = timezone.now()
    for minutes in (5, 60, 20):
        make_record(
            data={"name": f"Stuck {minutes}"},
            stuck_since=now - timedelta(minutes=minutes),
            stuck_category="mapping failure",
            waits_for="the mapping of tax to be repaired",
        )
    make_record(data={"name": "Fine"})

    answer = client_of(support).get(records_url, {"stuck": "1"})

    assert labels(answer) == ["Stuck 60", "Stuck 20", "Stuck 5"]
    assert "The mapping of tax to be repaired" in answer.content.decode()
    assert "engineer" in answer.content.decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"kind": "invoice"}, {"INV-1", "INV-2"}),
        ({"kind": ["invoice", "payment"]}, {"INV-1", "INV-2", "pay_1"}),
        ({"kind": "invoice", "state": "paid"}, {"INV-2"}),
        ({"state": "succeeded"}, {"pay_1"}),
        ({"kind": "customer", "state": "paid"}, {"Halvorsen"}),
        ({"amount": "50"}, {"INV-2", "pay_1"}),
        ({"amount": "4,812.50"}, {"INV-2"}),
        ({"differs": "1"}, {"INV-2"}),
        ({"changed": "day"}, {"Halvorsen", "INV-1", "INV-2", "pay_1"}),
        ({"changed": "older"}, set()),
    ],
)
def test_filters_narrow_the_list(
    client_of: Any, support: Any, records_url: str, make_record: Any, query: dict[str, Any], found: set[str]
) -> None:
    make_record(data={"name": "Halvorsen"})
    make_record("invoice", data={"number": "INV-1", "total": 1000, "currency": "EUR"})
    make_record("invoice", state="paid", data={"number": "INV-2", "total": 481250, "currency": "EUR"}, open_drift=1)
    make_record("payment", external_id="pay_1", data={"amount": 60, "currency": "JPY"})

    assert set(labels(client_of(support).get(records_url, query))) == found


@pytest.mark.parametrize(
    "query",
    [
        {"after": "nonsense"},
        {"after": "99999999999999999.999999999999999999"},
        {"before": "-1.-1"},
        {"kind": "unicorn", "state": "dancing", "connection": "0", "changed": "yesterday"},
        {"connection": "9" * 30},
        {"customer": "x"},
        {"customer": "9" * 18},
        {"amount": "1e9999"},
        {"amount": "NaN"},
        {"amount": "<script>"},
        {"sort": "' OR 1=1"},
        {"stuck": "maybe"},
        {"q": "\x00"},
    ],
)
def test_an_address_that_makes_no_sense_shows_a_list_and_not_an_error(
    client_of: Any, support: Any, records_url: str, make_record: Any, query: dict[str, str]
) -> None:
    make_record()

    assert client_of(support).get(records_url, query).status_code == 200


def test_an_amount_that_is_none_is_said_and_narrows_nothing(
    client_of: Any, support: Any, records_url: str, make_record: Any
) -> None:
    make_record(data={"name": "Halvorsen"})

    answer = client_of(support).get(records_url, {"amount": "much"})

    assert "“much” is no amount" in answer.content.decode()
    assert labels(answer) == ["Halvorsen"]


def test_tabs_say_how_many_are_stuck(client_of: Any, support: Any, records_url: str, make_record: Any) -> None:
    make_record(stuck_since=timezone.now(), stuck_category="unknown")
    make_record()

    tabs = {tab["name"]: tab for tab in client_of(support).get(records_url, {"stuck": "1"}).context["tabs"]}

    assert tabs["Stuck"]["count"] == 1
    assert tabs["Stuck"]["current"]
    assert tabs["All"]["count"] is None


def test_records_of_a_customer_are_listed_under_its_name(
    client_of: Any, support: Any, records_url: str, make_record: Any
) -> None:
    customer = make_record(data={"name": "Halvorsen Marine AS"})
    make_record("invoice", data={"number": "INV-1"}, customer=customer)
    make_record("invoice", data={"number": "INV-2"})

    answer = client_of(support).get(records_url, {"customer": customer.pk})

    assert labels(answer) == ["INV-1"]
    assert "Customer <b>Halvorsen Marine AS</b>" in answer.content.decode()


def test_htmx_gets_the_rows_alone(client_of: Any, support: Any, records_url: str, make_record: Any) -> None:
    make_record()

    answer = client_of(support).get(records_url, HTTP_HX_REQUEST="true")

    assert "<html" not in answer.content.decode()
    assert "HX-Request" in answer["Vary"]


def test_an_empty_list_says_what_fills_it(client_of: Any, support: Any, records_url: str) -> None:
    text = client_of(support).get(records_url).content.decode()

    assert "No records yet" in text
    assert "first webhook" in text


def test_another_tenants_records_are_not_there(
    client_of: Any, support: Any, stranger: Any, records_url: str, make_record: Any, other_connection: Any
) -> None:
    make_record(data={"name": "Theirs"}, on=other_connection)
    make_record(data={"name": "Ours"})

    assert labels(client_of(support).get(records_url)) == ["Ours"]
    assert client_of(stranger).get(records_url).status_code == 404


def test_the_list_costs_the_same_queries_whatever_its_length(
    client_of: Any, support: Any, records_url: str, make_record: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        make_record()
    client = client_of(support)

    with django_assert_max_num_queries(12):
        client.get(records_url)
