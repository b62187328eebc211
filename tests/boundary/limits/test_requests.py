"""What the provider says of its limits, and what requests do about it."""

from datetime import timedelta

import httpx
import pytest
from django.utils import timezone

from integrations.boundary import limits
from integrations.boundary.client import Exchanges
from integrations.boundary.limits import Leave, Wait
from integrations.failures.categories import Category, NotYet
from integrations.models import Attempt, Failure, Pace, Run
from integrations.providers.base import Remaining, Request, Response
from integrations.workflow import sync
from tests.boundary.limits.conftest import NOON, Allowed, after, refused, taken
from tests.fake_provider import Provider

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
