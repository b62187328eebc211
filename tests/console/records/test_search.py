from typing import Any

import pytest

from console.records import search
from integrations.models import Connection, Event
from tests.console.records.conftest import ALERT
from tests.console.records.test_list import labels


@pytest.fixture(autouse=True)
def records(make_record: Any, request: pytest.FixtureRequest) -> None:
    customer = make_record(
        external_id="cus_QXg1o8vcGmoR32",
        data={"name": "Halvorsen Marine AS", "email": "accounts@halvorsen-marine.example"},
    )
    make_record(
        "invoice",
        external_id="in_1PxYzAB7WZ01zgkWq3mT8dLc",
        data={"number": "INV-2041", "total": 481250, "currency": "EUR", "customer": "cus_QXg1o8vcGmoR32"},
        customer=customer,
    )
    make_record("invoice", external_id="in_1Q", data={"number": "INV-2141", "total": 100, "currency": "GBP"})
    make_record(external_id="cus_other", data={"name": "100% Cotton_Co"})


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("in_1PxYzAB7WZ01zgkWq3mT8dLc", {"INV-2041"}),
        ("  in_1PxYzAB7WZ01zgkWq3mT8dLc ", {"INV-2041"}),
        ("in_1PxY", {"INV-2041"}),
        ("INV-2041", {"INV-2041"}),
        ("inv-20", {"INV-2041"}),
        ("inv", {"INV-2041", "INV-2141"}),
        ("halvorsen", {"Halvorsen Marine AS", "INV-2041"}),
        ("marine halv", {"Halvorsen Marine AS", "INV-2041"}),
        ("accounts@halvorsen-marine.example", {"Halvorsen Marine AS", "INV-2041"}),
        ("accounts@halv", {"Halvorsen Marine AS", "INV-2041"}),
        ("4812.50", {"INV-2041"}),
        ("€4,812.50", {"INV-2041"}),
        ("4 812.50", {"INV-2041"}),
        ("eur", {"INV-2041"}),
        ("cotton_co", {"100% Cotton_Co"}),
        ("halvorsen inv-2141", set()),
    ],
)
def test_a_record_is_found_by_whatever_one_has_in_hand(
    client_of: Any, support: Any, records_url: str, asked: str, found: set[str]
) -> None:
    assert set(labels(client_of(support).get(records_url, {"q": asked}))) == found


@pytest.mark.parametrize(
    "asked",
    [
        "%", "_", "%%%%%%", "in\\_1P%", "______", "in_1%T8dLc", "'", "''", "\\", "':*", "zq' | halvorsen",
        "halvorsen & !zq", "(((", "<->", ALERT, "'; DROP TABLE integrations_record; --", "☃" * 500, "zq " * 500,
        "x" * 5000, "-", "--", "$$", "{}", "%s", "%(x)s",
    ],
)  # fmt: skip
def test_signs_that_mean_something_elsewhere_mean_nothing_here(
    client_of: Any, support: Any, records_url: str, asked: str
) -> None:
    answer = client_of(support).get(records_url, {"q": asked})

    assert answer.status_code == 200
    assert labels(answer) == []
    assert ALERT not in answer.content.decode()


@pytest.mark.parametrize("asked", ["\x00", "\u202e", " ", "\x00\x1b\t\n"])
def test_a_search_for_nothing_shows_the_list(client_of: Any, support: Any, records_url: str, asked: str) -> None:
    assert len(labels(client_of(support).get(records_url, {"q": asked}))) == 4


def test_an_event_leads_to_its_record(
    client_of: Any, support: Any, records_url: str, make_event: Any, make_record: Any
) -> None:
    record = make_record(data={"name": "Atelier Roux"})
    make_event(event_id="evt_1QMd7kB7WZ01", record=record)

    assert labels(client_of(support).get(records_url, {"q": "evt_1QMd7kB7WZ01"})) == ["Atelier Roux"]


def test_evidence_without_a_record_is_shown_instead_of_nothing(
    client_of: Any, support: Any, records_url: str, tell: Any
) -> None:
    event = tell("invoice.created", {"id": "in_123", "object": "invoice", "status": "in_review"})

    text = client_of(support).get(records_url, {"q": "in_123"}).content.decode()

    assert "No record yet: 1 event about <code>in_123</code> is parked" in text
    assert f"/northwind/test/events/{event.pk}/" in text


def test_what_nobody_has_says_how_to_look(client_of: Any, support: Any, records_url: str) -> None:
    text = client_of(support).get(records_url, {"q": "nothing like this"}).content.decode()

    assert "No record matches" in text
    assert 'value="nothing like this"' in text


def test_ids_of_another_tenant_lead_nowhere(
    client_of: Any, support: Any, records_url: str, make_record: Any, make_event: Any, other_connection: Connection
) -> None:
    theirs = make_record(external_id="cus_theirs", data={"name": "Theirs"}, on=other_connection)
    make_event(event_id="evt_theirs", on=other_connection, record=theirs)
    make_event("invoice.created", {"id": "in_theirs"}, on=other_connection, external_id="in_theirs", record=None)
    client = client_of(support)

    for asked in ("cus_theirs", "cus_th", "theirs", "evt_theirs", "in_theirs"):
        answer = client.get(records_url, {"q": asked})
        assert labels(answer) == []
        assert answer.context["evidence"] == []


@pytest.mark.parametrize("ahead", [0, 1, 1000])
@pytest.mark.parametrize("few", [0, 3000])
def test_common_and_rare_words_are_found_alike(
    client_of: Any, support: Any, records_url: str, monkeypatch: pytest.MonkeyPatch, ahead: int, few: int
) -> None:
    monkeypatch.setattr(search, "AHEAD", ahead)
    monkeypatch.setattr(search, "FEW", few)

    assert set(labels(client_of(support).get(records_url, {"q": "inv"}))) == {"INV-2041", "INV-2141"}
    assert labels(client_of(support).get(records_url, {"q": "inv-2141", "kind": "invoice"})) == ["INV-2141"]


def test_a_search_goes_on_on_further_pages(
    client_of: Any, support: Any, records_url: str, make_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.records.listing.SIZE", 2)
    for number in range(5):
        make_record("refund", external_id=f"re_{number}", data={"reason": "requested_by_customer"})
    client = client_of(support)

    seen: list[str] = []
    address = {"q": "requested"}
    for _ in range(3):
        answer = client.get(records_url, address)
        seen += labels(answer)
        address = {"q": "requested", "after": answer.context["cut"].older}

    assert len(seen) == len(set(seen)) == 5


def test_searches_look_only_at_what_is_visible(make_event: Any, support: Any) -> None:
    event = make_event("invoice.created", {"id": "in_x"}, external_id="in_x", record=None)

    found = search.evidence_without_record(search.Asked("in_x"), Event.objects.visible_to(support))

    assert found == [event]
