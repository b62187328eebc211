"""One port of 127.0.0.1: who asks, within which limits, under which weather, and then the answer."""

import asyncio
import hashlib
import time
import uuid
from collections import deque
from email.utils import formatdate
from urllib.parse import parse_qsl

from aiohttp import web

from integrations.providers.xero.sandbox import limits, oauth, reads, replays, writes
from integrations.providers.xero.sandbox.clock import Clock
from integrations.providers.xero.sandbox.effects import Effects
from integrations.providers.xero.sandbox.faults import INSTEAD, Kind, Rule, Weather
from integrations.providers.xero.sandbox.formats import JSON, dumps
from integrations.providers.xero.sandbox.refusals import Refused, forbidden, not_found, unauthorized
from integrations.providers.xero.sandbox.replays import Answer, Replays
from integrations.providers.xero.sandbox.store import Books, Unit, new_id
from integrations.providers.xero.sandbox.webhooks import Courier

API = "/api.xro/2.0/"
LOG_LENGTH = 2000
#: https://developer.xero.com/documentation/guides/oauth2/limits says 3.5 MB for a POST
LARGEST_BODY = 3_500_000


class Cut(Exception):
    """The connection ends without an answer."""


def tenant_of(name: str) -> str:
    """The id of an organisation, always the same for its name."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"xero sandbox organisation {name}"))


class Sandbox:
    """Everything behind the port."""

    def __init__(self, names: list[str]) -> None:
        self.clock = Clock()
        self.tokens = oauth.Tokens(self.clock.now())
        self.limits = limits.Limits()
        self.effects = Effects()
        self.weather = Weather()
        self.courier = Courier()
        self.tenants: dict[str, Books] = {}
        self.replays: dict[str, Replays] = {}
        self.log: deque[JSON] = deque(maxlen=LOG_LENGTH)
        self.url = ""
        for name in names:
            self.add_tenant(name)

    def add_tenant(self, name: str) -> Books:
        """One more organisation, empty; the one of that name where there is one."""
        if (found := self.tenants.get(tenant_of(name))) is not None:
            return found
        books = Books(name, tenant_of(name), "EUR", self.clock)
        self.tenants[books.tenant_id] = books
        self.replays[books.tenant_id] = Replays()
        return books

    def empty(self) -> None:
        """Forget what was written, asked and planned; tenants, tokens, clock and limits stay."""
        for books in self.tenants.values():
            books.open()
            self.replays[books.tenant_id] = Replays()
        self.effects.reset()
        self.courier.clear()
        self.limits.reset()
        self.log.clear()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, or cut its connection."""
        line = f"{request.method} {request.path}"
        rule = self.weather.strike(line)
        if rule is not None:
            self.effects.struck[rule.kind] += 1
        try:
            answer = await self._under(rule, request)
        except Refused as error:
            answer = Answer(error.status, error.body, error.headers, error.kind)
        except (Cut, ConnectionError):  # the caller may have gone before its request was here
            answer = Answer(0, b"", {})
        self._note(request, line, rule, answer)
        if answer.status == 0:
            return hang_up(request)
        headers = {
            "Xero-Correlation-Id": new_id(),
            "Date": formatdate(time.time() + self.clock.skew, usegmt=True),
            "Content-Type": f"{answer.kind}; charset=utf-8",
            **answer.headers,
        }
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    def _note(self, request: web.BaseRequest, line: str, rule: Rule | None, answer: Answer) -> None:
        if request.path.startswith(API):
            self.effects.requests += 1
            self.effects.statuses[answer.status] += 1
            if answer.status == 429:
                mine = rule is not None and rule.kind in INSTEAD
                self.effects.throttled["fault" if mine else answer.headers["X-Rate-Limit-Problem"]] += 1
        entry: JSON = {"line": line, "status": answer.status, "at": time.time()}
        if key := request.headers.get("Idempotency-Key"):
            entry["key"] = key
        if body := request.get("body"):
            entry["sha256"] = hashlib.sha256(body).hexdigest()
        if rule is not None:
            entry["fault"] = rule.kind
        self.log.append(entry)

    async def _under(self, rule: Rule | None, request: web.BaseRequest) -> Answer:
        """The answer, with the weather before and after it is made."""
        body = request["body"] = await request.read()
        if request.path == "/connect/token":
            return await self._weathered(rule, request, "", body)
        self.tokens.check(request.headers.get("Authorization", ""), self.clock.now())
        if not request.path.startswith(API):
            return await self._weathered(rule, request, "", body)
        tenant = request.headers.get("Xero-Tenant-Id", "").lower()
        if tenant not in self.tenants:
            raise forbidden()
        try:
            self.limits.enter(tenant, self.clock.paced())
        except Refused as error:
            error.headers.update(self.limits.headers(tenant, self.clock.paced()))
            raise
        try:
            answer = await self._weathered(rule, request, tenant, body)
        except Refused as error:
            answer = Answer(error.status, error.body, error.headers, error.kind)
        finally:
            self.limits.leave(tenant)
        answer.headers = {**answer.headers, **self.limits.headers(tenant, self.clock.paced())}
        return answer

    async def _weathered(self, rule: Rule | None, request: web.BaseRequest, tenant: str, body: bytes) -> Answer:
        if rule is None:
            return self._perform(request, tenant, body)
        if rule.kind in (Kind.DELAY, Kind.TIMEOUT):
            await linger(request, rule.seconds)
        if rule.kind in INSTEAD:
            raise failure(rule)
        answer = self._perform(request, tenant, body)
        if rule.kind is Kind.TIMEOUT_AFTER:
            await linger(request, rule.seconds)
        if rule.kind in (Kind.CUT_AFTER, Kind.TIMEOUT_AFTER):
            raise Cut
        if rule.kind is Kind.ERROR_AFTER:
            raise failure(rule)
        if rule.kind is Kind.MALFORMED:
            return Answer(answer.status, answer.body[: len(answer.body) // 2], answer.headers, answer.kind)
        return answer

    def _perform(self, request: web.BaseRequest, tenant: str, body: bytes) -> Answer:
        """What was asked for, at once: nothing else happens in between."""
        if request.path == "/connect/token":
            form = dict(parse_qsl(body.decode(errors="replace")))
            found = self.tokens.exchange(request.headers.get("Authorization", ""), form, self.clock.now())
            return Answer(200, dumps(found), {"Cache-Control": "no-store"})
        if not tenant:
            return self._connections(request)
        books = self.tenants[tenant]
        if request.method == "GET":
            return Answer(200, self._envelope(self._read(request, books)), {})
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return self._write(request, books, body, key)
        mark = replays.fingerprint(request.method, request.path_qs, body)
        saved = self.replays[tenant].find(key, mark, self.clock.now())
        if saved is not None:
            self.effects.replays += 1
            return Answer(saved.status, saved.body, saved.headers, saved.kind)
        try:
            answer = self._write(request, books, body, key)
        except Refused as error:
            answer = Answer(error.status, error.body, error.headers, error.kind)
        self.replays[tenant].keep(key, mark, answer, self.clock.now())
        return answer

    def _connections(self, request: web.BaseRequest) -> Answer:
        path = request.path.rstrip("/").lower()
        if request.method == "GET" and path == "/connections":
            return Answer(200, dumps([connection(books) for books in self.tenants.values()]), {})
        for books in self.tenants.values():
            if request.method == "DELETE" and path == f"/connections/{books.connection_id}":
                del self.tenants[books.tenant_id]
                return Answer(204, b"", {})
        raise not_found()

    def _read(self, request: web.BaseRequest, books: Books) -> JSON:
        resource, word, more = split(request.path)
        if more:
            raise not_found()
        if resource == "Organisation" and not word:
            return reads.organisation(books)
        if resource == "Accounts":
            return reads.accounts(word)
        shelf = books.shelves.get(resource)
        if shelf is None:
            raise not_found()
        if word:
            return reads.read_one(books, shelf, word)
        return reads.read_list(books, shelf, request.query, request.headers.get("If-Modified-Since", ""))

    def _write(self, request: web.BaseRequest, books: Books, body: bytes, key: str) -> Answer:
        resource, word, more = split(request.path)
        shelf = books.shelves.get(resource)
        creates = request.method == "PUT"
        if creates and resource == "CreditNotes" and more == "Allocations":
            found, units = writes.allocate(books, word, body, key)
        elif shelf is None or more or (creates and word) or request.method not in ("PUT", "POST"):
            raise not_found()
        else:
            summarize = request.query.get("summarizeErrors", "true").lower() != "false"
            found, units = writes.Writing(books, shelf, creates, word, key, summarize).perform(body)
        for unit in units:
            self.keep(books, unit)
        return Answer(200, self._envelope(found), {})

    def keep(self, books: Books, unit: Unit) -> None:
        """A unit stays: count its effects, and tell of its events."""
        self.effects.log.extend(unit.effects)
        self.courier.hear(books, unit, self.url)

    def _envelope(self, found: JSON) -> bytes:
        head = {"Id": new_id(), "Status": "OK", "ProviderName": "Sandbox", "DateTimeUTC": self.clock.stamp()}
        return dumps({**head, **found})


def split(path: str) -> tuple[str, str, str]:
    """The resource, the id or number, and what follows, of a path of the Accounting API."""
    resource, _, rest = path.removeprefix(API).rstrip("/").partition("/")
    word, _, more = rest.partition("/")
    return resource, word, more


def connection(books: Books) -> JSON:
    """A tenant as `/connections` lists it."""
    at = books.connected_at.strftime("%Y-%m-%dT%H:%M:%S.%f0")
    return {
        "id": books.connection_id,
        "authEventId": books.connection_id,
        "tenantId": books.tenant_id,
        "tenantType": "ORGANISATION",
        "tenantName": books.name,
        "createdDateUtc": at,
        "updatedDateUtc": at,
    }


def failure(rule: Rule) -> Exception:
    """What a rule answers with instead."""
    if rule.kind in (Kind.CUT, Kind.TIMEOUT):
        return Cut()
    if rule.kind is Kind.UNAUTHORIZED:
        return unauthorized("TokenExpired: token expired")
    headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
    if rule.kind is Kind.RATE_LIMIT:
        return Refused(429, b"", {"X-Rate-Limit-Problem": rule.problem, **headers}, kind="text/plain")
    kind = "application/json" if rule.body.startswith(("{", "[")) else "text/html"
    return Refused(rule.status, (rule.body or "The service is unavailable.").encode(), headers, kind=kind)


async def linger(request: web.BaseRequest, seconds: float) -> None:
    """Wait, at most until the caller gives up."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if request.transport is None or request.transport.is_closing():
            return
        await asyncio.sleep(min(left, 0.1))


def hang_up(request: web.BaseRequest) -> web.StreamResponse:
    """Close the connection without an answer, as a broken line does."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
