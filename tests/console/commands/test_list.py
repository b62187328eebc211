from collections.abc import Callable
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext

from console.commands import listing
from integrations.models import Command, Connection, Outcome, Record, WorkState

Maker = Callable[..., Any]


def found(client: Any, url: str, **query: Any) -> list[str]:
    """Return the operation ids that a list shows, in its order."""
    return [command.operation_id for command in client.get(url, query).context["cut"].rows]


def test_the_newest_comes_first(client_of: Any, support: Any, commands_url: str, make_command: Maker) -> None:
    make_command("op_1")
    make_command("op_2")

    assert found(client_of(support), commands_url) == ["op_2", "op_1"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"outcome": "unknown"}, ["op_unknown"]),
        ({"outcome": ["unknown", "confirmed"]}, ["op_done", "op_unknown"]),
        ({"state": "parked"}, ["op_unknown"]),
        ({"outcome": "nothing like it"}, ["op_done", "op_unknown"]),
        ({"q": "op_done"}, ["op_done"]),
        ({"q": "op_"}, []),
        ({"q": "INV-2041"}, ["op_unknown"]),
        ({"q": "\x00"}, ["op_done", "op_unknown"]),
        ({"record": "nobody"}, []),
    ],
)
def test_filters_narrow(
    client_of: Any,
    support: Any,
    commands_url: str,
    make_command: Maker,
    unknown: Command,
    query: dict[str, Any],
    expected: list[str],
) -> None:
    make_command("op_done", outcome=Outcome.CONFIRMED, state=WorkState.DONE)

    assert found(client_of(support), commands_url, **query) == expected


def test_commands_are_found_by_their_record_and_by_its_id_at_the_provider(
    client_of: Any, support: Any, commands_url: str, make_command: Maker, make_record: Callable[..., Record]
) -> None:
    record = make_record("payment", external_id="pi_1234567")
    make_command("op_of_it", record=record)
    make_command("op_other")

    assert found(client_of(support), commands_url, record=record.pk) == ["op_of_it"]
    assert found(client_of(support), commands_url, q="pi_1234567") == ["op_of_it"]


def test_pages_go_on_where_the_last_one_ended(
    client_of: Any, support: Any, commands_url: str, make_command: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SIZE", 2)
    for number in range(5):
        make_command(f"op_{number}")
    client = client_of(support)

    first = client.get(commands_url).context["cut"]
    second = client.get(commands_url, {"after": first.older}).context["cut"]
    back = client.get(commands_url, {"before": second.newer}).context["cut"]

    assert [c.operation_id for c in first.rows] == ["op_4", "op_3"]
    assert [c.operation_id for c in second.rows] == ["op_2", "op_1"]
    assert [c.operation_id for c in back.rows] == ["op_4", "op_3"]


def test_pages_of_several_states_hold_them_in_one_order(
    client_of: Any, support: Any, commands_url: str, make_command: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SIZE", 2)
    for number, state in enumerate(("waiting", "parked", "parked", "done", "waiting", "parked")):
        make_command(f"op_{number}", state=state)
    client, asked = client_of(support), {"state": ["waiting", "parked"]}

    first = client.get(commands_url, asked).context["cut"]
    second = client.get(commands_url, asked | {"after": first.older}).context["cut"]
    third = client.get(commands_url, asked | {"after": second.older}).context["cut"]
    back = client.get(commands_url, asked | {"before": third.newer}).context["cut"]

    pages = [[command.operation_id for command in cut.rows] for cut in (first, second, third, back)]
    assert pages == [["op_5", "op_4"], ["op_2", "op_1"], ["op_0"], ["op_2", "op_1"]]
    assert third.older == 0


def test_a_page_costs_as_much_with_many_commands_as_with_one(
    client_of: Any,
    support: Any,
    commands_url: str,
    make_command: Maker,
    make_record: Callable[..., Record],
    django_assert_max_num_queries: Callable[[int], CaptureQueriesContext],
) -> None:
    for number in range(10):
        make_command(f"op_{number}", record=make_record("payment"))
    client = client_of(support)
    client.get(commands_url)

    with django_assert_max_num_queries(11):
        client.get(commands_url)


def test_tabs_count_what_asks_for_somebody(client_of: Any, support: Any, commands_url: str, unknown: Command) -> None:
    tabs = client_of(support).get(commands_url, {"state": "parked"}).context["tabs"]

    assert {tab["name"]: tab["count"] for tab in tabs} == {
        "All": None, "Needs someone": 1, "Unknown outcome": 1, "Waiting": None,
    }  # fmt: skip
    assert [tab["name"] for tab in tabs if tab["current"]] == ["Needs someone"]


def test_an_empty_list_says_what_fills_it(client_of: Any, support: Any, commands_url: str) -> None:
    client = client_of(support)

    assert "Nothing was asked of a provider yet" in client.get(commands_url).content.decode()
    assert "No command needs anybody" in client.get(commands_url, {"state": "parked"}).content.decode()
    assert "No outcome is unknown" in client.get(commands_url, {"outcome": "unknown"}).content.decode()


def test_htmx_gets_the_results_alone(client_of: Any, support: Any, commands_url: str, unknown: Command) -> None:
    answer = client_of(support).get(commands_url, headers={"HX-Request": "true"})

    assert answer.content.decode().strip().startswith("<section")
    assert "HX-Request" in answer["Vary"]


def test_commands_of_others_are_not_there(
    client_of: Any, stranger: Any, support: Any, commands_url: str, make_command: Maker, other_connection: Connection
) -> None:
    make_command("op_ours")
    make_command("op_theirs", on=other_connection)

    assert client_of(stranger).get(commands_url).status_code == 404
    assert found(client_of(support), commands_url) == ["op_ours"]
