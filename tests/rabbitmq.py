"""A RabbitMQ of the tests' own: the system's programs, with data, ports and names that nobody else has."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import amqp  # type: ignore[import-untyped]
import pytest

from console.embedded import Server, free_port, leashed
from tests.processes import wait_until

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
QUEUE = "wake"
START_SECONDS = 60.0


@contextlib.contextmanager
def run_rabbitmq(folder: Path) -> Iterator[Server]:
    """Run a RabbitMQ with its data in `folder`; skips the test where it can not even be installed."""
    if not PROGRAM.exists():
        if shutil.which("apt-get"):
            pytest.fail("There is no RabbitMQ: bin/rabbitmq installs it")
        pytest.skip("There is no RabbitMQ here, and no apt to install it")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "env").touch()
    (folder / "plugins").write_text("[].\n")
    port, names = free_port(), free_port()
    variables = os.environ | _variables(folder, port, names)
    process = leashed([str(PROGRAM)], stop_signal=signal.SIGTERM, log=folder / "rabbitmq.log", env=variables)
    server = Server("RabbitMQ", f"amqp://guest:guest@127.0.0.1:{port}//", process)
    try:
        wait_until(f"RabbitMQ answers (see {folder})", lambda: _answers(server), START_SECONDS)
        yield server
    finally:
        server.stop()
        # Erlang's name service detaches itself from everything, so it is ended by its own command.
        subprocess.run(["epmd", "-port", str(names), "-kill"], capture_output=True, check=False, timeout=10)


def _variables(folder: Path, port: int, names: int) -> dict[str, str]:
    """Return what lets RabbitMQ keep to `folder` and to 127.0.0.1."""
    return {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"tests-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "env"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names),
    }


def empty(server: Server) -> None:
    """Throw away every message that waits."""
    with _connected(server) as connection:
        channel = connection.channel()
        channel.queue_declare(queue=QUEUE, durable=True, auto_delete=False)
        channel.queue_purge(queue=QUEUE)


def _answers(server: Server) -> bool:
    try:
        with _connected(server):
            return True
    except (OSError, amqp.AMQPError):
        return False


def _connected(server: Server) -> "amqp.Connection":
    port = server.url.rpartition(":")[2].strip("/")
    return amqp.Connection(host=f"127.0.0.1:{port}", userid="guest", password="guest", connect_timeout=2)
