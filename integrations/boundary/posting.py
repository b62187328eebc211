"""Posting deliveries: many at once over kept connections, from a thread of its own that never sees the database."""

import asyncio
import logging
import queue
import ssl
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from time import monotonic
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import certifi
import httpcore
from django.conf import settings

from integrations.boundary.destination import CheckedNetwork, ForbiddenDestination
from integrations.boundary.signing import signature

log = logging.getLogger(__name__)

#: Characters of an answer that are kept, and bytes of it that are read at all.
KEPT, READ = 1000, 64 * 1024
#: Requests at once for one subscription.
AT_ONCE = 64
#: The headers that all deliveries have alike, and the one that proves who we are.
HEADERS = (("content-type", "application/json"), ("user-agent", "integration-console"))
SIGNATURE = "webhook-signature"
#: Seconds for a connection to be made, and for which an idle one is kept.
CONNECT_SECONDS, KEPT_SECONDS = 5.0, 30.0


@dataclass(frozen=True)
class Letter:
    """One delivery on its way. `keys` are (version, key) of the secrets that sign it."""

    number: int
    tenant: int
    subscription: int
    url: str
    uid: str
    body: bytes
    keys: Sequence[tuple[int, bytes]]


@dataclass
class Posted:
    """What became of a letter: a status, or `problem` says why none came. `forbidden`: it never left.

    `unsent`: neither did it, but it may later.
    """

    number: int
    stamp: int
    started_at: datetime
    latency_ms: int = 0
    status: int | None = None
    headers: Sequence[tuple[bytes, bytes]] = ()
    answer: str = ""
    address: str = ""
    problem: str = ""
    timed_out: bool = False
    forbidden: bool = False
    unsent: bool = False

    def header(self, name: str) -> str:
        """Return a header of the answer, "" where it has none."""
        wanted = name.encode()
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == wanted), "")


def headers_of(letter: Letter, stamp: int) -> list[tuple[str, str]]:
    """Return the headers of a delivery that is signed at `stamp`, in seconds since 1970."""
    signed = signature((key for _, key in letter.keys), uid=letter.uid, stamp=stamp, body=letter.body)
    return [
        *HEADERS,
        ("webhook-id", letter.uid),
        ("webhook-timestamp", str(stamp)),
        (SIGNATURE, signed),
    ]


class KeptConnections:
    """Connections to receivers of one tenant that are used again.

    One a request, the one used last first. httpcore's own pool looks at every connection for every request, which
    takes most of the time once a hundred are open.
    """

    def __init__(self, tenant: int) -> None:
        self.network = CheckedNetwork(tenant)
        self._idle: dict[str, list[httpcore.AsyncHTTPConnection]] = {}

    @asynccontextmanager
    async def exchange(self, request: httpcore.Request) -> AsyncIterator[httpcore.Response]:
        """Send a request and give its answer, whose body is still to be read."""
        origin = request.url.origin
        connection = await self._take(origin)
        try:
            answer = await connection.handle_async_request(request)
            try:
                yield answer
            finally:
                await answer.aclose()
        finally:
            if connection.is_idle():
                self._idle.setdefault(str(origin), []).append(connection)
            else:
                await connection.aclose()

    async def _take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        idle = self._idle.get(str(origin), [])
        while idle:
            connection = idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return httpcore.AsyncHTTPConnection(
            origin, ssl_context=_tls(), keepalive_expiry=KEPT_SECONDS, network_backend=self.network
        )

    async def aclose(self) -> None:
        """Close what is kept."""
        for idle in self._idle.values():
            for connection in idle:
                await connection.aclose()
        self._idle.clear()


class Post:
    """The thread that posts. `send` returns at once; `answers` waits for what came back."""

    def __init__(self) -> None:
        self.under_way = 0
        self._answers: queue.SimpleQueue[Posted] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._kept: dict[int, KeptConnections] = {}
        self._rooms: dict[int, asyncio.Semaphore] = {}
        self._ends = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="post", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(CONNECT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def send(self, letters: Sequence[Letter]) -> None:
        """Begin to post some letters; each comes back by `answers`."""
        self.under_way += len(letters)
        self._loop.call_soon_threadsafe(self._begin, letters)

    def begin_no_more(self) -> None:
        """Let what has left come back; what still waits for another comes back unsent."""
        self._ends = True

    def answers(self, *, first: float, more: float) -> list[Posted]:
        """Wait up to `first` seconds for an answer, then gather others for `more` seconds; none when none came."""
        found: list[Posted] = []
        end = monotonic() + first
        while self.under_way and (left := end - monotonic()) > 0:
            try:
                found.append(self._answers.get(timeout=left))
            except queue.Empty:
                break
            self.under_way -= 1
            if len(found) == 1:
                end = monotonic() + more
        return found

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _begin(self, letters: Iterable[Letter]) -> None:
        for letter in letters:
            task = self._loop.create_task(self._post(letter))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for kept in self._kept.values():
            await kept.aclose()

    async def _post(self, letter: Letter) -> None:
        # By subscription and not by host: many tenants may have their receivers at one.
        async with self._rooms.setdefault(letter.subscription, asyncio.Semaphore(AT_ONCE)):
            self._answers.put(await self._try(letter))

    async def _try(self, letter: Letter) -> Posted:
        """Post one letter; whatever happens, something comes back."""
        now = datetime.now(UTC)
        posted = Posted(letter.number, int(now.timestamp()), now, unsent=self._ends)
        if posted.unsent:
            return posted
        if not letter.keys:
            # A body without a signature is one that anybody could have sent.
            posted.problem, posted.forbidden = "Its signing secret cannot be opened, so nothing was sent", True
            return posted
        begun = monotonic()
        limit = settings.OUTBOX_TIMEOUT
        try:
            async with asyncio.timeout(limit):
                await self._exchange(letter, posted)
        except TimeoutError:
            posted.problem, posted.timed_out = f"It did not answer within {limit:g} s", True
        except ForbiddenDestination as error:
            posted.problem, posted.forbidden = str(error), True
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            posted.problem = f"No connection could be made: {_words(error)}"
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            posted.problem = f"The connection broke: {_words(error)}"
        except Exception as error:
            # Whatever it was, an answer has to come back: somebody waits for it.
            log.exception("A delivery could not be posted")
            posted.problem = f"It could not be posted: {_words(error)}"
        posted.latency_ms = round((monotonic() - begun) * 1000)
        return posted

    async def _exchange(self, letter: Letter, posted: Posted) -> None:
        """Post and read how the answer begins. Nothing follows a redirect."""
        url = httpcore.URL(letter.url)
        headers = [("host", urlsplit(letter.url).netloc), ("content-length", str(len(letter.body)))]
        request = httpcore.Request(
            "POST",
            url,
            headers=[*headers, *headers_of(letter, posted.stamp)],
            content=letter.body,
            extensions={"timeout": {"connect": CONNECT_SECONDS}},
        )
        kept = self._kept.get(letter.tenant) or self._kept.setdefault(letter.tenant, KeptConnections(letter.tenant))
        async with kept.exchange(request) as answer:
            body, size = [], 0
            async for part in answer.aiter_stream():
                body.append(part)
                size += len(part)
                if size > READ:
                    break
            posted.answer = b"".join(body).decode("utf-8", "replace").replace("\x00", "")[:KEPT]
            posted.headers = answer.headers
            posted.status = answer.status
        posted.address = kept.network.chosen.get(url.host.decode(), "")


def _words(error: Exception) -> str:
    """Return an error in a line: the library's words, else its kind."""
    return (str(error) or type(error).__name__).replace("\x00", "")[:200]


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())
