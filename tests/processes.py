"""The product as real processes for tests: the Procfile's web, worker and beat, against a database of their own."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from psycopg import sql

from console.embedded import NAME, Process, Server, end, free_port, leashed
from console.settings import database
from integrations.configuration import mappings

ROOT = Path(__file__).resolve().parent.parent
#: What the processes say; kept after the run, until the next one.
LOGS = ROOT / "build" / "processes"
START_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05

#: What waits for minutes in production waits for moments here.
QUICK = {"SWEEP_SECONDS": "0.5", "RETRY_SCALE": "0.1", "PROVIDER_TIMEOUT": "5"}

#: What says of Django's settings where a database is.
PLACE = ("NAME", "HOST", "PORT", "USER", "PASSWORD")

T = TypeVar("T")


def wait_until(what: str, look: Callable[[], T], seconds: float = 30.0, every: float = POLL_SECONDS) -> T:
    """Return the first true answer of `look`; fails the test, naming `what`, when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"After {seconds:.0f} s still not: {what} (last seen: {found!r})")
        time.sleep(every)


def procfile() -> dict[str, str]:
    """Return the commands of the Procfile by name."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: command.strip() for name, _, command in (line.partition(":") for line in lines if line)}


@dataclass
class Product:
    """Running processes of ours, seen from a test."""

    name: str
    url: str
    database: str
    variables: dict[str, str]
    running: dict[str, Process] = field(default_factory=dict)
    _starts: int = 0

    @property
    def logs(self) -> Path:
        return LOGS / self.name

    def start(self, name: str) -> None:
        """Start a process of the Procfile, again when it was killed; each start has a log of its own."""
        if before := self.running.get(name):
            before.wait(STOP_SECONDS)
        self._starts += 1
        log = self.logs / f"{self._starts:02}-{name}.log"
        command = ["/bin/sh", "-c", procfile()[name]]
        self.running[name] = leashed(command, stop_signal=signal.SIGTERM, log=log, env=self.variables, cwd=ROOT)

    def family(self, name: str) -> list[psutil.Process]:
        """Return a process and all that it has started, itself first."""
        parent = psutil.Process(self.running[name].pid)
        return [parent, *parent.children(recursive=True)]

    def stop(self, name: str) -> None:
        """End a process and what it leaves behind."""
        process = self.running.pop(name)
        family = [] if process.poll() is not None else psutil.Process(process.pid).children(recursive=True)
        end(process, signal.SIGTERM, STOP_SECONDS)
        end_all(family)

    def wait_for_web(self) -> None:
        """Return as soon as the web answers."""
        wait_until(f"{self.url} answers (see {self.logs})", self._answers, START_SECONDS)

    def _answers(self) -> bool:
        if self.running["web"].poll() is not None:
            pytest.fail(f"The web ended while it started, see {self.logs}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health/", timeout=10):
            return True
        return False

    def said(self, name: str) -> str:
        """Return all that a process wrote to its logs."""
        return "".join(log.read_text(errors="replace") for log in sorted(self.logs.glob(f"*-{name}.log")))

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        """Let Django's models of this process work on the product's database while the block runs."""
        before = {name: connection.settings_dict[name] for name in PLACE}
        place = database(self.variables["DATABASE_URL"])
        with pytest.MonkeyPatch.context() as patch:
            # Playwright leaves an event loop in this thread, and Django takes that for a mistake.
            patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
            forget()
            connection.settings_dict.update({name: place[name] for name in PLACE})
            try:
                yield
            finally:
                forget()
                connection.settings_dict.update(before)


def forget() -> None:
    """Forget what was read from one database before another is used."""
    connection.close()
    ContentType.objects.clear_cache()
    mappings._load.cache_clear()


def end_all(family: list[psutil.Process]) -> None:
    """End what is left of these, at once."""
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=STOP_SECONDS)


@contextlib.contextmanager
def run_product(
    name: str, folder: Path, database_server: Server, broker_url: str, *names: str, **variables: str
) -> Iterator[Product]:
    """Run the named processes against a new database until the block ends; the web answers when it begins."""
    own = f"{NAME}_{name}"
    make_database(database_server, own)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "static").mkdir(exist_ok=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    ours = {
        "PATH": path, "PORT": str(port), "PUBLIC_URL": url, "DATA_DIR": str(folder), "BROKER_URL": broker_url,
        "DATABASE_URL": address_of(database_server, own), "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    product = Product(name, url, own, os.environ | QUICK | ours | variables)
    product.logs.mkdir(parents=True, exist_ok=True)
    for log in product.logs.glob("*.log"):
        log.unlink()
    with contextlib.ExitStack() as stack:
        for each in names:
            product.start(each)
            stack.callback(product.stop, each)
        product.wait_for_web()
        yield product


def address_of(server: Server, database: str) -> str:
    """Return the address of another database on the same server."""
    parts = urlsplit(server.url)
    return server.url.replace(f"{parts.path}?", f"/{database}?", 1)


def make_database(server: Server, name: str) -> None:
    """Make a migrated database; the first one is migrated by the command, the others are its copies."""
    if not is_migrated(server):
        command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
        subprocess.run(command, env=os.environ | {"DATABASE_URL": server.url}, cwd=ROOT, check=True, timeout=120)
    with psycopg.connect(address_of(server, "postgres"), autocommit=True) as database:
        query = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        database.execute(query.format(sql.Identifier(name), sql.Identifier(NAME)))


def is_migrated(server: Server) -> bool:
    """Say whether the template of the tests' databases has its tables."""
    with psycopg.connect(server.url) as database:
        return database.execute("SELECT to_regclass('integrations_event')").fetchone() != (None,)
