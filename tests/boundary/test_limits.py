"""Leave for requests: never more than the provider allows, however many workers ask, and never lost with a worker."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.db import connection as database
from django.utils import timezone

from console.embedded import Server
from integrations.boundary import limits
from integrations.boundary.client import Exchanges
from integrations.boundary.limits import Leave, Wait
from integrations.failures.categories import Category, NotYet
from integrations.models import Attempt, Connection, Failure, Pace, Run
from integrations.providers.base import Limits, Remaining, Request, Response
from integrations.workflow import sync
from tests.fake_provider import Provider
from tests.processes import address_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Allowed = Callable[..., Connection]


@pytest.fixture
def allowed(connection: Connection) -> Allowed:
    """Return the connection with other limits than its adapter names; what is not given is not limited."""

    def make(**agreed: int) -> Connection:
        connection.limits = {"per_minute": None, "per_day": None, "at_once": None} | agreed
        connection.save(update_fields=["limits"])
        return connection

    return make


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def taken(connection: Connection, seconds: float) -> bool:
    """Ask at a time; say whether there was a leave."""
    return isinstance(limits.ask(connection, now=after(seconds)), Leave)


def refused(connection: Connection, seconds: float) -> Wait:
    answer = limits.ask(connection, now=after(seconds))
    assert isinstance(answer, Wait)
    return answer


# -- the minute


@pytest.mark.parametrize("number", [1, 2, 10, 59, 60, 61, 100, 1500, 6000])
def test_no_minute_holds_more_than_was_allowed(number: int) -> None:
    capacity, refill = limits.bucket_of(number)

    assert capacity >= 1
    assert int(capacity + refill * 60) <= number, "what passes in 60 s is at most the capacity and what is refilled"
    assert refill * 60 >= number * 0.9 - 1, "and what is allowed is used"


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(3))
def test_however_it_is_asked_no_window_of_a_minute_holds_more(allowed: Allowed, seed: int) -> None:
    connection, rng = allowed(per_minute=60), random.Random(seed)
    at, sent = 0.0, list[float]()

    for _ in range(400):
        at += rng.choice([0, 0.01, 0.1, 1, 3]) * rng.random()
        if taken(connection, at):
            sent.append(at)

    most = max(sum(start <= other < start + 60 for other in sent) for start in sent)
    assert most <= 60
    assert most >= 50, "and it was asked for enough to find that out"


@pytest.mark.django_db
def test_who_waits_as_long_as_was_said_gets_leave(allowed: Allowed) -> None:
    connection, at, sent = allowed(per_minute=60), 0.0, 0

    while at < 600:
        answer = limits.ask(connection, now=after(at))
        if isinstance(answer, Wait):
            assert answer.which == "minute"
            at += answer.seconds
            assert taken(connection, at), "one wait is enough"
        sent += 1

    assert 0.9 * 600 <= sent <= 600


@pytest.mark.django_db
def test_what_was_not_used_is_not_saved_up_beyond_the_capacity(allowed: Allowed) -> None:
    connection = allowed(per_minute=60)
    assert taken(connection, 0)

    after_a_day = [taken(connection, 86_400) for _ in range(5)]

    assert after_a_day == [True, True, False, False, False]


@pytest.mark.django_db
def test_a_clock_that_goes_back_gives_nothing(allowed: Allowed) -> None:
    connection = allowed(per_minute=60)
    while taken(connection, 100):
        pass

    assert not taken(connection, 40)
    assert not taken(connection, 100)


@pytest.mark.django_db
def test_a_leave_that_was_not_needed_is_free_again(allowed: Allowed) -> None:
    connection = allowed(per_minute=1, per_day=10, at_once=1)
    leave = limits.ask(connection, now=NOON)
    assert isinstance(leave, Leave)

    leave.give_back(now=NOON)
    leave.give_back(now=NOON)

    assert taken(connection, 0)
    assert not taken(connection, 0)
    assert Pace.objects.get().hours[-1] == 1


@pytest.mark.django_db
def test_connections_have_a_bucket_each(allowed: Allowed, other_connection: Connection) -> None:
    mine = allowed(per_minute=1)
    other_connection.limits = {"per_minute": 1}
    assert taken(mine, 0)

    assert taken(other_connection, 0)
    assert not taken(mine, 0)


@pytest.mark.django_db
def test_what_nobody_limits_costs_nothing(allowed: Allowed, django_assert_num_queries: Any) -> None:
    connection = allowed()

    with django_assert_num_queries(0):
        leave = limits.ask(connection)
        assert isinstance(leave, Leave)
        leave.done()


@pytest.mark.django_db
def test_what_was_agreed_takes_the_place_of_what_the_adapter_says(connection: Connection) -> None:
    named = limits.limits_of(connection)
    connection.limits = {"per_minute": 5, "at_once": 2}

    assert named.per_minute == 1500
    assert limits.limits_of(connection) == Limits(per_minute=5, per_day=named.per_day, at_once=2)


# -- the day


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(2))
def test_no_window_of_a_day_holds_more(allowed: Allowed, seed: int) -> None:
    connection, rng = allowed(per_day=50), random.Random(seed)
    at, sent = 0.0, list[float]()

    for _ in range(600):
        at += rng.choice([1, 60, 3600, 7200]) * rng.random()
        if taken(connection, at):
            sent.append(at)

    day = 86_400
    assert max(sum(start <= other < start + day for other in sent) for start in sent) <= 50
    assert len(sent) >= 50 * int(at / (25 * 3600)), "a day's number is used within 25 hours"


@pytest.mark.django_db
def test_a_day_that_is_used_up_is_looked_at_again_with_the_next_hour(allowed: Allowed) -> None:
    connection = allowed(per_day=2)
    assert taken(connection, 600)
    assert taken(connection, 601)

    answer = refused(connection, 1800)

    assert (answer.which, answer.seconds) == ("day", 1800.0)


# -- at once


@pytest.mark.django_db
def test_no_more_are_under_way_than_the_provider_allows_at_once(allowed: Allowed) -> None:
    connection = allowed(at_once=2)
    first = limits.ask(connection, now=NOON)
    assert isinstance(first, Leave)
    assert taken(connection, 0)
    assert refused(connection, 1) == Wait(limits.LOOK_AGAIN, "at once")

    first.done(now=after(2))

    assert taken(connection, 2)
    assert not taken(connection, 2)


TAKE_AND_WAIT = """
import django, json, sys
django.setup()
from integrations.boundary import limits
from integrations.models import Connection
leave = limits.ask(Connection.objects.get())
print(json.dumps({"mark": leave.mark}), flush=True)
sys.stdin.read()
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_frees_its_place(allowed: Allowed, database_server: Server) -> None:
    connection = allowed(at_once=1)
    here = {
        "DATABASE_URL": address_of(database_server, database.settings_dict["NAME"]),
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "PROVIDER_TIMEOUT": "0.5",
    }
    with subprocess.Popen(
        [sys.executable, "-c", TAKE_AND_WAIT], env=os.environ | here, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout
        mark = json.loads(worker.stdout.readline())["mark"]
        held = limits.ask(connection)
        worker.send_signal(signal.SIGKILL)
    still_held = limits.ask(connection)

    in_the_end = limits.ask(connection, now=datetime.fromtimestamp(mark, UTC) + timedelta(seconds=0.01))

    assert isinstance(held, Wait)
    assert isinstance(still_held, Wait), "nobody knows yet that it is dead: its request may be under way"
    assert mark - timezone.now().timestamp() < 2 * 0.5 + 10, "and not much longer than a request can take"
    assert isinstance(in_the_end, Leave)


@pytest.mark.django_db(transaction=True)
def test_twenty_workers_at_once_never_get_the_same_leave(allowed: Allowed) -> None:
    connection = allowed(per_minute=600, per_day=8, at_once=20)
    limits.begin(connection, now=NOON)
    together, got = threading.Barrier(20), list[Leave | Wait]()

    def worker() -> None:
        try:
            together.wait(10)
            for _ in range(3):
                got.append(limits.ask(connection, now=NOON))
        finally:
            database.close()

    threads = [threading.Thread(target=worker) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    leaves = [answer for answer in got if isinstance(answer, Leave)]
    assert len(got) == 60
    assert len(leaves) == 8
    assert len({leave.mark for leave in leaves}) == 8
    assert Pace.objects.get().hours[-1] == 8


# -- what the provider says


@pytest.mark.django_db
def test_what_others_use_at_the_provider_counts_as_used(allowed: Allowed) -> None:
    connection = allowed(per_minute=60, per_day=100)
    leave = limits.ask(connection, now=NOON)
    assert isinstance(leave, Leave)

    leave.done(Remaining(this_minute=0, today=1), now=NOON)

    assert refused(connection, 0).which == "minute"
    assert taken(connection, 10)
    assert refused(connection, 20).which == "day"


@pytest.mark.django_db
def test_a_provider_that_says_more_is_left_than_we_counted_gives_nothing(allowed: Allowed) -> None:
    connection = allowed(per_minute=60, per_day=2)
    for _ in range(2):
        leave = limits.ask(connection, now=NOON)
    assert isinstance(leave, Leave)

    leave.done(Remaining(this_minute=59, today=4000), now=NOON)

    assert refused(connection, 0).which == "day"


@pytest.mark.django_db
def test_nothing_leaves_while_the_provider_asked_us_to_wait(allowed: Allowed) -> None:
    connection = allowed(per_minute=60)
    assert taken(connection, 0)

    limits.told_to_wait(connection, 37, now=NOON)
    limits.told_to_wait(connection, 5, now=NOON)

    connection.refresh_from_db()
    assert connection.wait_until == after(37)
    assert refused(connection, 7) == Wait(30.0, "told")
    assert taken(connection, 37)


@pytest.mark.django_db
def test_a_refusal_without_a_time_empties_the_bucket(allowed: Allowed) -> None:
    connection = allowed(per_minute=60)
    assert taken(connection, 0)

    limits.told_to_wait(connection, None, now=NOON)

    connection.refresh_from_db()
    assert connection.wait_until is None
    assert refused(connection, 0).which == "minute"


# -- requests


def request() -> Request:
    return Request("GET", "https://api.stripe.com/v1/customers")


@pytest.mark.django_db(transaction=True)
def test_a_request_that_has_to_wait_long_does_not_leave(allowed: Allowed, provider: Provider) -> None:
    connection = allowed(per_minute=1)
    provider.customers(1)
    assert isinstance(limits.ask(connection), Leave)

    with pytest.raises(NotYet) as held:
        Exchanges(connection)(Request("GET", "https://api.stripe.com/v1/customers", (("limit", "1"),)))

    assert held.value.category == Category.RATE_LIMIT
    assert held.value.retry_after == pytest.approx(62, abs=2)
    assert not provider.asked
    assert not Attempt.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_short_wait_is_waited(allowed: Allowed, provider: Provider) -> None:
    connection = allowed(per_minute=60)
    provider.customers(1)
    began = timezone.now()

    exchanges = Exchanges(connection)
    for _ in range(3):
        exchanges(Request("GET", "https://api.stripe.com/v1/customers", (("limit", "1"),)))

    assert len(provider.asked) == 3
    assert (timezone.now() - began).total_seconds() > 1, "two at once, the third a second later"


@pytest.mark.django_db(transaction=True)
def test_a_429_holds_back_all_workers(allowed: Allowed, provider: Provider) -> None:
    connection = allowed(per_minute=600, at_once=5)
    provider.answers = [provider.failing(429, **{"retry-after": "20"})]

    Exchanges(connection)(request())

    connection.refresh_from_db()
    assert connection.wait_until
    assert (connection.wait_until - timezone.now()).total_seconds() == pytest.approx(20, abs=1)
    assert isinstance(limits.ask(connection), Wait)
    assert Pace.objects.get().under_way == [], "its place is free"


@pytest.mark.django_db(transaction=True)
def test_a_request_that_fails_frees_its_place(allowed: Allowed, provider: Provider) -> None:
    connection = allowed(at_once=1)
    provider.answers = [httpx.ReadTimeout("none")]

    with pytest.raises(Exception, match="did not answer"):
        Exchanges(connection)(request())

    assert isinstance(limits.ask(connection), Leave)


@pytest.mark.django_db(transaction=True)
def test_a_run_that_has_to_wait_has_not_failed(allowed: Allowed, provider: Provider) -> None:
    connection = allowed(per_minute=1)
    provider.customers(1)
    run = Run.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, kind="sync", due_at=timezone.now(),
        stream=connection.streams.get(resource="customer"), asked_by="the tests",
    )  # fmt: skip
    limits.ask(connection)

    assert sync.perform_next()

    run.refresh_from_db()
    assert (run.state, run.tries, run.category, run.leased_by) == ("waiting", 0, "", None)
    assert (run.due_at - timezone.now()).total_seconds() == pytest.approx(62, abs=3)
    assert not Failure.objects.exists()
    assert not provider.asked


# -- for people


@pytest.mark.django_db
def test_people_see_what_is_used(allowed: Allowed) -> None:
    connection = allowed(per_minute=600, per_day=100, at_once=3)
    now = timezone.now()
    limits.ask(connection, now=now - timedelta(hours=2))
    limits.ask(connection, now=now)
    for seconds in (5, 50, 70):
        Attempt.objects.create(
            connection=connection, method="GET", url="https://x", started_at=now - timedelta(seconds=seconds)
        )

    spent = limits.spent_of(connection, now=now)

    assert (spent.this_minute, spent.today, spent.under_way) == (2, 2, 1)
    assert limits.spent_of(connection, now=now + timedelta(hours=25)).today == 0


def test_an_answer_knows_no_limits_at_a_provider_that_tells_none() -> None:
    from integrations.providers import get_adapter

    assert get_adapter("stripe").remaining(Response(200, {}, b"{}", NOON)) is None
