"""`python -m integrations.providers.stripe.sandbox`: the demo's provider in one command.

Environment: `SANDBOX_CONFIG` (path of a JSON or TOML document, see `settings.Settings`),
`SANDBOX_PORT` (default 8420, 0: a free one), `DATA_DIR` (default `.data`),
`SANDBOX_PARENT_PIPE=1` (end when standard input closes).
"""

import asyncio
import logging
import os
import signal
import sys

from pydantic import ValidationError

from integrations.providers.stripe.sandbox.proxy import Proxy
from integrations.providers.stripe.sandbox.settings import Settings, load


def say(line: str) -> None:
    """One line for whoever started us."""
    print(line, flush=True)


async def run(settings: Settings) -> int:
    """Run until told to stop; returns the exit status."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if os.environ.get("SANDBOX_PARENT_PIPE"):
        loop.add_reader(0, _on_parent, stop)
    proxy = Proxy(settings)
    drivers = []
    try:
        await proxy.start()
        if any(account.settings.drive for account in proxy.accounts):
            # the SDK takes a while to import, and only a driver needs it
            from integrations.providers.stripe.sandbox.drive import Driver

            drivers = [
                Driver(account, proxy.couriers[account.name], proxy.url, proxy.weather.faults.seed)
                for account in proxy.accounts
                if account.settings.drive
            ]
        for driver in drivers:
            driver.start()
        return await _until_stopped(proxy, stop)
    finally:
        for driver in drivers:
            driver.stop()
        await proxy.stop()


def _on_parent(stop: asyncio.Event) -> None:
    if not os.read(0, 1024):
        stop.set()
        asyncio.get_running_loop().remove_reader(0)


async def _announce(proxy: Proxy) -> None:
    for account in proxy.accounts:
        await account.ready.wait()
    say(f"ready {proxy.url}")


async def _until_stopped(proxy: Proxy, stop: asyncio.Event) -> int:
    told = asyncio.create_task(stop.wait())
    ended = asyncio.create_task(proxy.server_ended())
    announced = asyncio.create_task(_announce(proxy))
    await asyncio.wait({told, ended}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    announced.cancel()
    if not ended.done():
        ended.cancel()
        return 0
    say(f"The demo provider stops: localstripe of {ended.result()} has ended, see its log.")
    return 1


def main() -> int:
    """Read the settings, run, and say in one line what is wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    try:
        settings = load(os.environ)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        say(f"The demo provider's configuration is wrong: {where}: {first['msg']}")
        return 2
    except (OSError, ValueError) as error:
        say(f"The demo provider's configuration cannot be read: {error}")
        return 2
    try:
        return asyncio.run(run(settings))
    except (OSError, RuntimeError) as error:
        say(f"The demo provider cannot start: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
