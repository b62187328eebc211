"""A Stripe-shaped provider on this machine that holds what it is given and shows it, to real workers too."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PATHS = {"customer": "customers", "invoice": "invoices", "payment_intent": "payment_intents", "refund": "refunds"}


class Prepared:
    """Objects by their path and id, in the order of their making."""

    def __init__(self) -> None:
        self.url = ""
        self.held: dict[str, dict[str, dict[str, Any]]] = {path: {} for path in (*PATHS.values(), "events")}

    def put(self, *objects: Mapping[str, Any]) -> None:
        """Hold objects as they are now."""
        for obj in objects:
            self.held[PATHS[obj["object"]]][obj["id"]] = dict(obj)

    def answer(self, target: str) -> tuple[int, Any]:
        """Return the status and the body of a GET."""
        parts = urlsplit(target)
        name, _, external_id = parts.path.removeprefix("/v1/").partition("/")
        if name == "account":
            return 200, {"id": "acct_1", "object": "account"}
        held = self.held[name]
        if external_id:
            missing = {"error": {"type": "invalid_request_error", "code": "resource_missing"}}
            return (200, held[external_id]) if external_id in held else (404, missing)
        query = parse_qs(parts.query)
        found, size = list(reversed(held.values())), int(query["limit"][0])
        if "starting_after" in query:
            ids = [obj["id"] for obj in found]
            found = found[ids.index(query["starting_after"][0]) + 1 :]
        return 200, {"object": "list", "data": found[:size], "has_more": len(found) > size}


@contextmanager
def run_prepared() -> Iterator[Prepared]:
    """Serve on a free port of 127.0.0.1 until the block ends."""
    prepared = Prepared()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, found = prepared.answer(self.path)
            body = json.dumps(found).encode()
            self.send_response(status)
            for name, value in (("Date", formatdate(usegmt=True)), ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def send_response(self, code: int, message: str | None = None) -> None:
            self.send_response_only(code, message)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    prepared.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield prepared
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
