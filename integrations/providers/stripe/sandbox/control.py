"""The control plane under `/_proxy/`: faults, secrets, targets, silent changes, the log.

It has no sign-in: the sandbox listens on 127.0.0.1 only, and refuses what comes from a web page.
"""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from integrations.providers.stripe.sandbox.account import PLURALS, Account, StripeError
from integrations.providers.stripe.sandbox.calls import publish_with_companions
from integrations.providers.stripe.sandbox.faults import Faults, Rule
from integrations.providers.stripe.sandbox.settings import Target

if TYPE_CHECKING:
    from integrations.providers.stripe.sandbox.proxy import Proxy

B = TypeVar("B", bound=BaseModel)


class Body(BaseModel):
    """A request to the control plane. `account` may be left out where there is one only."""

    model_config = ConfigDict(extra="forbid")

    account: str = ""


class SecretsBody(Body):
    """The signing secrets of a target, of all targets where `url` is left out."""

    secrets: list[str] = Field(min_length=1)
    url: str = ""


class TargetBody(Body):
    """The account's only target; none where `url` is left out."""

    url: str = ""
    secrets: list[str] = Field(default_factory=list)


class KeysBody(Body):
    """The API keys that open the account."""

    keys: list[str] = Field(min_length=1)


class ClockBody(Body):
    """The business clock, in seconds; none: now."""

    now: int | None = None


class AlterBody(Body):
    """A silent change: dotted path to value. With `event`, it is not silent."""

    fields: dict[str, Any]
    event: str = ""


class Control:
    """Handlers of the control plane."""

    def __init__(self, proxy: "Proxy") -> None:
        self._proxy = proxy

    def routes(self) -> list[web.RouteDef]:
        """Every path of the control plane."""
        return [
            web.get("/_proxy/state", self.state),
            web.get("/_proxy/faults", self.faults),
            web.put("/_proxy/faults", self.replace_faults),
            web.post("/_proxy/faults", self.add_fault),
            web.delete("/_proxy/faults", self.calm),
            web.post("/_proxy/secret", self.secrets),
            web.put("/_proxy/target", self.target),
            web.put("/_proxy/keys", self.keys),
            web.put("/_proxy/clock", self.clock),
            web.post("/_proxy/objects/{many}/{id}", self.alter),
            web.delete("/_proxy/objects/{many}/{id}", self.lose),
            web.post("/_proxy/redeliver/{event}", self.redeliver),
            web.get("/_proxy/log", self.log),
            web.delete("/_proxy/data", self.empty),
            web.post("/_proxy/intake/{account}", self.intake),
        ]

    def _account(self, name: str) -> Account:
        accounts = self._proxy.accounts
        if not name and len(accounts) == 1:
            return accounts[0]
        for account in accounts:
            if account.name == name:
                return account
        raise StripeError(404, f"No such account: {name!r}")

    async def _body(self, request: web.Request, model: type[B]) -> B:
        try:
            return model.model_validate_json(await request.read())
        except ValidationError as error:
            raise StripeError(400, str(error)) from error

    async def state(self, request: web.Request) -> web.Response:
        """What is going on, by account; with `settled`, once no webhook is on its way.

        `settled` is the longest wait in seconds; `pending` tells whether it was long enough.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(request.query.get("settled", "0"))):
                for courier in self._proxy.couriers.values():
                    await courier.settled()
        return web.json_response({"accounts": self._proxy.state()})

    async def faults(self, _: web.Request) -> web.Response:
        """The rules, with how often each matched and struck."""
        return web.json_response(self._proxy.weather.state())

    async def replace_faults(self, request: web.Request) -> web.Response:
        """Other rules; counts begin anew."""
        self._proxy.weather.replace(await self._body(request, Faults))
        return await self.faults(request)

    async def add_fault(self, request: web.Request) -> web.Response:
        """One rule more; the others keep their counts."""
        self._proxy.weather.add(await self._body(request, Rule))
        return await self.faults(request)

    async def calm(self, request: web.Request) -> web.Response:
        """No faults."""
        self._proxy.weather.replace(Faults(seed=self._proxy.weather.faults.seed))
        return await self.faults(request)

    async def secrets(self, request: web.Request) -> web.Response:
        """Sign with these secrets from now on: several while a secret rotates."""
        body = await self._body(request, SecretsBody)
        for target in self._account(body.account).targets:
            if body.url in ("", target.url):
                target.secrets = body.secrets
        return web.json_response({"secrets": len(body.secrets)})

    async def target(self, request: web.Request) -> web.Response:
        """Send the account's webhooks there."""
        body = await self._body(request, TargetBody)
        account = self._account(body.account)
        try:
            account.targets = [Target(url=body.url, secrets=body.secrets)] if body.url else []
        except ValidationError as error:
            raise StripeError(400, str(error)) from error
        return web.json_response({"targets": [target.url for target in account.targets]})

    async def keys(self, request: web.Request) -> web.Response:
        """Open the account to these API keys only."""
        body = await self._body(request, KeysBody)
        self._account(body.account).keys = body.keys
        return web.json_response({"keys": len(body.keys)})

    async def clock(self, request: web.Request) -> web.Response:
        """Set the business clock, for objects that shall look older than they are."""
        body = await self._body(request, ClockBody)
        self._account(body.account).clock = body.now
        return web.json_response({"now": body.now})

    async def alter(self, request: web.Request) -> web.Response:
        """Change an object without a webhook, so that there is drift."""
        body = await self._body(request, AlterBody)
        account = self._account(body.account)
        one = self._one(request)
        async with account.lock:
            found = await account.alter(one, request.match_info["id"], body.fields)
            if found is not None and body.event:
                account.publish(body.event, found)
        return web.json_response(found)

    async def lose(self, request: web.Request) -> web.Response:
        """Delete an object without a webhook."""
        account = self._account(request.query.get("account", ""))
        await account.need(self._one(request), request.match_info["id"])
        account.book.deleted[request.match_info["id"]] = self._one(request)
        return web.json_response({"deleted": True})

    def _one(self, request: web.Request) -> str:
        many = request.match_info["many"]
        if many not in PLURALS:
            raise StripeError(404, f"No such resource: {many!r}, known are {', '.join(PLURALS)}")
        return PLURALS[many]

    async def redeliver(self, request: web.Request) -> web.Response:
        """Send an event of the log again, as it really is."""
        event_id = request.match_info["event"]
        for account in self._proxy.accounts:
            if event_id in account.book.events:
                courier = self._proxy.couriers[account.name]
                sent = courier.redeliver(account.book.events[event_id])
                return web.json_response({"targets": sent})
        raise StripeError(404, f"No such event: {event_id!r}")

    async def log(self, request: web.Request) -> web.Response:
        """What happened of late, oldest first; `limit` entries of `account` and `channel`."""
        entries = [
            entry
            for entry in self._proxy.log
            if entry["account"] == request.query.get("account", entry["account"])
            and entry["channel"] == request.query.get("channel", entry["channel"])
        ]
        limit = request.query.get("limit", "")
        return web.json_response(entries[-int(limit) :] if limit.isdigit() and limit != "0" else entries)

    async def empty(self, request: web.Request) -> web.Response:
        """Forget the objects, events and deliveries of one account, or of all."""
        name = request.query.get("account", "")
        for account in [self._account(name)] if name else self._proxy.accounts:
            await self._proxy.empty(account)
        return web.json_response({})

    async def intake(self, request: web.Request) -> web.Response:
        """localstripe's webhooks: what it did by itself, later, comes this way only."""
        account = self._account(request.match_info["account"])
        async with account.lock:
            for native in await account.natives():
                await publish_with_companions(account, native, None)
        return web.json_response({})
