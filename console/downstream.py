"""`python -m console.downstream --port N --config FILE`: somebody downstream, for the demo.

A real receiver of deliveries on 127.0.0.1: it verifies each signature by the package that receivers use, keeps count,
and refuses what it is asked to refuse. `/control` shows what came (GET) and takes JSON (POST): `{"status": 503,
"topic": "invoice.*", "times": 3}` refuses the next three such deliveries, `{"secret": "whsec_…"}` takes over a rotated
secret, `{"clear": true}` ends all refusals.
"""

import argparse
import json
import signal
import sys
import threading
from collections import deque
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from standardwebhooks import Webhook, WebhookVerificationError

DEFAULT_PORT: Final = 8422
#: Bytes; a delivery is smaller by far.
LARGEST: Final = 256 * 1024
NEWEST: Final = 50


class BadWish(ValueError):
    """What was asked of `/control` cannot be done; the text says why."""


@dataclass
class Refusal:
    """Deliveries whose topic fits are answered with a status, so many times."""

    status: int
    topic: str = "*"
    times: int = 1

    @classmethod
    def of(cls, wish: dict[str, Any]) -> "Refusal":
        """Return the refusal that somebody asks for; raises `BadWish`."""
        status, topic, times = wish.get("status"), wish.get("topic", "*"), wish.get("times", 1)
        if type(status) is not int or not 300 <= status < 600:
            raise BadWish("status is a number from 300 to 599")
        if not isinstance(topic, str) or type(times) is not int or times < 1:
            raise BadWish("topic is a pattern such as invoice.*, and times a number from 1 on")
        return cls(status, topic, times)


@dataclass
class Came:
    """One delivery as it came, and how it was answered."""

    id: str
    topic: str
    answered: int


@dataclass
class Downstream:
    """What the receiver knows: its secrets, what it is to refuse, and what came."""

    secrets: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    taken: int = 0
    refused: int = 0
    bad_signatures: int = 0
    newest: deque[Came] = field(default_factory=lambda: deque(maxlen=NEWEST))
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def read(cls, path: Path | None) -> "Downstream":
        """Return a receiver as the demo arranged it: `{"secrets": […], "refusals": […]}`."""
        told = json.loads(path.read_text()) if path and path.is_file() else {}
        return cls(list(told.get("secrets", ())), [Refusal.of(each) for each in told.get("refusals", ())])

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """Return the status by which a delivery is answered."""
        verified = self._verified(headers, body)
        with self._lock:
            if verified is None:
                self.bad_signatures += 1
                return 401
            topic = str(verified.get("type", ""))
            status = self._refusal_of(topic)
            self.taken, self.refused = self.taken + (status < 300), self.refused + (status >= 300)
            self.newest.appendleft(Came(headers.get("webhook-id", ""), topic, status))
        return status

    def _verified(self, headers: dict[str, str], body: bytes) -> dict[str, Any] | None:
        """Return what a delivery says, None where none of our secrets signed it."""
        for secret in [*self.secrets]:
            try:
                told = Webhook(secret).verify(body, headers)
            except (WebhookVerificationError, ValueError):
                continue
            return told if isinstance(told, dict) else {}
        return None

    def _refusal_of(self, topic: str) -> int:
        for refusal in self.refusals:
            if fnmatchcase(topic, refusal.topic):
                refusal.times -= 1
                if not refusal.times:
                    self.refusals.remove(refusal)
                return refusal.status
        return 204

    def do(self, wish: dict[str, Any]) -> None:
        """Do what somebody asks of it; raises `BadWish`."""
        with self._lock:
            if isinstance(wish.get("secret"), str):
                self.secrets = [wish["secret"], *self.secrets][:2]
            elif wish.get("clear"):
                self.refusals.clear()
            else:
                self.refusals.append(Refusal.of(wish))

    def told(self) -> dict[str, Any]:
        """Return what came and what is refused; its secrets are only counted."""
        with self._lock:
            return {
                "taken": self.taken, "refused": self.refused, "bad_signatures": self.bad_signatures,
                "secrets": len(self.secrets), "refusals": [asdict(each) for each in self.refusals],
                "newest": [asdict(each) for each in self.newest],
            }  # fmt: skip


def server_of(downstream: Downstream, port: int) -> ThreadingHTTPServer:
    """Return a server on 127.0.0.1, port 0 for a free one. Raises `OSError` for a taken port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 60

        def do_GET(self) -> None:
            self._answer(200, downstream.told()) if self.path == "/control" else self._answer(404)

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if not length.isdecimal() or int(length) > LARGEST:
                self.close_connection = True
                return self._answer(413)
            body = self.rfile.read(int(length))
            if self.path == "/control":
                return self._control(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            return self._answer(downstream.take(headers, body))

        def _control(self, body: bytes) -> None:
            # A page of somebody else's cannot send this type without asking first, and is not answered.
            if self.headers.get("content-type") != "application/json":
                return self._answer(415)
            try:
                wish = json.loads(body)
                downstream.do(wish if isinstance(wish, dict) else {})
            except ValueError as error:
                return self._answer(400, {"error": str(error)})
            return self._answer(200, downstream.told())

        def _answer(self, status: int, told: dict[str, Any] | None = None) -> None:
            body = json.dumps(told, indent=1).encode() + b"\n" if told is not None else b""
            self.send_response(status)
            self.send_header("content-type", "application/json")
            if status != 204:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: `/control` tells what came."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    return server


def main() -> int:
    """Run until told to stop; say in one line what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m console.downstream")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0: a free one")
    parser.add_argument("--config", type=Path, help="a file with its secrets and what it refuses")
    options = parser.parse_args()
    try:
        server = server_of(Downstream.read(options.config), options.port)
    except (OSError, OverflowError, ValueError) as error:
        print(f"The receiver cannot start: {error}", flush=True)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"ready http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
    server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
