"""`make run` with a small project in the place of ours: what is started, told and ended again."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import psycopg
import pytest
from honcho.environ import parse_procfile

from console import launch
from console.embedded import Server, StartError, free_port

ROOT = Path(__file__).resolve().parents[2]
WEB = """
    import http.server, os
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200); self.end_headers()
    http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""
WORKER = """
    import signal
    signal.pause()
"""
#: Refuses to end when asked, and has a child in another session that does the same.
STUBBORN = """
    import os, pathlib, signal, subprocess, sys
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stay = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
    child = subprocess.Popen([sys.executable, "-c", stay], start_new_session=True)
    pathlib.Path(os.environ["DATA_DIR"], "grandchild").write_text(str(child.pid))
    signal.pause()
"""
MANAGE = """
    import sys
    if sys.argv[1] == "demo":
        print("support@northwind.example / a password")
"""
LAUNCH = """
import sys
from pathlib import Path
from console import launch
launch.ROOT = Path(sys.argv[1])
sys.exit(launch.main())
"""


class Project:
    """A folder that looks like ours to `launch`, and the launches made of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / ".data"
        self.port = free_port()
        self.launches: list[subprocess.Popen[str]] = []
        for name, text in {"manage": MANAGE, "web": WEB, "worker": WORKER}.items():
            self.write(name, text)
        (folder / "Procfile").write_text("web: exec python web.py\nworker: exec python worker.py\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.py").write_text(textwrap.dedent(text))

    def launch(self, **variables: str) -> "subprocess.Popen[str]":
        ours = {"PORT": str(self.port), "SANDBOX_PORT": str(free_port()),
                "BOOKS_PORT": str(free_port()), "RECEIVER_PORT": str(free_port()),
                "DATA_DIR": str(self.data)}  # fmt: skip
        without = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "BROKER_URL")}
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(self.folder)],
            cwd=ROOT,
            env=without | ours | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.launches.append(process)
        return process

    def started(self, **variables: str) -> "subprocess.Popen[str]":
        process = self.launch(**variables)
        assert process.stdout is not None
        told = ""
        for line in process.stdout:
            told += line
            if "Ctrl-C" in line:
                break
        assert f"http://127.0.0.1:{self.port}" in told
        assert "support@northwind.example" in told
        return process


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    yield project
    for process in project.launches:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_process(project: Project, number: signal.Signals) -> None:
    process = project.started()
    processes = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(number)
    printed, errors = process.communicate(timeout=30)

    assert process.returncode == 0
    assert len(processes) > 5
    assert not alive(processes)
    assert "Traceback" not in printed + errors


def test_the_end_of_one_process_ends_all_however_stubborn(project: Project) -> None:
    project.write("worker", STUBBORN)
    process = project.started()
    processes = psutil.Process(process.pid).children(recursive=True)
    grandchild = int((project.data / "grandchild").read_text())
    web = next(each for each in processes if "web.py" in each.cmdline())

    web.terminate()
    _, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "ended by itself" in errors
    assert grandchild in {each.pid for each in processes}
    assert not alive(processes)


def test_a_killed_launch_takes_its_processes_along(project: Project) -> None:
    process = project.started()
    processes = psutil.Process(process.pid).children(recursive=True)

    process.kill()
    process.communicate(timeout=30)
    psutil.wait_procs(processes, timeout=15)

    assert len(processes) > 5
    assert not alive(processes)


def test_an_interrupt_during_the_start_leaves_nothing(project: Project) -> None:
    project.write("manage", "import pathlib, signal; pathlib.Path('busy').touch(); signal.pause()")
    process = project.launch()
    while not (project.folder / "busy").exists():
        assert process.poll() is None
        time.sleep(0.05)
    processes = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)

    assert not alive(processes)
    assert "Traceback" not in errors


def test_a_failing_command_is_told_in_one_line(project: Project) -> None:
    project.write("manage", "raise SystemExit('django.db.utils.Problem: it does not work')")

    _, errors = project.launch().communicate(timeout=30)

    assert errors.startswith("`manage.py migrate --verbosity 0` failed: django.db.utils.Problem: it does not work")
    assert errors.count("\n") == 1


def test_the_product_is_three_processes_and_the_demo_has_its_own() -> None:
    """A platform starts all that the Procfile names, and is to start no sandbox."""
    product, demo = (parse_procfile((ROOT / name).read_text()).processes for name in ("Procfile", "Procfile.demo"))

    assert list(product) == ["web", "worker", "beat"]
    assert {"provider", "books"} <= set(demo)
    assert not product.keys() & demo.keys()


def test_the_processes_of_the_demo_run_beside_the_product(project: Project) -> None:
    project.write("shop", "import pathlib, signal; pathlib.Path('shop').touch(); signal.pause()")
    (project.folder / "Procfile.demo").write_text("shop: exec python shop.py")

    process = project.started()
    lines = [each.cmdline() for each in psutil.Process(process.pid).children(recursive=True)]

    for name in ("web.py", "worker.py", "shop.py"):
        assert any(name in line for line in lines), name


@pytest.mark.parametrize(
    ("variables", "allowed"),
    [
        ({}, "1"),
        ({"PUBLIC_URL": "http://10.0.0.7:8000"}, "1"),
        ({"PUBLIC_URL": "https://console.example.com"}, None),
        ({"PUBLIC_URL": "https://console.example.com", "OUTBOX_ALLOW_PRIVATE": "1"}, "1"),
        ({"OUTBOX_ALLOW_PRIVATE": "0"}, "0"),
    ],
)
def test_deliveries_go_inside_only_where_nobody_comes_from_outside(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], allowed: str | None
) -> None:
    for name in ("PUBLIC_URL", "OUTBOX_ALLOW_PRIVATE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert launch.given(8000, "http://127.0.0.1:8000").get("OUTBOX_ALLOW_PRIVATE") == allowed


def test_given_servers_are_used_and_none_embedded(
    project: Project, database_server: Server, broker_server: Server
) -> None:
    process = project.started(DATABASE_URL=database_server.url, BROKER_URL=broker_server.url)
    names = {each.name() for each in psutil.Process(process.pid).children(recursive=True)}

    assert not (project.data / "postgres").exists()
    assert not names & {"postgres", "redis-server"}


def test_a_taken_port_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))

        with pytest.raises(StartError, match=f"Port {port} is taken; choose another: make run PORT="):
            launch.free_port_of("PORT", 8000)


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", "80 "])
def test_a_port_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PORT", text)

    with pytest.raises(StartError, match="PORT must be a number"):
        launch.free_port_of("PORT", 8000)


def test_an_old_postgres_is_refused(monkeypatch: pytest.MonkeyPatch, database_server: Server) -> None:
    class Old(psycopg.Connection[Any]):
        info = SimpleNamespace(server_version=140011)  # type: ignore[assignment]

    monkeypatch.setattr(psycopg, "connect", Old.connect)

    with pytest.raises(StartError, match="leads to PostgreSQL 14; 15 or newer is needed"):
        launch.check_database(database_server.url)


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/console", "mysql://127.0.0.1/console", "nonsense"])
def test_an_unusable_database_is_told_in_one_line(url: str) -> None:
    with pytest.raises(StartError, match=r"^DATABASE_URL cannot be used: [^\n]+$"):
        launch.check_database(url)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://127.0.0.1:1//", "carrier-pigeon://coop/"])
def test_an_unusable_broker_is_told_in_one_line(url: str) -> None:
    with pytest.raises(StartError, match=r"^BROKER_URL cannot be used: [^\n]+$"):
        launch.check_broker(url)
