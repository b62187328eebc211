"""`make run`: everything the product needs, started in its order, and all of it ended again.

DATABASE_URL and BROKER_URL lead to servers that are there already; without them embedded ones are started in
DATA_DIR. The processes of the Procfile, and the demo's own beside them, then run under honcho until one of them ends or
we are told to.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import psutil
import psycopg
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from console import leash
from console.embedded import (
    Process,
    StartError,
    end,
    first_line,
    last_words,
    leashed,
    load_secrets,
    make_private,
    start_postgres,
    start_redis,
)

ROOT = Path(__file__).resolve().parent.parent
OLDEST_POSTGRES = 15
ANSWER_SECONDS = 60.0
#: honcho insists after 5 seconds itself.
STOP_SECONDS = 6.0
REST_SECONDS = 2.0
PR_SET_CHILD_SUBREAPER = 36
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Variables = dict[str, str]


def main() -> int:
    """Run until somebody interrupts it (0) or something does not work (1, after one line that says what)."""
    for number in SIGNALS:
        signal.signal(number, interrupt)
    leash.call(leash.libc.prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        with ExitStack() as stack:
            stack.callback(end_the_rest)
            run(stack)
    except KeyboardInterrupt:
        print("Stopped.")
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def interrupt(number: int, frame: FrameType | None) -> None:
    """Begin to end everything; a second signal would only leave processes behind."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def run(stack: ExitStack) -> None:
    """Start everything, say where it is, and wait; what was started ends with the stack. Raises StartError."""
    folder = Path(os.environ.get("DATA_DIR", ROOT / ".data")).absolute()
    make_private(folder)
    make_private(folder / "static")
    port = free_port_of("PORT", 8000)
    free_port_of("SANDBOX_PORT", 8420)
    free_port_of("BOOKS_PORT", 8421)
    free_port_of("RECEIVER_PORT", 8422)
    address = f"http://127.0.0.1:{port}"
    variables = given(port, address) | {"DATA_DIR": str(folder)} | environment(stack, folder)
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables.get('PATH', os.defpath)}"

    manage(variables, "migrate", "--verbosity", "0")
    sign_ins = manage(variables, "demo", "--ensure")
    variables["SANDBOX_CONFIG"] = os.environ.get("SANDBOX_CONFIG") or str(folder / "sandbox.json")
    command = [sys.executable, "-m", "honcho", "start", "--app-root", str(ROOT), "--procfile", str(procfile(folder))]
    processes = leashed(command, stop_signal=signal.SIGTERM, env=variables, cwd=ROOT)
    stack.callback(end, processes, signal.SIGTERM, STOP_SECONDS)
    wait_for_answer(processes, f"{address}/accounts/login/")
    print(f"\nThe console runs at {variables['PUBLIC_URL']}\n\n{sign_ins.strip()}\n\nCtrl-C stops it.\n", flush=True)
    wait_for_an_end(processes)
    raise StartError("One of the processes ended by itself; the lines above say which and why.")


def given(port: int, address: str) -> Variables:
    """Return the variables that are set already, and what follows from the port and the address without them."""
    variables = {"PORT": str(port), "PUBLIC_URL": address, "PYTHONUNBUFFERED": "1"} | os.environ
    if variables["PUBLIC_URL"].startswith("http://"):
        # Whoever tries it has a receiver on this very machine.
        variables.setdefault("OUTBOX_ALLOW_PRIVATE", "1")
    return variables


def procfile(folder: Path) -> Path:
    """Return a file with all that is to run: the product, and the demo's providers, which are none of its own."""
    named = folder / "Procfile"
    parts = [(ROOT / name).read_text() for name in ("Procfile", "Procfile.demo") if (ROOT / name).exists()]
    named.write_text("".join(f"{part.rstrip()}\n" for part in parts))
    return named


def free_port_of(variable: str, default: int) -> int:
    """Return the port that the variable names, after seeing that nobody listens there. Raises StartError."""
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise StartError(f"{variable} must be a number from 1 to 65535, not {text!r}.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
        except OSError as error:
            why = "is taken" if not isinstance(error, PermissionError) else "needs more rights"
            raise StartError(
                f"Port {text} {why}; choose another: make run {variable}={int(text) % 65535 + 1}"
            ) from None
    return int(text)


def environment(stack: ExitStack, folder: Path) -> Variables:
    """Return the variables that lead to the database and the broker, of ours or of somebody's; start ours."""
    variables = {name: os.environ.get(name) or made for name, made in load_secrets(folder).items()}
    if url := os.environ.get("DATABASE_URL"):
        check_database(url)
    else:
        database = start_postgres(folder / "postgres")
        stack.callback(database.stop)
        variables["DATABASE_URL"] = database.url
    if url := os.environ.get("BROKER_URL"):
        check_broker(url)
    else:
        broker = start_redis(folder / "redis")
        stack.callback(broker.stop)
        variables["BROKER_URL"] = broker.url
    return variables


def check_database(url: str) -> None:
    """Raise StartError unless this is a PostgreSQL that we can use."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            version = connection.info.server_version // 10000
    except (psycopg.Error, UnicodeError) as error:
        raise StartError(f"DATABASE_URL cannot be used: {first_line(str(error))}") from None
    if version < OLDEST_POSTGRES:
        raise StartError(f"DATABASE_URL leads to PostgreSQL {version}; {OLDEST_POSTGRES} or newer is needed.")


def check_broker(url: str) -> None:
    """Raise StartError unless a broker answers there."""
    try:
        with Connection(url, connect_timeout=5) as connection:  # type: ignore[no-untyped-call]
            connection.ensure_connection(max_retries=1, interval_start=0.1)
    except (OperationalError, OSError, ValueError, KeyError, ImportError) as error:
        raise StartError(f"BROKER_URL cannot be used: {first_line(str(error))}") from None


def manage(variables: Variables, *arguments: str) -> str:
    """Return what a command of manage.py printed. Raises StartError with its last words."""
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    done = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        log = Path(variables["DATA_DIR"]) / f"{arguments[0]}.log"
        with contextlib.suppress(OSError):
            log.write_text(done.stderr + done.stdout)
        words = last_words(done.stderr or done.stdout)
        raise StartError(f"`manage.py {' '.join(arguments)}` failed: {words} (all of it is in {log})")
    return done.stdout


def wait_for_answer(processes: Process, url: str) -> None:
    """Return as soon as the web answers there. Raises StartError when it ends, or never does."""
    deadline, problem = time.monotonic() + ANSWER_SECONDS, "nothing"
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=10):  # noqa: S310 - our own http address
                return
        except urllib.error.HTTPError as error:
            problem = f"HTTP {error.code}"
        except OSError as error:
            problem = str(error)
        with contextlib.suppress(subprocess.TimeoutExpired):
            processes.wait(0.1)
            raise StartError("The console ended while it started; the lines above say why.")
    raise StartError(f"The web does not answer at {url}: {problem}")


def wait_for_an_end(processes: Process) -> None:
    """Return when any process of the Procfile has ended; honcho itself waits for whoever holds its output open."""
    services = [each for runner in psutil.Process(processes.pid).children() for each in runner.children()]
    while not any(map(has_ended, services)):
        with contextlib.suppress(subprocess.TimeoutExpired):
            processes.wait(1)
            return


def has_ended(process: psutil.Process) -> bool:
    """Say whether it is gone, or waits only for its parent to notice."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end_the_rest() -> None:
    """End whatever our processes left behind: as their subreaper we inherit every orphan."""
    for _ in range(3):
        left = psutil.Process().children(recursive=True)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, stubborn = psutil.wait_procs(left, timeout=REST_SECONDS)
        for process in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=REST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
