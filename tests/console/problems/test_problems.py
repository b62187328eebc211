from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.problems import listing
from integrations.failures import grouping
from integrations.failures.categories import Category, Fault
from integrations.models import Connection, Failure, Problem, Tenant, WorkState
from tests.conftest import connected

URL = "/northwind/test/problems/"
SCRIPT = "<script>alert(1)</script>"
MAPPING = Fault(Category.MAPPING, "missing:tax", "tax has no value", "tax")
UNNAMED = Fault(Category.UNKNOWN, "lock_timeout", "The provider answers 409")
WAITS = Fault(Category.TIMEOUT, "timeout", "No answer within 20 s")
EMAIL = Fault(Category.VALIDATION, "wrong_type:email", "The e-mail is no text", "email", "jane.roe@customer.example")


@pytest.fixture
def fail(connection: Connection, make_event: Any) -> Any:
    """Return a function that parks an event by a fault, and gives its problem."""

    def make(fault: Fault, *, on: Connection | None = None, difference: Any = (), record: Any = None) -> Problem:
        at = on or connection
        event = make_event(on=at, state=WorkState.PARKED, category=fault.category, record=record)
        failed = grouping.Failed(fault, at, event=event, record=record, resource="invoice", difference=list(difference))
        grouping.note([failed])
        return Problem.objects.get(fingerprint=failed.fingerprint, connection=at)

    return make


def page(client: Client, url: str = URL, **headers: str) -> str:
    answer = client.get(url, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_groups_failures_with_their_next_step(client_of: Any, support: Any, fail: Any) -> None:
    fail(MAPPING)
    fail(MAPPING)

    shown = page(client_of(support))

    assert shown.count("invoice: tax has no value") == 1
    assert "<b>2</b> events" in shown
    assert "Fix the mapping of the named field, then replay." in shown


@pytest.mark.parametrize(
    "query, found",
    [
        ("", {"tax", "409", "20 s"}),
        ("?owner=engineer", {"tax", "409"}),
        ("?owner=nobody", {"20 s"}),
        ("?category=unknown", {"409"}),
        ("?category=unknown&category=timeout", {"409", "20 s"}),
        ("?assigned=nobody", {"tax", "409", "20 s"}),
        ("?assigned=me", set()),
        ("?state=resolved", set()),
        ("?owner=nonsense&category=%00&connection=x&state=?&after=zzz", {"tax", "409", "20 s"}),
        ("?before=0.0", {"tax", "409", "20 s"}),
    ],
)
def test_it_can_be_narrowed(client_of: Any, support: Any, fail: Any, query: str, found: set[str]) -> None:
    for fault in (MAPPING, UNNAMED, WAITS):
        fail(fault)

    shown = page(client_of(support), URL + query, **{"HX-Request": "true"})

    titles = {"tax": "tax has no value</a>", "409": "answers 409</a>", "20 s": "within 20 s</a>"}
    assert {name for name, title in titles.items() if title in shown} == found


def test_resolved_problems_stand_apart(client_of: Any, support: Any, fail: Any) -> None:
    fail(MAPPING)
    grouping.resolve(Failure.objects.all(), "It went through")
    client = client_of(support)

    assert "Nothing fails" in page(client)
    assert "tax has no value" in page(client, URL + "?state=resolved")


def test_the_most_recent_comes_first_and_pages_follow(
    client_of: Any, support: Any, fail: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SIZE", 1)
    for hours, fault in ((3, MAPPING), (1, UNNAMED), (2, WAITS)):
        Problem.objects.filter(pk=fail(fault).pk).update(last_seen_at=timezone.now() - timedelta(hours=hours))
    client, seen, url = client_of(support), [], URL

    for _ in range(3):
        cut = client.get(url).context["cut"]
        seen += [problem.category for problem in cut.rows]
        url = f"{URL}?after={cut.older}"

    assert seen == ["unknown", "timeout", "mapping failure"]
    assert not cut.older


def test_a_connection_filter_keeps_others_out(client_of: Any, support: Any, tenant: Tenant, fail: Any) -> None:
    fail(MAPPING)
    second = connected(tenant, "Second")
    fail(UNNAMED, on=second)

    shown = page(client_of(support), f"{URL}?connection={second.pk}", **{"HX-Request": "true"})

    assert shown.count("<li>") == 1
    assert "409" in shown


def test_only_those_who_may_are_offered_the_acts(
    client_of: Any, auditor: Any, support: Any, engineer: Any, fail: Any
) -> None:
    problem = fail(UNNAMED)
    acts = {user: page(client_of(user)) for user in (auditor, support, engineer)}

    assert {user for user, shown in acts.items() if f"/{problem.pk}/assign/" in shown} == {support, engineer}
    assert {user for user, shown in acts.items() if f"/{problem.pk}/name/" in shown} == {engineer}


def test_strangers_find_nothing(client_of: Any, stranger: Any, fail: Any) -> None:
    problem = fail(MAPPING)

    assert client_of(stranger).get(URL).status_code == 404
    assert client_of(stranger).get(f"{URL}{problem.pk}/").status_code == 404


def test_a_problem_of_the_other_environment_is_not_here(
    client_of: Any, support: Any, tenant: Tenant, connection: Connection, fail: Any
) -> None:
    problem = fail(MAPPING, on=connected(tenant, "Live one", environment="live"))

    assert client_of(support).get(f"{URL}{problem.pk}/").status_code == 404


def test_one_problem_says_what_waits_and_who_is_asked(
    client_of: Any, support: Any, fail: Any, make_record: Any
) -> None:
    record = make_record("customer")
    fail(MAPPING, record=record)
    problem = fail(MAPPING, record=record, difference=[["total_taxes", "fail when missing", "missing"]])

    shown = page(client_of(support), f"{URL}{problem.pk}/")

    assert "2 events of 1 record wait at Stripe; it was first seen just now. Engineers are asked." in shown
    assert "total_taxes" in shown
    assert "fail when missing" in shown
    assert f"/records/{record.pk}/" in shown
    assert "Plan a replay" not in shown


def test_those_who_may_replay_are_led_to_each_event(client_of: Any, operations: Any, fail: Any) -> None:
    problem = fail(MAPPING)
    event = problem.failures.get().event_id

    assert f"/events/{event}/replay/" in page(client_of(operations), f"{URL}{problem.pk}/")


def test_a_personal_value_is_masked(client_of: Any, support: Any, engineer: Any, fail: Any) -> None:
    url = f"{URL}{fail(EMAIL).pk}/"

    assert "jane.roe" not in page(client_of(support), url)
    assert "jane.roe@customer.example" in page(client_of(engineer), url)


def test_scripts_in_failures_are_inert(client_of: Any, engineer: Any, fail: Any) -> None:
    fault = Fault(Category.MAPPING, SCRIPT, SCRIPT, SCRIPT, SCRIPT)
    problem = fail(fault, difference=[[SCRIPT, SCRIPT, SCRIPT]])

    assert SCRIPT not in page(client_of(engineer), f"{URL}{problem.pk}/")
    assert SCRIPT not in page(client_of(engineer))


@pytest.mark.parametrize("query", ["?after=x", "?before=-1", "?after=999999999999999999", "?before=%00"])
def test_a_wrong_place_is_no_error(client_of: Any, support: Any, fail: Any, query: str) -> None:
    page(client_of(support), f"{URL}{fail(MAPPING).pk}/{query}")


def test_more_problems_ask_no_more_queries(client_of: Any, engineer: Any, fail: Any) -> None:
    client = client_of(engineer)
    problem = fail(MAPPING)
    page(client)

    with CaptureQueriesContext(database) as few:
        page(client)
    for number in range(6):
        fail(Fault(Category.MAPPING, f"code:{number}", "x"))
        fail(MAPPING)
    with CaptureQueriesContext(database) as many:
        page(client)
    with CaptureQueriesContext(database) as one:
        page(client, f"{URL}{problem.pk}/")

    assert len(many) == len(few) <= 17
    assert len(one) <= 18
