from typing import Any

import pytest

from console.events import listing
from integrations.models import Event, WorkState
from tests.conftest import customer_object


def ids(answer: Any) -> list[int]:
    """The events of an answer, in order."""
    return [event.pk for event in answer.context["cut"].rows]


@pytest.fixture
def five(make_event: Any) -> list[Event]:
    """Five events, the last one the newest."""
    return [make_event(obj=customer_object(f"cus_{n}"), event_id=f"evt_{n}") for n in range(5)]


@pytest.mark.parametrize("states", [[], ["ready", "parked"]])
def test_pages_lead_to_the_end_and_back(
    client_of: Any, support: Any, events_url: str, five: list[Event], monkeypatch: pytest.MonkeyPatch, states: list[str]
) -> None:
    monkeypatch.setattr(listing, "SIZE", 2)
    Event.objects.filter(pk=five[2].pk).update(state=WorkState.PARKED)
    newest_first = [event.pk for event in reversed(five)]
    client = client_of(support)

    first = client.get(events_url, {"state": states})
    second = client.get(events_url, {"state": states, "after": first.context["cut"].older})
    third = client.get(events_url, {"state": states, "after": second.context["cut"].older})
    back = client.get(events_url, {"state": states, "before": third.context["cut"].newer})

    assert ids(first) + ids(second) + ids(third) == newest_first
    assert ids(back) == newest_first[2:4]
    assert not first.context["cut"].newer
    assert not third.context["cut"].older


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state": "parked"}, {"b"}),
        ({"decision": "stale"}, {"a"}),
        ({"category": "mapping failure"}, {"b"}),
        ({"type": "customer.deleted"}, {"c"}),
        ({"source": "page"}, {"c"}),
        ({"source": ["page", "webhook"]}, {"a", "b", "c"}),
        ({"q": "evt_a"}, {"a"}),
        ({"q": "cus_b"}, {"b"}),
        ({"q": "%"}, set()),
        ({"q": "<script>alert(1)</script>"}, set()),
        ({"state": "dreaming", "source": "gossip"}, {"a", "b", "c"}),
        ({"after": "x", "before": "-1"}, {"a", "b", "c"}),
        ({"after": "9" * 40}, {"a", "b", "c"}),
        ({"connection": "0"}, {"a", "b", "c"}),
    ],
)
def test_filters_and_ids_narrow_the_list(
    client_of: Any, support: Any, events_url: str, make_event: Any, query: dict[str, Any], found: set[str]
) -> None:
    made = {
        "a": make_event(obj=customer_object("cus_a"), event_id="evt_a", decision="stale", state=WorkState.DONE),
        "b": make_event(obj=customer_object("cus_b"), state=WorkState.PARKED, category="mapping failure"),
        "c": make_event("customer.deleted", customer_object("cus_c"), source="page"),
    }

    answer = client_of(support).get(events_url, query)

    assert set(ids(answer)) == {made[name].pk for name in found}
    assert "<script>alert" not in answer.content.decode()


def test_another_tenants_events_are_not_there(
    client_of: Any, support: Any, stranger: Any, events_url: str, make_event: Any, other_connection: Any
) -> None:
    make_event(on=other_connection, event_id="evt_theirs")

    assert ids(client_of(support).get(events_url)) == []
    assert ids(client_of(support).get(events_url, {"q": "evt_theirs"})) == []
    assert client_of(stranger).get(events_url).status_code == 404


def test_htmx_gets_the_rows_alone(client_of: Any, support: Any, events_url: str, make_event: Any) -> None:
    make_event()

    answer = client_of(support).get(events_url, HTTP_HX_REQUEST="true")

    assert "<html" not in answer.content.decode()
    assert "HX-Request" in answer["Vary"]


def test_an_empty_list_says_what_fills_it(client_of: Any, support: Any, events_url: str) -> None:
    assert "No events yet" in client_of(support).get(events_url).content.decode()
