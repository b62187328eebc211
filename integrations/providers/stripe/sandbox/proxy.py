"""The fault proxy: one port of 127.0.0.1 in front of a localstripe per account."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from integrations.providers.stripe.sandbox.account import Account, StripeError
from integrations.providers.stripe.sandbox.api import CALM, Api
from integrations.providers.stripe.sandbox.control import Control
from integrations.providers.stripe.sandbox.delivery import Courier
from integrations.providers.stripe.sandbox.faults import JSON, Weather
from integrations.providers.stripe.sandbox.payments import settle_refund
from integrations.providers.stripe.sandbox.replays import Replays
from integrations.providers.stripe.sandbox.server import LocalStripe
from integrations.providers.stripe.sandbox.settings import AccountSettings, Settings
from integrations.providers.stripe.sandbox.spoil import dumps

log = logging.getLogger(__name__)

LOG_LENGTH = 2000
SAVE_EVERY = 20.0
INTAKE_SECRET = "whsec_between_localstripe_and_the_proxy"  # noqa: S105 - both ends are ours

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refusals() -> Middleware:
    """Errors of the control plane as JSON, and no web page as caller."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if "Origin" in request.headers:
            return web.json_response({"error": {"message": "not for web pages"}}, status=403)
        try:
            return await handler(request)
        except StripeError as error:
            return web.Response(status=error.status, body=dumps(error.body), content_type="application/json")

    return middleware


class Proxy:
    """Everything behind the port."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self.weather = Weather(settings.first_faults())
        self.servers: dict[str, LocalStripe] = {}
        self.couriers: dict[str, Courier] = {}
        self.accounts: list[Account] = []
        for account in settings.accounts:
            self._add(account)
        self.api = Api(self.accounts, self.weather, self.log)
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def _add(self, settings: AccountSettings) -> None:
        folder = self.settings.folder / settings.name
        path = folder / "book.json"
        account = Account(settings, path, lambda event: self._hear(account, event), self.settings.most_events)
        self.accounts.append(account)
        self.servers[settings.name] = LocalStripe(folder)
        self.couriers[settings.name] = Courier(
            account, self.weather, self.settings.retries, self.settings.parallel_webhooks, self.log
        )

    def _hear(self, account: Account, event: JSON) -> None:
        self.couriers[account.name].hear(event)
        obj = event["data"]["object"]
        if event["type"] == "refund.created" and obj["status"] == "pending":
            self._background(self._settle(account, obj["id"]))

    async def _settle(self, account: Account, refund_id: str) -> None:
        await asyncio.sleep(self.settings.refund_settles_after)
        await settle_refund(account, refund_id)

    def _background(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- life

    async def start(self) -> None:
        """Start every localstripe and listen. Raises `OSError` for a taken port, `RuntimeError`."""
        app = web.Application(client_max_size=4 * 1024 * 1024, middlewares=[refusals()])
        app.add_routes(Control(self).routes())
        app.router.add_route("*", "/v1/{path:.*}", self.api)
        app.router.add_route("*", CALM + "/v1/{path:.*}", self.api)
        logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.settings.port).start()
        self.port = self._runner.addresses[0][1]
        await asyncio.gather(*(self._open(account) for account in self.accounts))
        self._background(self._save_often())

    async def _open(self, account: Account) -> None:
        server = self.servers[account.name]
        await server.start()
        await account.open(server.url)
        form = [("url", f"{self.url}/_proxy/intake/{account.name}"), ("secret", INTAKE_SECRET)]
        await account.call("POST", "/_config/webhooks/proxy", form)
        self.couriers[account.name].start()
        if account.settings.drive is None:
            self.couriers[account.name].live = True
            account.ready.set()
        for found_id, notes in account.book.notes.items():
            if found_id.startswith("re_") and notes.get("status") == "pending":
                self._background(self._settle(account, found_id))

    @property
    def url(self) -> str:
        """The proxy's address."""
        return f"http://127.0.0.1:{self.port}"

    async def _save_often(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY)
            for account in self.accounts:
                try:
                    account.save()
                except OSError as error:
                    log.warning("the book of %s cannot be saved: %s", account.name, error)

    async def stop(self) -> None:
        """Stop listening, save, and end every localstripe."""
        for task in list(self._tasks):
            task.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
        for courier in self.couriers.values():
            await courier.stop()
        for account in self.accounts:
            with contextlib.suppress(OSError):
                await account.close()
        await asyncio.gather(*(server.stop() for server in self.servers.values()))

    async def server_ended(self) -> str:
        """Wait until a localstripe ends by itself; returns whose."""
        waits = {asyncio.create_task(server.ended()): name for name, server in self.servers.items()}
        done, rest = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        return waits[done.pop()]

    # -- what the control plane asks for

    async def empty(self, account: Account) -> None:
        """Forget an account's objects, events, keys' answers and deliveries."""
        self.couriers[account.name].clear()
        self.api.replays[account.name] = Replays()
        async with account.lock:
            await account.empty()

    def state(self) -> JSON:
        """What is going on, by account."""
        return {
            account.name: {
                "live": self.couriers[account.name].live,
                "pending": self.couriers[account.name].pending,
                "targets": [target.url for target in account.targets],
                "events": len(account.book.events),
                "objects": {one: len(ids) for one, ids in account.book.ids.items()},
            }
            for account in self.accounts
        }
