"""10,000 commands through the second provider's sandbox, its limits lifted, by the real worker with two processes.

They wait at a paused connection; the clock runs from its resumption until the last one is accepted: each attempt was
committed before its request and after it. The limit is how fast the sandbox answers the same requests from a bare
client that keeps nothing.
"""

import time
from collections.abc import Iterator

import httpx
from django.db import transaction

from integrations.configuration.reach import access_of
from integrations.models import Attempt, Command, Connection, Outcome, Tenant
from integrations.providers import get_adapter
from integrations.providers.base import Intent
from integrations.providers.xero.sandbox.harness import Sandbox, run_sandbox
from integrations.workflow import commands, pause
from tests.benchmarks.lines import Line
from tests.benchmarks.stage import BENCH, peak_rss_mb, worker
from tests.providers.xero.connecting import connect_to

COMMANDS = 10_000
LONGEST = 180.0
ACTION = "contact.create"


def measure() -> Iterator[Line]:
    """Yield the lines of this part."""
    with run_sandbox() as sandbox:
        sandbox.control("PUT", "limits", {"enforced": False})
        connection = connect_to(sandbox, Tenant.objects.create(slug="northwind", name="Northwind Traders"))
        limit = bare(connection)
        sandbox.control("DELETE", "effects")
        pause.pause(connection, actor=BENCH, reason="Until all are here")
        submit(connection)
        with worker() as process:
            idle = peak_rss_mb(process)
            rate = send(connection)
            peak = peak_rss_mb(process)
        check(sandbox)
    yield Line("commands_per_s", rate, "1/s", limit)
    yield Line("command_worker_rss_mb", peak, "MB", idle)


def content(n: int, of: str) -> dict[str, str]:
    """Return what one command asks for."""
    return {"name": f"{of} {n:05}", "email": f"{of.lower()}{n:05}@example.com"}


def submit(connection: Connection) -> None:
    """Submit them all; the connection is paused, so they are held."""
    connection.refresh_from_db()
    for start in range(0, COMMANDS, 1000):
        with transaction.atomic():
            for n in range(start, start + 1000):
                commands.submit(connection, action=ACTION, content=content(n, "Customer"), actor=BENCH)


def send(connection: Connection) -> float:
    """Let them go; return how many a second were accepted. Raises AssertionError when they take too long."""
    open_ones = Command.objects.filter(connection=connection, outcome__in=(Outcome.SUBMITTED, Outcome.SENT))
    began = time.perf_counter()
    pause.resume(connection, actor=BENCH)
    while open_ones.exists():
        assert time.perf_counter() - began < LONGEST, open_ones.count()
        time.sleep(0.05)
    return COMMANDS / (time.perf_counter() - began)


def check(sandbox: Sandbox) -> None:
    """Prove that each command had one effect and one attempt, closed; raises AssertionError."""
    effects = sandbox.control("GET", "effects")
    assert effects["created"] == len(effects["by_operation"]) == COMMANDS
    assert (
        Attempt.objects.filter(command__isnull=False, state="answered", finished_at__isnull=False).count() == COMMANDS
    )


def bare(connection: Connection) -> float:
    """Return how many a second a client gets accepted that sends the same requests and keeps nothing."""
    adapter, access = get_adapter(connection.provider), access_of(connection)
    size = adapter.actions[ACTION].batch
    intents = [Intent(f"bare-{n}", ACTION, "", content(n, "Bare")) for n in range(2000)]
    began = time.perf_counter()
    with httpx.Client() as client:
        for start in range(0, len(intents), size):
            request = adapter.compose(access, intents[start : start + size], f"bare-{start}")
            answer = client.request(
                request.method, request.url, params=list(request.query), headers=dict(request.headers),
                content=request.body,
            )  # fmt: skip
            answer.raise_for_status()
    return len(intents) / (time.perf_counter() - began)
