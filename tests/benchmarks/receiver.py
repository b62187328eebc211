"""`python -m tests.benchmarks.receiver <secret>`: somebody downstream who verifies each delivery and answers at once.

Prints its port once it listens on 127.0.0.1. GET answers how many came, how many message ids that were, and how many
signatures did not fit.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
from dataclasses import dataclass, field
from typing import cast

import uvloop

NOTED = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Book:
    """What came so far."""

    key: bytes
    came: int = 0
    wrong: int = 0
    ids: set[bytes] = field(default_factory=set)

    def note(self, head: bytes, body: bytes) -> None:
        """Count a delivery, and check its signature as Standard Webhooks says."""
        headers = dict(line.lower().split(b": ", 1)[0:1] + line.split(b": ", 1)[1:] for line in head.split(b"\r\n")[1:])
        uid = headers.get(b"webhook-id", b"")
        signed = b".".join((uid, headers.get(b"webhook-timestamp", b""), body))
        mac = base64.b64encode(hmac.digest(self.key, signed, hashlib.sha256))
        self.came += 1
        self.wrong += headers.get(b"webhook-signature") != b"v1," + mac
        self.ids.add(uid)


class Receiver(asyncio.Protocol):
    """One connection."""

    def __init__(self, book: Book) -> None:
        self.book, self.received = book, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, rest = self.received.partition(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
            )
            if len(rest) < length:
                return
            self.received = rest[length:]
            self.answer(head, rest[:length])

    def answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"POST"):
            self.book.note(head, body)
            self.transport.write(NOTED)
            return
        told = json.dumps({"came": self.book.came, "ids": len(self.book.ids), "wrong": self.book.wrong}).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(told), told))


async def serve(secret: str) -> None:
    """Answer until the process is ended."""
    book = Book(base64.b64decode(secret.removeprefix("whsec_")))
    server = await asyncio.get_running_loop().create_server(lambda: Receiver(book), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
