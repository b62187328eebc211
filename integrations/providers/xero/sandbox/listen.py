"""Listening on 127.0.0.1: the control plane and the API behind one port."""

import asyncio
from typing import Any

from aiohttp import web

from integrations.providers.xero.sandbox.control import PREFIX, Control
from integrations.providers.xero.sandbox.server import LARGEST_BODY, Sandbox


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: "asyncio.Task[None]") -> web.BaseRequest:
    """A request whose body may be as large as Xero takes it."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=LARGEST_BODY)


class Listener:
    """The sandbox with its socket. Port 0: a free one."""

    def __init__(self, tenants: list[str], port: int) -> None:
        self.sandbox = Sandbox(tenants)
        self._control = Control(self.sandbox)
        self._port = port
        self._runner = web.ServerRunner(web.Server(self._handle, request_factory=_request, access_log=None))

    @property
    def url(self) -> str:
        """Its address."""
        return self.sandbox.url

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith(PREFIX):
            return await self._control.handle(request)
        return await self.sandbox.handle(request)

    async def start(self) -> None:
        """Listen. Raises `OSError` for a taken port."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self.sandbox.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Answer no more."""
        await self._runner.cleanup()
        await self.sandbox.courier.stop()
