"""Whatever happens at the provider, and whenever we look: in the end belief is what the provider holds.

Customers are created, changed and deleted there without a word to us, before runs and between any two requests of
one; runs are cut by outages and go on. A last scan then finds all that the resyncs could not see.
"""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.db import connection as database
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from integrations.models import Connection, Failure, Record, Reference, Run, RunKind, Stream, WorkState
from integrations.workflow import runs
from integrations.workflow.errors import Refusal
from tests.conftest import TESTER, connected, customer_object
from tests.fake_provider import Provider, work_off

pytestmark = pytest.mark.django_db(transaction=True)

ACTS = st.tuples(st.sampled_from(["create", "change", "delete", "wait"]), st.integers(0, 7))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["resync", "scan", "log"]),
        st.lists(ACTS, max_size=4),  # before it
        st.lists(st.lists(ACTS, max_size=2), max_size=6),  # before each of its requests
        st.integers(0, 6),  # the request that meets an outage
    ),
    min_size=1,
    max_size=5,
)


class Shop:
    """What happens at the provider; an id that was deleted is never given again."""

    def __init__(self, provider: Provider) -> None:
        self.provider, self.made, self.told = provider, 0, 0

    @property
    def held(self) -> dict[str, dict[str, Any]]:
        return self.provider.objects["customer"]

    def do(self, act: str, number: int) -> None:
        """Let something happen, a second after what was before."""
        self.provider.now += 1
        ids = list(self.held)
        if act == "create":
            self.made += 1
            self.provider.put(customer_object(f"cus_{self.made:03}", created=self.provider.now, name="As it began"))
        elif act == "wait":
            self.provider.now += 400
        elif ids and act == "change":
            self.change(ids[number % len(ids)], number)
        elif ids:
            del self.held[ids[number % len(ids)]]

    def change(self, external_id: str, number: int) -> None:
        """Rename one; the event log tells of it."""
        self.told += 1
        self.held[external_id] = self.held[external_id] | {"name": f"Name {number} of {self.told}"}
        self.provider.put({
            "id": f"evt_{self.told:03}", "object": "event", "type": "customer.updated", "created": self.provider.now,
            "data": {"object": dict(self.held[external_id])},
        })  # fmt: skip

    def between(self, requests: list[list[tuple[str, int]]]) -> Callable[[httpx.Request], None]:
        """Return what lets things happen before each request."""
        left = list(requests)

        def happen(_: httpx.Request) -> None:
            for act in left.pop(0) if left else ():
                self.do(*act)

        return happen


def come_due() -> None:
    Run.objects.filter(state=WorkState.WAITING).update(due_at=timezone.now())
    Connection.objects.update(wait_until=None)


def look(kind: str, connection: Connection) -> None:
    stream = Stream.objects.get(connection=connection, resource="event" if kind == "log" else "customer")
    try:
        runs.ask_scan(stream, actor=TESTER) if kind == "scan" else runs.ask(stream, actor=TESTER)
    except Refusal:
        return  # One is under way and goes on, or the first sync has not ended.


def believed() -> dict[str, Any]:
    rows = Reference.objects.select_related("record").exclude(record__state="deleted")
    return {row.external_id: row.record.data["name"] for row in rows}


@pytest.fixture
def fresh(connection: Connection) -> Callable[[], None]:
    """Forget what the example before has left."""

    def forget() -> None:
        with database.cursor() as cursor:
            cursor.execute(
                "TRUNCATE integrations_run, integrations_event, integrations_record, integrations_reference, "
                "integrations_transition, integrations_failure, integrations_problem, integrations_attempt CASCADE"
            )
        Stream.objects.update(
            changed_since=None, first_sync_done_at=None, last_success_at=None, next_scan_at=None, last_scan_at=None
        )

    return forget


@pytest.fixture
def connection(tenant: Any) -> Connection:
    return connected(tenant, page_size=2)


@given(steps=STEPS)
@settings(
    max_examples=20,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_belief_ends_as_the_provider_stands(
    steps: list[Any], connection: Connection, provider: Provider, fresh: Callable[[], None]
) -> None:
    fresh()
    provider.objects.clear()
    provider.now = int(time.time()) - 100_000
    shop = Shop(provider)
    for kind, before, between, outage in steps:
        for act in before:
            shop.do(*act)
        look(kind, connection)
        provider.watch = shop.between(between)
        provider.answers = [*[provider.truth] * outage, provider.failing(503)]
        work_off()
        provider.answers, provider.watch = [], lambda _: None
    for kind in ("resync", "log", "scan"):
        for _ in range(3):
            come_due()
            work_off()
        provider.now += 10
        look(kind, connection)
        work_off()

    assert believed() == {external_id: obj["name"] for external_id, obj in provider.objects["customer"].items()}
    assert not Run.objects.exclude(state=WorkState.DONE).exists()
    assert not Failure.objects.filter(resolved_at=None).exists()
    assert Record.objects.filter(state="deleted").count() == Reference.objects.exclude(deleted_at=None).count()
    assert Run.objects.filter(kind=RunKind.SCAN).exists()
