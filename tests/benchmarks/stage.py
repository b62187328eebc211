"""What every part needs: a connection with its secrets, and the processes as the Procfile starts them."""

import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from django.conf import settings
from honcho.environ import parse_procfile

from console.embedded import Process, end, free_port, leashed
from integrations.boundary.vault import seal
from integrations.configuration.connect import connect
from integrations.journal.actor import Actor
from integrations.models import Connection, Credential, CredentialState, Stream, Tenant

ROOT = Path(__file__).resolve().parents[2]
BENCH = Actor(None, "the benchmark")
SECRET = "whsec_of_the_benchmark"
SECRETS = {"webhook_secret": SECRET, "api_key": "sk_test_benchmark0001"}
START_SECONDS = 60.0


def make_connection(**values: object) -> Connection:
    """Make a tenant with a connection whose secrets are active; no stream runs by schedule."""
    tenant = Tenant.objects.create(slug="northwind", name="Northwind Traders")
    made = connect(tenant, provider="stripe", name="Stripe", environment="test", values=values, actor=BENCH)
    for purpose, secret in SECRETS.items():
        Credential.objects.create(
            connection=made,
            purpose=purpose,
            version=1,
            state=CredentialState.ACTIVE,
            secret=seal(secret.encode()),
            hint=f"…{secret[-4:]}",
            created_by=BENCH.name,
        )
    return made


def stream_of(connection: Connection, resource: str) -> Stream:
    """Return one stream of a connection as it is now."""
    return Stream.objects.select_related("connection").get(connection=connection, resource=resource)


@contextmanager
def started(name: str, **variables: str) -> Iterator[Process]:
    """Run one process of the Procfile for a while, with its production settings."""
    command = parse_procfile((ROOT / "Procfile").read_text()).processes[name]
    log = Path(settings.DATA_DIR) / f"{name}.log"
    process = leashed(
        ["/bin/sh", "-c", command], stop_signal=signal.SIGTERM, env=os.environ | variables, cwd=ROOT, log=log
    )
    try:
        yield process
    finally:
        end(process, signal.SIGTERM)


@contextmanager
def web() -> Iterator[int]:
    """Run the web server; yields its port once it answers."""
    port = free_port()
    with started("web", PORT=str(port), PUBLIC_URL=f"http://127.0.0.1:{port}") as process:
        wait_for_answer(process, f"http://127.0.0.1:{port}/accounts/login/")
        yield port


@contextmanager
def worker() -> Iterator[Process]:
    """Run the Celery worker; yields once its processes are there and it listens."""
    from console.celery import app

    with started("worker") as process:
        deadline = time.monotonic() + START_SECONDS
        while not app.control.ping(timeout=0.5):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((Path(settings.DATA_DIR) / "worker.log").read_text())
        yield process


def wait_for_answer(process: Process, url: str) -> None:
    """Return as soon as the address answers; raises RuntimeError when the process ends first."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")


def peak_rss_mb(process: Process) -> float:
    """Return the most memory that any process of this family has held at once, in MB of 1,000,000 bytes."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return max(high_water(member.pid) for member in family) / 1e6


def high_water(pid: int) -> int:
    """Return the kernel's own mark of a process's largest resident set, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} is gone")
