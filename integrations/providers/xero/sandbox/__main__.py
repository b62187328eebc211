"""`python -m integrations.providers.xero.sandbox --port N`: a Xero on 127.0.0.1."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from integrations.providers.xero.sandbox import keeping
from integrations.providers.xero.sandbox.listen import Listener
from integrations.providers.xero.sandbox.server import Sandbox

DEFAULT_PORT = 8421
KEEP_SECONDS = 5.0


def say(line: str) -> None:
    """One line for whoever started us."""
    print(line, flush=True)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; ends the process when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m integrations.providers.xero.sandbox")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0: a free one")
    parser.add_argument("--tenant", action="append", default=[], help="an organisation's name, once or more often")
    parser.add_argument("--demo", type=Path, help="what the demo asks for, see `keeping.arrange`")
    parser.add_argument("--keep", type=Path, help="a file that outlives the process: its books and tokens")
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
    listener = Listener(options.tenant or ([] if options.demo else ["Northwind Books"]), options.port)
    if options.keep:
        keeping.load(listener.sandbox, options.keep)
    if options.demo:
        keeping.arrange(listener.sandbox, options.demo)
    await listener.start()
    say(f"ready {listener.url}")
    await _until(stop, listener.sandbox, options.keep)
    await listener.stop()
    return 0


async def _until(stop: asyncio.Event, sandbox: Sandbox, path: Path | None) -> None:
    """Wait for the end; what has changed is kept every few seconds, and at the end."""
    requests = -1
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), KEEP_SECONDS if path else None)
        if path and requests != sandbox.effects.requests:
            requests = sandbox.effects.requests
            keeping.save(sandbox, path)


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
