"""A first sync of 10,000 invoices by the real worker, and a second one of the same, unchanged.

The 500 customers that the invoices refer to are synced before the clock starts: else each invoice would wait for
one. The clock runs from the planned run to the commit of its last event.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection as database

from integrations.models import Connection, Event, Record, Run, RunKind, WorkState
from integrations.models.work import OPEN_STATES
from integrations.workflow.runs import plan
from tests.benchmarks.limits import copy_seconds
from tests.benchmarks.lines import Line
from tests.benchmarks.shapes import CUSTOMERS
from tests.benchmarks.stage import BENCH, ROOT, make_connection, peak_rss_mb, stream_of, worker

INVOICES = 10_000
#: Seconds after which a sync is given up.
LONGEST = 120.0
WATCHED = ("integrations_record", "integrations_transition", "integrations_link", "integrations_event")


def measure() -> Iterator[Line]:
    """Yield the lines of this part."""
    with provider() as port:
        connection = make_connection(api_base=f"http://127.0.0.1:{port}")
        with worker() as process:
            idle = peak_rss_mb(process)
            sync(connection, "customer", CUSTOMERS)
            first = sync(connection, "invoice", INVOICES)
            check(connection)
            mark = position()
            again = sync(connection, "invoice", INVOICES)
            writes = written_since(mark)
            peak = peak_rss_mb(process)
    limit = copy_seconds(os.environ["DATABASE_URL"], "integrations_record")
    yield Line("first_sync_10k_s", first, "s", limit)
    yield Line("worker_rss_mb", peak, "MB", idle)
    yield Line("resync_unchanged_s", again, "s", limit)
    yield Line("resync_unchanged_writes", writes, "rows", 0)


@contextmanager
def provider() -> Iterator[int]:
    """Run the provider of prepared pages; yields its port."""
    command = [sys.executable, "-m", "tests.benchmarks.provider", str(INVOICES)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)


def sync(connection: Connection, resource: str, items: int) -> float:
    """Sync a whole stream; return the seconds until its last event is done. Raises AssertionError."""
    began = time.perf_counter()
    run = plan(stream_of(connection, resource), asked_by=BENCH.name, kind=RunKind.SYNC)
    while time.perf_counter() - began < LONGEST and not is_over(run):
        time.sleep(0.02)
    took = time.perf_counter() - began
    run.refresh_from_db()
    assert (run.state, run.items) == (WorkState.DONE, items), (run.state, run.items, run.category)
    return took


def is_over(run: Run) -> bool:
    """Say whether the run and all its events are done."""
    state = Run.objects.values_list("state", flat=True).get(pk=run.pk)
    return state == WorkState.DONE and not Event.objects.filter(state__in=OPEN_STATES).exists()


def check(connection: Connection) -> None:
    """Prove that every invoice became a record by one decided event; raises AssertionError."""
    assert Record.objects.filter(connection=connection, kind="invoice", customer__isnull=False).count() == INVOICES
    done = Event.objects.filter(connection=connection, resource="invoice", state=WorkState.DONE, decision="new")
    assert done.count() == INVOICES


def position() -> tuple[int, int]:
    """Return (this transaction's number, rows in the watched tables)."""
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        return int(cursor.fetchone()[0]), rows(0)


def written_since(mark: tuple[int, int]) -> int:
    """Return how many rows of the watched tables were inserted, changed or deleted since."""
    return rows(mark[0]) + abs(rows(0) - mark[1])


def rows(since: int) -> int:
    """Return how many rows of the watched tables were last written by that transaction or a later one."""
    counts = " + ".join(f"(SELECT count(*) FROM {table} WHERE xmin::text::bigint >= %s)" for table in WATCHED)
    with database.cursor() as cursor:
        cursor.execute(f"SELECT {counts}", [since] * len(WATCHED))
        return int(cursor.fetchone()[0])
