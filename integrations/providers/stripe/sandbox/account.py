"""One Stripe account: localstripe's objects, and the book of what localstripe does not know.

The book holds the fields that localstripe refuses, the objects changed behind our back (drift),
the tombstones, the order of creation and the event log. Business rules stay in localstripe.
"""

import asyncio
import contextlib
import json
import random
import string
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import BaseModel, Field

from integrations.providers.stripe.sandbox import shape
from integrations.providers.stripe.sandbox.faults import JSON, look_up
from integrations.providers.stripe.sandbox.settings import API_VERSION, AccountSettings
from integrations.providers.stripe.sandbox.spoil import put

UPSTREAM_KEY = "sk_test_sandbox"
PLURALS = {
    "customers": "customer",
    "invoices": "invoice",
    "payment_intents": "payment_intent",
    "charges": "charge",
    "refunds": "refund",
}
SINGULARS = {one: many for many, one in PLURALS.items()}
PREFIXES = {
    "cus_": "customer",
    "in_": "invoice",
    "pi_": "payment_intent",
    "ch_": "charge",
    "re_": "refund",
}
TIMES = frozenset({"created", "date", "start", "end", "paid_at", "voided_at", "finalized_at"})
ALPHABET = string.ascii_letters + string.digits

Form = Sequence[tuple[str, str]]


class StripeError(Exception):
    """An error as the API words it."""

    def __init__(self, status: int, message: str, kind: str = "invalid_request_error", **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error: JSON = {"message": message, "type": kind, **fields}

    @property
    def body(self) -> JSON:
        """The document to answer with."""
        return {"error": self.error}


class Book(BaseModel):
    """What the proxy keeps of one account, across restarts."""

    #: object -> id -> second of creation, oldest first; deleted ones stay, as places in the order
    ids: dict[str, dict[str, int]] = Field(default_factory=dict)
    notes: dict[str, JSON] = Field(default_factory=dict)
    #: id -> dotted path -> value: changes that no event tells of
    altered: dict[str, JSON] = Field(default_factory=dict)
    deleted: dict[str, str] = Field(default_factory=dict)
    events: dict[str, JSON] = Field(default_factory=dict)
    last_native: str = ""


def new_id(prefix: str, length: int = 24) -> str:
    """An id that looks like Stripe's."""
    return prefix + "".join(random.choices(ALPHABET, k=length))  # noqa: S311


def shifted(value: Any, seconds: int) -> Any:
    """A copy of localstripe's document with its times moved."""
    if isinstance(value, list):
        return [shifted(entry, seconds) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        key: entry + seconds if key in TIMES and isinstance(entry, int) else shifted(entry, seconds)
        for key, entry in value.items()
    }


class Account:
    """One account behind the proxy. `heard` is called with each new event."""

    def __init__(self, settings: AccountSettings, path: Path, heard: Callable[[JSON], None], most_events: int) -> None:
        self.settings = settings
        self.name = settings.name
        self.keys = list(settings.keys)
        self.targets = list(settings.targets)
        #: its history is complete; until then only the driver is served
        self.ready = asyncio.Event()
        self.lock = asyncio.Lock()  # one change at a time, so that events keep their order
        self.book = Book()
        #: the business clock during a backfill, None: now
        self.clock: int | None = None
        self._path = path
        self._heard = heard
        self._most_events = most_events
        self._url = ""
        self._read = False
        self._open_session: aiohttp.ClientSession | None = None

    async def open(self, url: str) -> None:
        """Connect to the account's localstripe and read the book."""
        self._url = url
        self._open_session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {UPSTREAM_KEY}"},
            timeout=aiohttp.ClientTimeout(total=60),
        )
        with contextlib.suppress(FileNotFoundError, ValueError):
            self.book = Book.model_validate_json(await asyncio.to_thread(self._path.read_bytes))
        self._read = True
        await self._find_lost()
        for native in await self.natives():  # what happened after the book was saved last
            self.publish_native(native)

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._open_session is None:
            raise RuntimeError("the account is not open")
        return self._open_session

    async def close(self) -> None:
        """Save the book and disconnect; a book that was never read is not written."""
        if self._open_session is None:
            return
        await self._open_session.close()
        if self._read:
            self.save()

    def save(self) -> None:
        """Write the book, whole or not at all."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(self.book.model_dump_json())
        fresh.replace(self._path)

    async def _find_lost(self) -> None:
        """Learn the objects that exist without being in the book.

        A book that is behind learns most of them by their events; refunds have none.
        """
        limit = "100" if self.book.ids else "1000000"
        for many, one in PLURALS.items():
            if self.book.ids and one != "refund":
                continue
            status, found = await self.call("GET", f"/v1/{many}", [("limit", limit)])
            entries = found["data"] if status == 200 else []
            for raw in sorted(entries, key=lambda entry: int(entry["created"])):
                self.register(one, raw["id"], raw["created"])

    # -- localstripe

    async def call(self, method: str, path: str, form: Form = ()) -> tuple[int, JSON]:
        """One request to localstripe. Raises `StripeError` when it does not answer."""
        url = self._url + path
        pairs = list(form)
        query = pairs if method == "GET" else None
        data = None if method == "GET" else pairs
        try:
            async with self._session.request(method, url, params=query, data=data) as answer:
                if answer.status == 200 and path.startswith("/_config/"):
                    return 200, {}  # it answers nothing at all
                if answer.content_type != "application/json":
                    raise StripeError(500, "An unknown error occurred", "api_error")
                found: JSON = await answer.json()
                return answer.status, found
        except (aiohttp.ClientError, TimeoutError) as error:
            raise StripeError(500, "An unknown error occurred", "api_error") from error

    async def raw(self, one: str, found_id: str) -> JSON | None:
        """localstripe's object, its times moved to where the business clock had them."""
        status, found = await self.call("GET", f"/v1/{SINGULARS[one]}/{found_id}")
        if status == 404:
            return None
        if status != 200:
            raise StripeError(500, "An unknown error occurred", "api_error")
        return self._on_clock(found)

    def _on_clock(self, raw: JSON) -> JSON:
        shift = self.book.notes.get(raw.get("id", ""), {}).get("shift", 0)
        return shifted(raw, shift) if shift else raw

    # -- reading

    def now(self) -> int:
        """The business clock: now, or the backfill's time."""
        return int(time.time()) if self.clock is None else self.clock

    def notes(self, found_id: str) -> JSON:
        """What the proxy knows of an object beyond localstripe; to be changed in place."""
        return self.book.notes.setdefault(found_id, {})

    def shaped(self, one: str, raw: JSON) -> JSON:
        """Stripe's object: shape, own fields, and what was altered in silence."""
        found = shape.SHAPES[one](raw, self.book.notes.get(raw["id"], {}))
        for path, value in self.book.altered.get(raw["id"], {}).items():
            put(found, path, value)
        return found

    async def present(self, one: str, found_id: str) -> JSON | None:
        """The object as it stands, a deleted customer's tombstone, or None."""
        if found_id in self.book.deleted:
            return {"id": found_id, "object": one, "deleted": True} if one == "customer" else None
        raw = await self.raw(one, found_id)
        return None if raw is None else self.shaped(one, raw)

    async def need(self, one: str, found_id: str) -> JSON:
        """As `raw`, but a missing or deleted object raises Stripe's 404."""
        raw = None if found_id in self.book.deleted else await self.raw(one, found_id)
        if raw is None:
            raise missing(one, found_id)
        return raw

    async def payments(self, invoice_id: str) -> list[JSON]:
        """The invoice payments of an invoice: at most one here."""
        raw = await self.raw("invoice", invoice_id)
        if raw is None or not raw["payment_intent"]:
            return []
        return [shape.invoice_payment(raw, self.book.notes.get(invoice_id, {}))]

    async def newest(self, one: str, ids: Iterable[str]) -> AsyncIterator[JSON]:
        """The objects with these ids, in their order, without the deleted ones."""
        wanted = [found_id for found_id in ids if found_id not in self.book.deleted]
        for start in range(0, len(wanted), 20):
            part = wanted[start : start + 20]
            for found in await asyncio.gather(*(self.present(one, found_id) for found_id in part)):
                if found is not None:
                    yield found

    async def expand(self, node: Any, steps: list[str]) -> None:
        """Replace ids by their objects along a path such as `data.latest_charge`."""
        if isinstance(node, list):
            for entry in node:
                await self.expand(entry, steps)
        if not isinstance(node, dict) or not steps:
            return
        step, rest = steps[0], steps[1:]
        if step == "payments" and node.get("object") == "invoice":
            url = f"/v1/invoice_payments?invoice={node['id']}"
            data = await self.payments(node["id"])
            node[step] = {"object": "list", "data": data, "has_more": False, "url": url}
        elif isinstance(node.get(step), str):
            one = PREFIXES.get(node[step].partition("_")[0] + "_")
            node[step] = (one and await self.present(one, node[step])) or node[step]
        await self.expand(node.get(step), rest)

    # -- writing

    def register(self, one: str, found_id: str, created: int) -> None:
        """Give a new object its place in the order."""
        known = self.book.ids.setdefault(one, {})
        if found_id in known:
            return
        if self.clock is not None:
            self.notes(found_id)["shift"] = self.clock - created
            created = self.clock
        known[found_id] = created

    async def natives(self) -> list[JSON]:
        """The events that localstripe made since the last call, oldest first."""
        fresh: list[JSON] = []
        while True:
            last = self.book.last_native
            form = [("limit", "100"), *([("starting_after", last)] if last else [])]
            status, found = await self.call("GET", "/v1/events", form)
            if status != 200 or not found["data"]:
                return fresh
            fresh += [entry for entry in found["data"] if entry["id"] not in self.book.events]
            self.book.last_native = found["data"][-1]["id"]
            if not found["has_more"] or last == self.book.last_native:
                return fresh

    def publish_native(self, native: JSON, request: str | None = None) -> JSON:
        """Publish an event of localstripe, its snapshot in Stripe's shape."""
        raw = native["data"]["object"]
        one = raw.get("object", "")
        if one in SINGULARS:
            self.register(one, raw["id"], raw["created"])
        raw = self._on_clock(raw)
        obj = self.shaped(one, raw) if one in shape.SHAPES else raw
        return self.publish(native["type"], obj, request=request, event_id=native["id"])

    def publish(self, kind: str, obj: JSON, *, request: str | None = None, event_id: str = "") -> JSON:
        """Write an event into the log and let the webhooks know."""
        found = {
            "id": event_id or new_id("evt_"),
            "type": kind,
            "created": self.now(),
            "obj": obj,
        }
        document = shape.event(found, API_VERSION, request, len(self.targets))
        event: JSON = json.loads(json.dumps(document))  # a snapshot: nobody changes it afterwards
        self.book.events[event["id"]] = event
        while len(self.book.events) > self._most_events:
            del self.book.events[next(iter(self.book.events))]
        self._heard(event)
        return event

    async def alter(self, one: str, found_id: str, fields: JSON) -> JSON | None:
        """Change an object in silence: no event tells of it, only reading it shows it."""
        await self.need(one, found_id)
        self.book.altered.setdefault(found_id, {}).update(fields)
        return await self.present(one, found_id)

    async def empty(self) -> None:
        """Forget everything, as a new account."""
        await self.call("DELETE", "/_config/data")
        self.book = Book()


def missing(one: str, found_id: str) -> StripeError:
    """Stripe's answer for an object that does not exist."""
    name = one.replace("_", "") if one == "payment_intent" else one.replace("_", " ")
    return StripeError(404, f"No such {name}: '{found_id}'", code="resource_missing", param="id")


def matches(obj: JSON, filters: JSON) -> bool:
    """Whether the object has these values."""
    return all(look_up(obj, path) == value for path, value in filters.items())
