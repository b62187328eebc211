"""`python -m tests.benchmarks.provider <count>`: a provider that serves prepared pages and does nothing else.

Stripe-shaped lists of 100, newest first, written before the first request: customers and `count` invoices. Prints its
port once it listens on 127.0.0.1.
"""

import asyncio
import sys
from collections.abc import Iterable
from email.utils import formatdate
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import uvloop

from tests.benchmarks.shapes import compact, customers, invoices

PAGE = 100
Pages = dict[tuple[str, str], bytes]


def prepared(path: str, objects: Iterable[dict[str, Any]]) -> Pages:
    """Return the pages of a list by the id that each goes on after, "" for the first."""
    every = list(objects)
    pages: Pages = {}
    for start in range(0, len(every), PAGE):
        after = every[start - 1]["id"] if start else ""
        page = {
            "object": "list",
            "url": path,
            "has_more": start + PAGE < len(every),
            "data": every[start : start + PAGE],
        }
        pages[path, after] = compact(page)
    return pages


class Answerer(asyncio.Protocol):
    """One connection: answers each GET by its page, 404 where there is none."""

    def __init__(self, pages: Pages) -> None:
        self.pages, self.received = pages, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            self.answer(urlsplit(head.split(b" ", 2)[1].decode()))

    def answer(self, target: Any) -> None:
        after = parse_qs(target.query).get("starting_after", [""])[0]
        page = self.pages.get((target.path, after))
        status, body = ("200 OK", page) if page else ("404 Not Found", b"{}")
        head = (
            f"HTTP/1.1 {status}\r\nDate: {formatdate(usegmt=True)}\r\nContent-Type: application/json\r\n"
            f"Request-Id: req_benchmark\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)


async def serve(count: int) -> None:
    """Answer until the process is ended."""
    pages = prepared("/v1/customers", customers()) | prepared("/v1/invoices", invoices(count))
    server = await asyncio.get_running_loop().create_server(lambda: Answerer(pages), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
