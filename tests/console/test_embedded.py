"""The embedded servers: real ones, in folders of the test."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from console import embedded
from console.embedded import Server, StartError, load_secrets, start_postgres, start_redis

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Server]:
    server = start_postgres(tmp_path / "postgres", durable=False)
    yield server
    server.stop()


def wait_until_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_postgres_serves_a_database_of_an_ordinary_role(postgres: Server) -> None:
    with psycopg.connect(postgres.url) as connection:
        row = connection.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        version = connection.info.server_version

    assert row == ("console", False)
    assert version >= 180000


def test_postgres_is_durable_unless_told_otherwise(tmp_path: Path) -> None:
    server = start_postgres(tmp_path)
    with psycopg.connect(server.url) as connection:
        names = ("fsync", "full_page_writes", "synchronous_commit")
        found = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names]
    server.stop()

    assert found == [("on",)] * 3


def test_postgres_keeps_its_data_across_a_restart(tmp_path: Path) -> None:
    first = start_postgres(tmp_path)
    with psycopg.connect(first.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    first.stop()

    second = start_postgres(tmp_path)
    with psycopg.connect(second.url) as connection:
        found = connection.execute("SELECT answer FROM kept").fetchone()
    second.stop()

    assert found == (42,)


def test_stop_ends_every_process(postgres: Server) -> None:
    main = psutil.Process(postgres.process.pid)
    processes = [main, *main.children(recursive=True)]

    postgres.stop()
    postgres.stop()

    assert len(processes) > 3
    assert not [process for process in processes if process.is_running()]


def test_no_parent_folder_is_opened(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    server = start_postgres(closed / "postgres", durable=False)
    modes = [stat.S_IMODE(folder.stat().st_mode) for folder in (closed, closed / "postgres")]
    server.stop()

    assert modes == [0o700, 0o700]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_without_namespaces_becomes_an_ordinary_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    forbidding = tmp_path / "leash.py"
    text = embedded.LEASH.read_text().replace("call(libc.unshare, CLONE_NEWUSER)", "raise PermissionError(1, 'no')")
    forbidding.write_text(text)
    monkeypatch.setattr(embedded, "LEASH", forbidding)
    installed = embedded._postgres("postgres").parents[1]
    shutil.copytree(installed, closed / "wheel" / installed.name)
    libraries = installed.parent.with_name(f"{installed.parent.name}.libs")
    shutil.copytree(libraries, closed / libraries.name)
    monkeypatch.setattr(embedded, "_postgres", lambda name: closed / "wheel" / installed.name / "bin" / name)

    server = start_postgres(closed / "postgres", durable=False)
    uids = psutil.Process(server.process.pid).uids()
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE works (id integer)")
    server.stop()
    monkeypatch.undo()
    again = start_postgres(closed / "postgres", durable=False)
    with psycopg.connect(again.url) as connection:
        found = connection.execute("SELECT count(*) FROM works").fetchone()
    again.stop()

    assert 0 not in uids
    assert found == (0,)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_a_path_too_long_for_a_socket_works(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 20) / ("path" * 20)

    server = start_postgres(deep, durable=False)
    short = (deep / "run").readlink()
    with psycopg.connect(server.url) as connection:
        connection.execute("SELECT 1")
    server.stop()
    again = start_postgres(deep, durable=False)
    again.stop()

    assert stat.S_IMODE(short.stat().st_mode) == 0o700
    assert (deep / "run").readlink() == short
    short.rmdir()


def test_a_second_postgres_in_the_folder_is_refused(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LOCK_SECONDS", 0.2)

    with pytest.raises(StartError, match="another PostgreSQL already runs"):
        start_postgres(tmp_path / "postgres")


@pytest.mark.parametrize("damage", ["PG_VERSION", "global/pg_control"])
def test_damaged_data_is_told_in_one_line(tmp_path: Path, damage: str) -> None:
    start_postgres(tmp_path, durable=False).stop()
    (tmp_path / "data" / damage).unlink()

    with pytest.raises(StartError) as caught:
        start_postgres(tmp_path)

    assert "begin anew" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("not a folder")

    with pytest.raises(StartError, match="cannot be a folder"):
        start_postgres(tmp_path / "postgres")


def test_an_interrupted_initdb_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / "half").write_text("made")

    start_postgres(tmp_path, durable=False).stop()

    assert not (tmp_path / "data.new").exists()


def test_redis_asks_for_its_password(tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    with redis.Redis.from_url(server.url) as client:
        answered = client.ping()
    address = server.url.split("@")[1]
    with redis.Redis.from_url(f"redis://{address}") as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    server.stop()

    assert answered
    assert server.process.poll() is not None


def test_redis_tries_another_port_when_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = start_redis(tmp_path / "first")
    port = int(taken.url.rsplit(":", 1)[1].split("/")[0])
    free = embedded.free_port()
    ports = iter([port, free])
    monkeypatch.setattr(embedded, "free_port", lambda: next(ports))

    server = start_redis(tmp_path / "second")
    server.stop()
    taken.stop()

    assert f":{free}/" in server.url


def test_servers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-m", "console.embedded"],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    with parent.stdout as printed:
        names = {printed.readline().split(b"=")[0] for _ in range(4)}
    children = psutil.Process(parent.pid).children(recursive=True)

    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until_gone(children)

    assert names == {b"export SECRET_KEY", b"export FIELD_KEYS", b"export DATABASE_URL", b"export BROKER_URL"}
    started = time.monotonic()
    start_postgres(tmp_path / "postgres", durable=False).stop()
    assert time.monotonic() - started < embedded.LOCK_SECONDS


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    made = load_secrets(tmp_path / "data")

    assert load_secrets(tmp_path / "data") == made
    assert stat.S_IMODE((tmp_path / "data" / "secrets.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{}", "[]", "{"])
def test_damaged_secrets_are_never_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "secrets.json").write_text(text)

    with pytest.raises(StartError, match="damaged"):
        load_secrets(tmp_path)

    assert (tmp_path / "secrets.json").read_text() == text
