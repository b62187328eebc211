"""`python -m integrations.providers.xero.sandbox --port N`: a Xero on 127.0.0.1."""

import argparse
import asyncio
import os
import signal
import sys

from integrations.providers.xero.sandbox.listen import Listener

DEFAULT_PORT = 8421


def say(line: str) -> None:
    """One line for whoever started us."""
    print(line, flush=True)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; ends the process when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m integrations.providers.xero.sandbox")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0: a free one")
    parser.add_argument("--tenant", action="append", default=[], help="an organisation's name, once or more often")
    parser.add_argument("--parent-pipe", action="store_true", help="end when standard input closes")
    return parser.parse_args(arguments)


async def run(options: argparse.Namespace) -> int:
    """Run until told to stop; returns the exit status."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if options.parent_pipe:
        loop.add_reader(0, _on_parent, stop)
    listener = Listener(options.tenant or ["Northwind Books"], options.port)
    await listener.start()
    say(f"ready {listener.url}")
    await stop.wait()
    await listener.stop()
    return 0


def _on_parent(stop: asyncio.Event) -> None:
    if not os.read(0, 1024):
        stop.set()
        asyncio.get_running_loop().remove_reader(0)


def main() -> int:
    """Run, and say in one line what is wrong."""
    try:
        return asyncio.run(run(parse(sys.argv[1:])))
    except (OSError, OverflowError) as error:
        say(f"The Xero sandbox cannot start: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
