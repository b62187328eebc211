"""Pages over a million records: server time by Django's test client in this process, with warm caches.

The limit of a page is the time of its main query by itself, in the same run.
"""

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import psycopg
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from console.access import grant
from console.keyset import place_of
from console.models import Role, User
from integrations.models import Record
from tests.benchmarks.lines import Line, percentile
from tests.benchmarks.million import CHOSEN, fill
from tests.benchmarks.stage import BENCH, make_connection

RUNS = 40
LIST = """
SELECT r.*, c.label FROM integrations_record r LEFT JOIN integrations_record c ON c.id = r.customer_id
WHERE r.tenant_id = %(tenant)s AND r.environment = 'test' {}
ORDER BY r.updated_at DESC, r.id DESC LIMIT 51
"""
BEYOND = "AND (r.updated_at, r.id) < (%(at)s, %(pk)s)"
HOLDS = "AND r.search @@ to_tsquery('simple', 'halvorsen')"
TIMELINE = "SELECT * FROM integrations_journal WHERE record_id = %(pk)s ORDER BY id DESC LIMIT 52"

#: What people type: a number, an id, the beginning of one, a common name, a rare word, an amount, nothing that exists.
SEARCHES = (
    "NW-654321", "in_000000000000000000654322", "in_0000000000000000006543", "halvorsen", "ap77777@customer.example",
    "4812.50", "halvorsen marine 12345", "nothing like this",
)  # fmt: skip


def measure() -> Iterator[Line]:
    """Yield the lines of this part."""
    record = fill(make_connection())
    client = signed_in(record)
    space = f"/{record.tenant.slug}/{record.environment}/"
    home = f"{space}records/"
    values = {"tenant": record.tenant_id, "at": record.updated_at, "pk": record.pk}
    deep = f"{home}?after={place_of(record.updated_at, record.pk)}"
    page = timed(lambda: get(client, f"{home}{CHOSEN}/"))
    yield from lines("record_page", page, bare(TIMELINE, values))
    # A page that shows nothing yet needs what the frame around every page needs.
    frame = queries(client, f"{space}commands/")
    yield Line("record_page_queries", queries(client, f"{home}{CHOSEN}/"), "queries", frame)
    yield from lines("records_first_page", timed(lambda: get(client, home)), bare(LIST.format(""), values))
    yield from lines("records_deep_page", timed(lambda: get(client, deep)), bare(LIST.format(BEYOND), values))
    searched = [timed(partial(get, client, home, q=text)) for text in SEARCHES]
    yield from lines("records_search", max(searched, key=median), bare(LIST.format(HOLDS), values))


def signed_in(record: Record) -> Client:
    """Return a client of somebody who may see everything."""
    user = User.objects.create_user(username="bench", email="bench@northwind.example", first_name="Bench")
    grant(user, Role.OPERATIONS, record.tenant, by=BENCH.name)
    client = Client(SERVER_NAME="localhost")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def get(client: Client, url: str, **query: str) -> None:
    """Ask for a page; raises AssertionError unless it is there."""
    answer = client.get(url, query or None)
    assert answer.status_code == 200, (url, query, answer.status_code)


def timed(act: Callable[[], object]) -> list[float]:
    """Return the milliseconds of many runs, after a few that warm the caches."""
    took = []
    for turn in range(RUNS + 5):
        began = time.perf_counter()
        act()
        if turn >= 5:
            took.append((time.perf_counter() - began) * 1000)
    return took


def lines(name: str, took: list[float], limit: float) -> Iterator[Line]:
    """Yield the median, and the 95th percentile beside the same limit."""
    yield Line(f"{name}_ms", median(took), "ms", limit)
    yield Line(f"{name}_p95_ms", percentile(took, 95), "ms", limit)


def queries(client: Client, url: str) -> int:
    """Return how many queries a page takes."""
    with CaptureQueriesContext(database) as captured:
        get(client, url)
    return len(captured)


def bare(query: str, values: dict[str, object]) -> float:
    """Return the median of a query by itself in milliseconds, prepared, its rows fetched."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        return median(timed(lambda: connection.execute(query, values, prepare=True).fetchall()))
