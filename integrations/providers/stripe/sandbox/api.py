"""The API as we call it: whose key it is, the weather, idempotency, and then the answer."""

import asyncio
import base64
import binascii
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from integrations.providers.stripe.sandbox import reads
from integrations.providers.stripe.sandbox.account import Account, StripeError, new_id
from integrations.providers.stripe.sandbox.changes import change
from integrations.providers.stripe.sandbox.delivery import Log
from integrations.providers.stripe.sandbox.faults import BEFORE, BODY, Kind, Rule, Weather
from integrations.providers.stripe.sandbox.replays import Replays, Saved, fingerprint
from integrations.providers.stripe.sandbox.settings import API_VERSION
from integrations.providers.stripe.sandbox.spoil import dumps, spoil

#: the same API without weather, for the driver and for tests that prepare something
CALM = "/_calm"
LONGEST_HANG = 120.0
LATE = 5.0


class Cut(Exception):
    """The connection ends without an answer."""


@dataclass
class Answer:
    """What goes back: status, body, headers."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def key_of(request: web.Request) -> str:
    """The API key of a request, as bearer token or as user name. "" where there is none."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme == "Bearer":
        return value.strip()
    if scheme == "Basic":
        try:
            return base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def owner(accounts: Iterable[Account], key: str) -> Account:
    """The account that a key opens. Raises `StripeError` 401."""
    if not key:
        raise StripeError(
            401,
            "You did not provide an API key. You need to provide your API key in the Authorization "
            "header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        )
    for account in accounts:
        if key in account.keys:
            return account
    raise StripeError(401, f"Invalid API Key provided: {key[:8]}{'*' * 12}{key[-4:]}")


def failure(rule: Rule) -> Answer:
    """The answer of a provider that does not act."""
    if rule.kind is Kind.RATE_LIMIT:
        error = StripeError(rule.status or 429, "Request rate limit exceeded.", code="rate_limit")
        headers = {"Retry-After": str(rule.retry_after), "Stripe-Rate-Limited-Reason": "global-rate"}
        return Answer(error.status, dumps(error.body), headers)
    if rule.kind is Kind.UNAUTHORIZED:
        error = StripeError(401, "Expired API Key provided: sk_test_************", code="api_key_expired")
    elif rule.kind is Kind.FORBIDDEN:
        error = StripeError(403, "The provided key does not have the required permissions for this endpoint.")
    else:
        error = StripeError(
            rule.status or 500, "Sorry! There was an error while talking to one of our backends.", "api_error"
        )
    return Answer(error.status, dumps(error.body))


class Api:
    """The handler of `/v1/…`."""

    def __init__(self, accounts: list[Account], weather: Weather, log: Log) -> None:
        self._accounts = accounts
        self._weather = weather
        self._log = log
        self.replays = {account.name: Replays() for account in accounts}

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, or cut its connection."""
        calm = request.path.startswith(CALM)
        path = request.path.removeprefix(CALM).rstrip("/")
        request_id = new_id("req_", 14)
        rule: Rule | None = None
        name = ""
        try:
            account = owner(self._accounts, key_of(request))
            name = account.name
            if not calm:
                await account.ready.wait()
                rule = self._weather.strike_api(name, request.method, path)
            answer = await self._through(rule, request, account, path, request_id)
        except StripeError as error:
            answer = Answer(error.status, dumps(error.body))
        except Cut:
            answer = Answer(0, b"")
        if not calm:
            self._note(request.method, path, name, answer.status, rule, request_id)
        if answer.status == 0:
            return hang_up(request)
        headers = {
            "Request-Id": request_id,
            "Stripe-Version": request.headers.get("Stripe-Version", API_VERSION),
            "Server": "nginx",
            **answer.headers,
        }
        return web.Response(status=answer.status, body=answer.body, headers=headers, content_type="application/json")

    async def _through(
        self, rule: Rule | None, request: web.Request, account: Account, path: str, request_id: str
    ) -> Answer:
        """The answer, with the weather before and after the provider acts."""
        kind = rule.kind if rule else None
        if rule is not None and kind in BEFORE:
            if kind is Kind.TIMEOUT:
                await hang(request, rule)
            if kind in (Kind.TIMEOUT, Kind.CUT):
                raise Cut
            if kind is not Kind.SLOW:
                return failure(rule)
            await asyncio.sleep(LATE if rule.seconds is None else rule.seconds)
        answer = await self._perform(request, account, path, request_id)
        if rule is not None and kind is Kind.TIMEOUT_AFTER:
            await hang(request, rule)
        if kind in (Kind.TIMEOUT_AFTER, Kind.CUT_AFTER):
            raise Cut
        if rule is not None and kind in BODY and answer.status == 200:
            answer.body = spoil(json.loads(answer.body), rule)
        return answer

    async def _perform(self, request: web.Request, account: Account, path: str, request_id: str) -> Answer:
        if request.method == "GET":
            return Answer(200, dumps(await reads.read(account, path, list(request.query.items()))))
        form = parse_qsl((await request.read()).decode(errors="replace"), keep_blank_values=True)
        key = request.headers.get("Idempotency-Key", "") if request.method == "POST" else ""
        if not key:
            return await self._change(request.method, account, path, form, request_id)
        mark = fingerprint(request.method, path, form)
        replays = self.replays[account.name]
        if (saved := replays.find(key, mark)) is not None:
            return replayed(key, saved)
        replays.begin(key, mark, request_id)
        # the provider finishes what it began, also when the caller hangs up
        work = asyncio.create_task(self._keep(account, path, form, request_id, key))
        answer = await asyncio.shield(work)
        answer.headers["Idempotency-Key"] = key
        answer.headers["Original-Request"] = request_id
        return answer

    async def _keep(
        self, account: Account, path: str, form: list[tuple[str, str]], request_id: str, key: str
    ) -> Answer:
        answer = Answer(500, b"{}")
        try:
            answer = await self._change("POST", account, path, form, request_id)
        finally:
            self.replays[account.name].finish(key, answer.status, answer.body)
        return answer

    async def _change(
        self,
        method: str,
        account: Account,
        path: str,
        form: list[tuple[str, str]],
        request_id: str,
    ) -> Answer:
        expand = [value for name, value in form if name.startswith("expand[")]
        form = [(name, value) for name, value in form if not name.startswith("expand[")]
        try:
            status, found = await change(account, method, path, form, request_id)
            for wanted in expand:
                await account.expand(found, wanted.split("."))
        except StripeError as error:
            return Answer(error.status, dumps(error.body))
        return Answer(status, dumps(found))

    def _note(self, method: str, path: str, account: str, status: int, rule: Rule | None, request_id: str) -> None:
        entry: dict[str, Any] = {
            "at": time.time(),
            "channel": "api",
            "account": account,
            "request": request_id,
            "line": f"{method} {path}",
            "status": status,
        }
        if rule is not None:
            entry["fault"] = rule.kind
        self._log.append(entry)


def replayed(key: str, saved: Saved) -> Answer:
    """The first answer again."""
    headers = {
        "Idempotency-Key": key,
        "Idempotent-Replayed": "true",
        "Original-Request": saved.request,
    }
    return Answer(saved.status, saved.body, headers)


async def hang(request: web.Request, rule: Rule) -> None:
    """Wait until the caller gives up, at most the rule's seconds."""
    until = time.monotonic() + (LONGEST_HANG if rule.seconds is None else rule.seconds)
    while time.monotonic() < until:
        if request.transport is None or request.transport.is_closing():
            return
        await asyncio.sleep(0.1)


def hang_up(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer, as a broken line does."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
