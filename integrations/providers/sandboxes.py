"""What the providers' sandboxes have in common for a test: a real process on a port, and its control plane."""

import contextlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STOP_TIMEOUT = 10.0


class Controlled:
    """A running sandbox, seen from a test. `url` is what a connection is pointed at."""

    #: The path below which the sandbox is told what to do.
    plane = ""

    def __init__(self, url: str) -> None:
        self.url = url

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """One request to the control plane. Raises `RuntimeError` with its refusal."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{self.url}/{self.plane}/{path}", data=data, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from error

    def struck(self) -> list[int]:
        """How often each rule has struck."""
        return [rule["struck"] for rule in self.control("GET", "faults")["rules"]]


@contextlib.contextmanager
def running(module: str, *arguments: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Run the sandbox that is a module until the block ends; yields its address, which it says once it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env={**environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("ready "):
            raise RuntimeError(line or "the sandbox ended before it was ready")
        yield line.split()[1]
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
