"""HTTP to providers. Each exchange is an attempt: committed before the request, closed after it."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.db import connection as database

from integrations.boundary import limits
from integrations.boundary.deadline import TimedNetwork
from integrations.boundary.limits import Leave
from integrations.failures.categories import Category, Fault
from integrations.models import Attempt, AttemptState, Command, Connection, Run, Token
from integrations.providers import get_adapter
from integrations.providers.base import Remaining, Request, Response

#: How headers end in which providers tell their own id of a request, by which their support finds it.
REQUEST_IDS = ("request-id", "correlation-id")
#: Bytes. A larger answer is a fault, so that no provider fills our memory.
LARGEST = 32 * 1024 * 1024

UNAUTHORIZED: Final = 401
#: Seconds for which a fresh token is not held responsible for a refusal: what else is wrong, none would mend.
DOUBT_AFTER: Final = 60

#: The code of a fault that tells that nothing of a request has left.
UNREACHED: Final = "connection:unreached"


class _Thread(threading.local):
    """What a thread keeps: its client, and the network that it uses."""

    def __init__(self) -> None:
        self.client: httpx.Client | None = None
        self.network = TimedNetwork()


_thread = _Thread()


class OpenTransaction(RuntimeError):
    """A request was about to leave while a database transaction was open."""


def http() -> httpx.Client:
    """Return this thread's client; it keeps connections alive and follows no redirect."""
    if _thread.client is None or _thread.client.is_closed:
        _thread.client = httpx.Client(
            timeout=httpx.Timeout(settings.PROVIDER_TIMEOUT, connect=min(5, settings.PROVIDER_TIMEOUT)),
            follow_redirects=False,
            headers={"user-agent": "integration-console"},
        )
        # httpx takes no network, and a transport of ours would leave out the environment's proxies.
        for transport in (_thread.client._transport, *_thread.client._mounts.values()):
            if isinstance(transport, httpx.HTTPTransport):
                transport._pool._network_backend = _thread.network
    return _thread.client


@dataclass
class Exchanges:
    """The transport of one run, or of looking for what a command did: sends requests, keeps an attempt of each.

    `last` is the newest attempt, and `answer` what came back. Each request needs a leave; `leave` is one that was
    taken beforehand, for the first.
    """

    connection: Connection
    run: Run | None = None
    command: Command | None = None
    leave: Leave | None = None
    last: Attempt | None = None
    answer: Response | None = None

    def __call__(self, request: Request) -> Response:
        """Send and return the answer; raises `Fault` where none came, `NotYet` where the request may not leave yet."""
        if database.in_atomic_block:
            raise OpenTransaction(f"{request.method} {request.url}")
        self.answer = None
        leave, self.leave = self.leave or limits.leave_of(self.connection), None
        self.last = attempt = Attempt.objects.create(
            connection=self.connection,
            run=self.run,
            command=self.command,
            method=request.method,
            url=shown(request),
            started_at=datetime.now(UTC),
        )
        begun = monotonic()
        try:
            response = exchange(request, leave)
        except Fault as fault:
            close(attempt, begun, AttemptState.NO_ANSWER, fault=fault)
            raise
        close(attempt, begun, AttemptState.ANSWERED, response=response)
        self.answer = response
        return response


def exchange(request: Request, leave: Leave) -> Response:
    """Send one request by a leave, which is over then; raises `Fault` as `send` does.

    What the answer says of the provider's limits holds for all workers from then on.
    """
    remaining: Remaining | None = None
    try:
        response = send(request)
        remaining = heed(leave.connection, response)
    finally:
        leave.done(remaining)
    return response


def heed(connection: Connection, response: Response) -> Remaining | None:
    """Obey an answer that asks us to slow down, or refuses our token; return what it says is left of the limits."""
    adapter = get_adapter(connection.provider)
    if response.status == UNAUTHORIZED:
        _doubt_token(connection)
    fault = adapter.classify(response) if response.status >= 400 else None
    if fault and fault.category == Category.RATE_LIMIT:
        limits.told_to_wait(connection, fault.retry_after)
    return adapter.remaining(response)


def _doubt_token(connection: Connection) -> None:
    """Have a token refreshed that the provider refuses before its time; one that was made just now is not at fault."""
    long_enough = datetime.now(UTC) - timedelta(seconds=DOUBT_AFTER)
    Token.objects.filter(
        credential__connection=connection, replaced_at=None, made_at__lt=long_enough, expires_at__gt=datetime.now(UTC)
    ).update(expires_at=datetime.now(UTC))


def send(request: Request) -> Response:
    """Send one request; raises `Fault`: timeout, or provider outage where the connection fails.

    It is over in PROVIDER_TIMEOUT seconds as a whole, or an answer that trickles would outlast the lease of its run.
    """
    if database.in_atomic_block:
        raise OpenTransaction(f"{request.method} {request.url}")
    client = http()
    _thread.network.until = monotonic() + settings.PROVIDER_TIMEOUT
    try:
        with client.stream(
            request.method,
            request.url,
            params=list(request.query) or None,
            headers=dict(request.headers),
            content=request.body or None,
        ) as answer:
            body = b"".join(bounded(answer))
            return Response(answer.status_code, dict(answer.headers), body, datetime.now(UTC))
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        category = Category.OUTAGE if isinstance(error, httpx.ConnectError) else Category.TIMEOUT
        raise Fault(category, UNREACHED, f"{host(request)} cannot be reached") from error
    except httpx.TimeoutException as error:
        raise Fault(
            Category.TIMEOUT, "no_answer", f"{host(request)} did not answer within {settings.PROVIDER_TIMEOUT:g} s"
        ) from error
    except httpx.HTTPError as error:
        raise Fault(
            Category.OUTAGE, f"connection:{type(error).__name__}", f"The connection to {host(request)} failed"
        ) from error


def bounded(answer: httpx.Response) -> list[bytes]:
    """Return an answer's parts; raises `Fault` above the limit."""
    parts, size = [], 0
    for part in answer.iter_bytes():
        size += len(part)
        if size > LARGEST:
            raise Fault(Category.CONTRACT, "answer_too_large", f"The answer is larger than {LARGEST} bytes")
        parts.append(part)
    return parts


def close(
    attempt: Attempt, begun: float, state: str, *, response: Response | None = None, fault: Fault | None = None
) -> None:
    """Write how an attempt ended."""
    attempt.state = state
    attempt.finished_at = datetime.now(UTC)
    attempt.latency_ms = round((monotonic() - begun) * 1000)
    if response:
        attempt.status, attempt.provider_request_id = response.status, request_id_of(response)
    if fault:
        attempt.category, attempt.message = fault.category, fault.message
    attempt.save(
        update_fields=[
            "state", "finished_at", "latency_ms", "status", "provider_request_id", "category", "message",
        ]
    )  # fmt: skip


def request_id_of(response: Response) -> str:
    """Return the provider's own id of a request, "" where it tells none."""
    return next((value[:120] for name, value in response.headers.items() if name.endswith(REQUEST_IDS)), "")


def shown(request: Request) -> str:
    """Return the request's address as people may see it: with its query, which holds no secret."""
    query = "&".join(f"{name}={value}" for name, value in request.query)
    return (f"{request.url}?{query}" if query else request.url)[:600]


def host(request: Request) -> str:
    return urlsplit(request.url).hostname or "the provider"
