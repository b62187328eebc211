"""localstripe as a child process: a stateful Stripe server that nobody here wrote.

It is GPL, so it runs as a program of its own and is never imported (see `child.py`).
"""

import asyncio
import contextlib
import sys
from pathlib import Path

START_TIMEOUT = 30.0
STOP_TIMEOUT = 5.0
CHILD = Path(__file__).with_name("child.py")


class LocalStripe:
    """One localstripe process: one Stripe account, on a free port of 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self._started: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process; returns when it accepts connections. Raises `RuntimeError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "localstripe.log").open("wb") as log:
            # isolated (-I): the folder of child.py must not come first in the child's import path
            self._started = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(CHILD),
                str(self.folder / "localstripe.state"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us, and we end it in order
            )
        try:
            self.url = f"http://127.0.0.1:{await self._announced_port()}"
            await self._accepts()
        except (TimeoutError, ValueError) as error:
            await self.stop()
            raise RuntimeError(f"localstripe did not start, see {log.name}") from error

    @property
    def _process(self) -> asyncio.subprocess.Process:
        if self._started is None:
            raise RuntimeError("localstripe was not started")
        return self._started

    async def _announced_port(self) -> int:
        output = self._process.stdout
        async with asyncio.timeout(START_TIMEOUT):
            while output is not None and (line := await output.readline()):
                if line.startswith(b"port "):
                    return int(line.split()[1])
        raise ValueError("it ended before it listened")

    async def _accepts(self) -> None:
        port = int(self.url.rpartition(":")[2])
        async with asyncio.timeout(START_TIMEOUT):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.02)  # bound, but not yet listening
                else:
                    writer.close()
                    return

    async def ended(self) -> int:
        """Wait until the process ends, whatever the reason; returns its exit status."""
        return await self._process.wait()

    async def stop(self) -> None:
        """End the process: its state is saved first, and after a few seconds it is killed."""
        if self._started is None or self._started.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
