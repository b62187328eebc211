"""Webhooks in: bytes become evidence in the transaction whose commit the acknowledgement waits for."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal

import psycopg
from django.db import connection as django_connection

from integrations.boundary.gates import Gate
from integrations.boundary.redaction import strip_headers
from integrations.boundary.vault import seal
from integrations.failures.categories import Fault
from integrations.failures.outline import outline
from integrations.providers.answers import MOST_EVENTS
from integrations.providers.base import Item

log = logging.getLogger(__name__)

#: Where the envelope cannot be read, the bytes themselves are the identity of the evidence.
UNREADABLE = "unreadable"
#: How often a batch is written that loses a deadlock against workers who settle the same events.
DEADLOCKS = 5


@dataclass(frozen=True)
class Arrival:
    """One event of a webhook whose signature holds, ready to be kept.

    The events of one webhook share its bytes, as one object: they are kept once.
    """

    gate: Gate
    credential_id: int
    body: bytes
    headers: dict[str, str]
    at: datetime
    item: Item


Outcome = Literal["kept", "duplicate", "disabled"]


def read_envelope(gate: Gate, body: bytes, at: datetime) -> tuple[Item, ...]:
    """Return what the webhook tells of, event by event; bytes that say nothing readable are kept all the same.

    Why they cannot be read is found again by the worker that settles them, and becomes a failure.
    """
    try:
        items = gate.adapter.parse(body, at)
        if len(items) <= MOST_EVENTS:
            return items
    except Fault:
        pass
    except Exception as error:  # one that an adapter did not foresee: the bytes are evidence of it too
        log.error("A webhook of connection %d cannot be read: %s", gate.connection_id, outline(error))
    unreadable = Item(
        event_id=f"sha256:{sha256(body).hexdigest()}",
        event_type=UNREADABLE,
        resource="",
        external_id="",
        occurred_at=at,
        path="",
        obj={},
    )
    return (unreadable,)


# One statement keeps a whole batch: new events with their payloads, and a count and a journal line for
# those that were delivered before. `held` while paused, so that people see what waits.
KEEP = """
WITH input AS (
    SELECT t.*, substring(%(bytes)b::bytea FROM t.start + 1 FOR 32) AS sha256,
        substring(%(bytes)b::bytea FROM t.start + 33 FOR t.sealed) AS body
    FROM json_to_recordset(%(rows)s::json) AS t(
        connection_id bigint, event_id text, event_type text, resource text, external_id text,
        occurred_at timestamptz, deleted bool, path text, at timestamptz, headers jsonb, content_type text, size int,
        start int, sealed int)
), bodies AS (
    SELECT start, nextval('integrations_payload_id_seq') AS payload_id FROM (SELECT DISTINCT start FROM input) once
), kept AS (
    INSERT INTO integrations_event (
        tenant_id, environment, connection_id, source, provider_event_id, event_type, resource, external_id,
        occurred_at, exact, deleted, received_at, redelivered, payload_id, payload_at, path, decision,
        decision_reason, waits_for, replays, state, due_at, tries, category)
    SELECT c.tenant_id, c.environment, c.id, 'webhook', i.event_id, i.event_type, i.resource, i.external_id,
        i.occurred_at, false, i.deleted, i.at, 0, b.payload_id, i.at, i.path, '',
        '', '', 0, CASE WHEN c.paused_at IS NULL AND s.paused_at IS NULL THEN 'ready' ELSE 'held' END, i.at, 0, ''
    FROM input i
    JOIN bodies b ON b.start = i.start
    JOIN integrations_connection c ON c.id = i.connection_id AND c.disabled_at IS NULL
    LEFT JOIN integrations_stream s ON s.connection_id = c.id AND s.resource = i.resource
    ON CONFLICT (connection_id, provider_event_id) DO UPDATE
        SET redelivered = integrations_event.redelivered + 1, redelivered_at = excluded.received_at
    RETURNING id, tenant_id, environment, connection_id, provider_event_id, event_type, record_id, payload_id,
        redelivered, redelivered_at, (xmax = 0) AS is_new
), stored AS (
    INSERT INTO integrations_payload (id, at, connection_id, source, headers, content_type, size, sha256, body)
    SELECT DISTINCT ON (k.payload_id)
        k.payload_id, i.at, i.connection_id, 'webhook', i.headers, i.content_type, i.size, i.sha256, i.body
    FROM kept k JOIN input i ON (i.connection_id, i.event_id) = (k.connection_id, k.provider_event_id)
    WHERE k.is_new
), noted AS (
    INSERT INTO integrations_journal (
        at, tenant_id, environment, connection_id, record_id, lane, action, summary, outcome, subject_type,
        subject_id, data, actor, role, reason, address, request_id)
    SELECT k.redelivered_at, k.tenant_id, k.environment, k.connection_id, k.record_id, 'events',
        'event.redelivered',
        k.event_type || ' was delivered again: counted and not processed, the evidence was already here',
        'duplicate', 'event', k.id, jsonb_build_object('deliveries', k.redelivered + 1), '', '', '', '', ''
    FROM kept k WHERE NOT k.is_new
)
SELECT connection_id, provider_event_id, is_new FROM kept
"""


def parameters(arrivals: list[Arrival]) -> dict[str, Any]:
    """Turn arrivals into what `KEEP` takes: one JSON text, and the bytes one after another, each once.

    An array a column would cost several times as much: each of its elements is converted in Python.
    """
    rows: list[dict[str, Any]] = []
    parts: list[bytes] = []
    # By connection and object of the bytes: where they begin, and how long they are when sealed.
    places: dict[tuple[int, int], tuple[int, int]] = {}
    end = 0
    for arrival in arrivals:
        item, key = arrival.item, (arrival.gate.connection_id, id(arrival.body))
        if key not in places:
            sealed = seal(arrival.body)
            parts += sha256(arrival.body).digest(), sealed
            places[key] = end, len(sealed)
            end += 32 + len(sealed)
        start, length = places[key]
        rows.append(
            {
                "connection_id": arrival.gate.connection_id,
                "event_id": item.event_id[:120],
                "event_type": item.event_type[:120],
                "resource": item.resource[:60],
                "external_id": item.external_id[:255],
                "occurred_at": item.occurred_at.isoformat(),
                "deleted": item.deleted,
                "path": item.path,
                "at": arrival.at.isoformat(),
                "headers": strip_headers(arrival.headers),
                "content_type": arrival.headers.get("content-type", "")[:120],
                "size": len(arrival.body),
                "start": start,
                "sealed": length,
            }
        )
    return {"rows": json.dumps(rows), "bytes": b"".join(parts)}


def identity(arrival: Arrival) -> tuple[int, str]:
    """What makes two deliveries the same evidence."""
    return arrival.gate.connection_id, arrival.item.event_id[:120]


@dataclass
class Keeper:
    """Keeps webhooks of one process: all that arrive while a commit is under way share the next one.

    `awake` is called after a commit that brought something new.
    """

    conninfo: dict[str, Any]
    awake: Callable[[], None]
    most: int = 256
    _waiting: list[tuple[Arrival, "asyncio.Future[Outcome]"]] = field(default_factory=list)
    _running: bool = False
    _task: "asyncio.Task[None] | None" = None
    _connection: psycopg.AsyncConnection[Any] | None = None

    async def keep(self, arrival: Arrival) -> Outcome:
        """Return once `arrival` is committed; raises psycopg.Error when it could not be."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, future))
        if not self._running:
            self._running = True
            self._task = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self.most], self._waiting[self.most :]
                await self._commit(batch)
        finally:
            self._running = False

    async def _commit(self, batch: list[tuple[Arrival, "asyncio.Future[Outcome]"]]) -> None:
        # The same event twice in one batch cannot stand in one INSERT; the second goes to the next.
        firsts: dict[tuple[int, str], tuple[Arrival, asyncio.Future[Outcome]]] = {}
        for arrival, future in batch:
            if firsts.setdefault(identity(arrival), (arrival, future))[1] is not future:
                self._waiting.append((arrival, future))
        try:
            outcomes = await self._write_surely([arrival for arrival, _ in firsts.values()])
        except psycopg.DataError as error:
            if len(firsts) == 1:
                _fail(firsts.values(), error)
            else:  # One that the database refuses must not take the others with it.
                for pair in firsts.values():
                    await self._commit([pair])
            return
        except Exception as error:  # every caller must learn that nothing was kept
            log.error("A batch of %d webhooks was not kept: %s", len(firsts), outline(error))
            await self._disconnect()
            _fail(firsts.values(), error)
            return
        for key, (_, future) in firsts.items():
            if not future.done():
                future.set_result(outcomes.get(key, "disabled"))
        if "kept" in outcomes.values():
            self.awake()

    async def close(self) -> None:
        """Finish what is under way and leave the database."""
        if self._task is not None:
            await self._task
        await self._disconnect()

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        self._connection = None

    async def _write_surely(self, arrivals: list[Arrival]) -> dict[tuple[int, str], Outcome]:
        """Write; again where the database broke a deadlock with a worker, since then nothing was written."""
        lost = 0
        while True:
            try:
                return await self._write(arrivals)
            except psycopg.errors.DeadlockDetected:
                lost += 1
                if lost == DEADLOCKS:
                    raise

    async def _write(self, arrivals: list[Arrival]) -> dict[tuple[int, str], Outcome]:
        # Sorted, so that two processes with overlapping batches lock the same rows in the same order.
        arrivals = sorted(arrivals, key=identity)
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(**self.conninfo, autocommit=True)
        cursor = await self._connection.execute(KEEP, parameters(arrivals), prepare=True)
        return {
            (connection_id, event_id): "kept" if is_new else "duplicate"
            async for connection_id, event_id, is_new in cursor
        }


def _fail(pairs: Iterable[tuple[Arrival, "asyncio.Future[Outcome]"]], error: Exception) -> None:
    for _, future in pairs:
        if not future.done():
            future.set_exception(error)


def connection_parameters() -> dict[str, Any]:
    """Return what psycopg needs to reach Django's database."""
    parameters = django_connection.get_connection_params()
    return {
        key: parameters[key]
        for key in ("dbname", "user", "password", "host", "port", "sslmode", "options")
        if parameters.get(key)
    }


def now() -> datetime:
    return datetime.now(UTC)
