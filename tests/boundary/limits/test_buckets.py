"""No window of a minute, a day or a moment holds more than was allowed."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from console.embedded import Server
from integrations.boundary import limits
from integrations.boundary.limits import Leave, Wait
from integrations.models import Connection, Pace
from integrations.providers.base import Limits
from tests.boundary.limits.conftest import NOON, Allowed, after, refused, taken
from tests.processes import address_of

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
