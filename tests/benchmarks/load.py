"""A load generator that costs little: one thread, keep-alive connections, requests made before the clock starts."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import uvloop

#: Seconds after which a load is given up.
LONGEST = 120.0


@dataclass
class Outcome:
    """What came of a load."""

    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[bytes] = field(default_factory=Counter)


class Caller(asyncio.Protocol):
    """One keep-alive connection: sends a request, waits for its answer, sends the next."""

    def __init__(self, requests: Iterator[bytes], outcome: Outcome, done: "asyncio.Future[None]") -> None:
        self.requests, self.outcome, self.done = requests, outcome, done
        self.answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.send()

    def send(self) -> None:
        request = next(self.requests, None)
        if request is None:
            self.transport.close()
            return
        self.began = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, blank, body = self.answer.partition(b"\r\n\r\n")
        if blank and len(body) >= length_of(head):
            self.outcome.latencies_ms.append((time.perf_counter() - self.began) * 1000)
            self.outcome.statuses[head[9:12]] += 1
            self.answer = b""
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.done.done():
            return
        if exc or self.answer:
            self.done.set_exception(exc or ConnectionError("the server hung up"))
        else:
            self.done.set_result(None)


def length_of(head: bytes) -> int:
    """Return the content length that an answer's head states."""
    lowered = head.lower()
    place = lowered.index(b"content-length:") + len(b"content-length:")
    return int(lowered[place:].partition(b"\r\n")[0])


def drive(port: int, requests: list[bytes], connections: int) -> Outcome:
    """Send all requests over some keep-alive connections, each as soon as it has its answer."""
    return uvloop.run(_drive(port, requests, connections))


async def _drive(port: int, requests: list[bytes], connections: int) -> Outcome:
    loop, outcome, source = asyncio.get_running_loop(), Outcome(), iter(requests)
    ends = [loop.create_future() for _ in range(connections)]
    began = time.perf_counter()
    for end in ends:
        await loop.create_connection(partial(Caller, source, outcome, end), "127.0.0.1", port)
    async with asyncio.timeout(LONGEST):
        await asyncio.gather(*ends)
    outcome.seconds = time.perf_counter() - began
    return outcome
