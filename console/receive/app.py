"""`POST /hooks/<connection>/`: the webhook endpoint, a small ASGI application in front of Django.

It answers 200 once the evidence is committed, 401 to a bad signature, 404 to an unknown connection, 405 to
anything but POST, 408 to a body that does not end, 410 while the connection is disabled, 413 above 1 MiB, and 503
when nothing could be kept, so that the provider sends it again.
"""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, close_old_connections

from integrations.boundary import refusals
from integrations.boundary.gates import Gate, load_gate
from integrations.boundary.receive import Arrival, Keeper, connection_parameters, now, read_envelope
from integrations.failures.outline import outline
from integrations.providers.base import BadSignature
from integrations.workflow.wake import Waker

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
P = ParamSpec("P")
R = TypeVar("R")
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PREFIX = "/hooks/"
#: Seconds between two notes that a secret is in use.
USE_NOTED_EVERY = 60.0


class Refused(Exception):
    """The webhook is answered with `status` and a sentence."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)


class Receiver:
    """The endpoint of one process: its gates and its keeper."""

    def __init__(self) -> None:
        self.gates: dict[uuid.UUID, Gate] = {}
        self.loading: dict[uuid.UUID, asyncio.Future[Gate | None]] = {}
        self.uses: dict[int, float] = {}
        self.waker = Waker()
        self.keeper = Keeper(connection_parameters(), awake=self.waker.events)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, message = 200, await self.accept(scope, receive)
        except Refused as refused:
            status, message = refused.status, refused.message
        except Exception as error:
            log.error("A webhook could not be kept: %s", outline(error))
            status, message = 503, "Not kept; send it again"
        await answer(send, status, message)

    async def accept(self, scope: Scope, receive: Receive) -> str:
        if scope["method"] != "POST":
            raise Refused(405, "Only POST is accepted here")
        public_id = connection_of(scope["path"])
        gate = await self.gate(public_id)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body = await read_in_time(headers, receive)
        at = now()
        try:
            credential_id = verify(gate, body, headers)
        except BadSignature:
            # The secret may have been rotated a moment ago.
            gate = await self.gate(public_id, anew=True)
            credential_id = await self.verify_or_refuse(gate, body, headers, scope)
        outcome = await self.keep(gate, credential_id, body, headers, at)
        if outcome == "disabled":
            raise Refused(410, "This connection is disabled")
        if credential_id in gate.pending:
            self.gates.pop(public_id, None)
            await aside(refusals.prove, credential_id)
        await self.note_use(credential_id)
        return "" if gate.adapter.silent_answers else outcome

    async def keep(self, gate: Gate, credential_id: int, body: bytes, headers: dict[str, str], at: datetime) -> str:
        """Keep all that a webhook tells of; say what became of it. One without events only proves its secret."""
        arrivals = [Arrival(gate, credential_id, body, headers, at, item) for item in read_envelope(gate, body, at)]
        if len(arrivals) == 1:
            return await self.keeper.keep(arrivals[0])
        outcomes = set(await asyncio.gather(*(self.keeper.keep(arrival) for arrival in arrivals)))
        return next((outcome for outcome in ("disabled", "kept", "duplicate") if outcome in outcomes), "empty")

    async def note_use(self, credential_id: int) -> None:
        """Note now and then that a secret is in use."""
        at = time.monotonic()
        if at - self.uses.get(credential_id, -USE_NOTED_EVERY) >= USE_NOTED_EVERY:
            self.uses[credential_id] = at
            try:
                await aside(refusals.note_use, credential_id)
            except DatabaseError as error:
                # The evidence is kept: the provider need not send it again for this.
                log.warning("The use of a secret could not be noted: %s", outline(error))

    async def gate(self, public_id: uuid.UUID, *, anew: bool = False) -> Gate:
        gate = self.gates.get(public_id)
        if gate is None or anew or not gate.fresh:
            loaded = await (aside(load_gate, public_id) if anew else self.load(public_id))
            if loaded is None:
                self.gates.pop(public_id, None)
                raise Refused(404, "No such connection")
            # Bounded by the number of connections: unknown ids are never kept.
            gate = self.gates[public_id] = loaded
        if gate.disabled:
            raise Refused(410, "This connection is disabled")
        return gate

    async def load(self, public_id: uuid.UUID) -> Gate | None:
        """Read a gate; those who ask for the same one meanwhile share the look at the database."""
        loading = self.loading.get(public_id)
        if loading is None:
            loading = self.loading[public_id] = asyncio.ensure_future(aside(load_gate, public_id))
            loading.add_done_callback(lambda _: self.loading.pop(public_id, None))
        return await asyncio.shield(loading)

    async def verify_or_refuse(self, gate: Gate, body: bytes, headers: dict[str, str], scope: Scope) -> int:
        try:
            return verify(gate, body, headers)
        except BadSignature as bad:
            client = scope.get("client")
            address = client[0] if client else ""
            await aside(refusals.refuse, gate, str(bad), address=address, size=len(body))
            raise Refused(401, "" if gate.adapter.silent_answers else f"Signature refused: {bad}") from bad


async def aside(act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Do database work in a thread, on a connection that still works."""
    return await sync_to_async(_on_a_good_connection)(act, *args, **kwargs)


def _on_a_good_connection(act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    close_old_connections()
    try:
        return act(*args, **kwargs)
    finally:
        close_old_connections()


def verify(gate: Gate, body: bytes, headers: dict[str, str]) -> int:
    """Return the id of the credential that signed; raises BadSignature."""
    if not gate.secrets:
        raise BadSignature("this connection has no signing secret yet")
    return gate.credential_ids[gate.adapter.verify(body, headers, gate.secrets, now())]


def connection_of(path: str) -> uuid.UUID:
    """Return the connection that a path names; raises Refused (404)."""
    try:
        return uuid.UUID(path.removeprefix(PREFIX).rstrip("/"))
    except ValueError as error:
        raise Refused(404, "No such connection") from error


async def read_in_time(headers: dict[str, str], receive: Receive) -> bytes:
    """Return the whole body; raises Refused: 413 above the limit, 408 where it comes drop by drop."""
    try:
        async with asyncio.timeout(settings.WEBHOOK_SECONDS):
            return await read_body(headers, receive)
    except TimeoutError as error:
        raise Refused(408, "The body did not come in time") from error


async def read_body(headers: dict[str, str], receive: Receive) -> bytes:
    """Return the whole body; raises Refused (413) above the limit, without keeping what exceeds it."""
    limit = settings.WEBHOOK_LIMIT
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise Refused(413, f"Larger than {limit} bytes")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "The connection ended before the body did")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise Refused(413, f"Larger than {limit} bytes")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def answer(send: Send, status: int, message: str) -> None:
    """Send a short JSON answer, or none where there is nothing to say."""
    start, body = written(status, message)
    await send(start)
    await send(body)


@lru_cache(maxsize=64)
def written(status: int, message: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the two parts of an answer; the few that there are get written once."""
    body = json.dumps({"received": status == 200, "detail": message}).encode() if message else b""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    return (
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body},
    )


def with_receiver(django: Application) -> Application:
    """Return an application that answers webhooks itself and hands everything else to Django."""
    receivers: dict[int, Receiver] = {}

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            loop = id(asyncio.get_running_loop())
            receiver = receivers.get(loop) or receivers.setdefault(loop, Receiver())
            await receiver(scope, receive, send)
        elif scope["type"] == "http":
            await within_limit(django, scope, receive, send)
        elif scope["type"] == "lifespan":
            await lifespan(receive, send)
            if ending := receivers.pop(id(asyncio.get_running_loop()), None):
                await ending.keeper.close()

    return application


async def within_limit(django: Application, scope: Scope, receive: Receive, send: Send) -> None:
    """Hand a request on, with no more of its body than a form of ours has.

    Django writes a body to disk, however large, before anybody is asked who they are.
    """
    limit, size, told = settings.DATA_UPLOAD_MAX_MEMORY_SIZE, 0, False

    async def counted() -> MutableMapping[str, Any]:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        return message if size <= limit else {"type": "http.disconnect"}

    async def noted(message: MutableMapping[str, Any]) -> None:
        nonlocal told
        told = True
        await send(message)

    await django(scope, counted, noted)
    if size > limit and not told:
        await answer(send, 413, f"Larger than {limit} bytes")


async def lifespan(receive: Receive, send: Send) -> None:
    """Answer the server's start and stop; there is nothing to prepare."""
    reply = partial(_reply, send)
    while True:
        message = await receive()
        await reply(message["type"])
        if message["type"] == "lifespan.shutdown":
            return


async def _reply(send: Send, kind: str) -> None:
    await send({"type": f"{kind}.complete"})
