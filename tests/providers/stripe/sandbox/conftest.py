"""One sandbox of real processes for all tests here, emptied before each, and a receiver of webhooks."""

import json
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from integrations.providers.stripe.sandbox.harness import Sandbox, account, run_sandbox


@dataclass
class Delivered:
    """One webhook as it arrived."""

    body: bytes
    signature: str

    @property
    def event(self) -> Any:
        """The body as a document."""
        return json.loads(self.body)


class Receiver:
    """A webhook endpoint that answers the statuses in `answers`, and 200 after them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[int] = []
        self._delivered: queue.Queue[Delivered] = queue.Queue()

    def take(self, body: bytes, signature: str) -> int:
        """Keep one delivery; returns the status to answer with."""
        self._delivered.put(Delivered(body, signature))
        return self.answers.pop(0) if self.answers else 200

    def next(self) -> Delivered:
        """The next delivery; fails after a few seconds without one."""
        return self._delivered.get(timeout=5)

    def all(self) -> list[Delivered]:
        """What arrived and was not looked at yet."""
        found = []
        while not self._delivered.empty():
            found.append(self._delivered.get())
        return found


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Receiver]:
    taken: list[Receiver] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = taken[0].take(body, self.headers["Stripe-Signature"])
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
    taken.append(receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield receiver
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    accounts = [account("northwind"), account("contoso")]
    with run_sandbox(tmp_path_factory.mktemp("sandbox"), accounts) as running:
        yield running


@pytest.fixture
def sandbox(processes: Sandbox) -> Sandbox:
    processes.set_faults()
    for name in ("northwind", "contoso"):
        processes.point(name, "")
    processes.empty()
    return processes


@pytest.fixture
def receiver(sandbox: Sandbox, endpoint: Receiver) -> Receiver:
    sandbox.point("northwind", endpoint.url, "whsec_one")
    endpoint.answers.clear()
    endpoint.all()
    return endpoint
