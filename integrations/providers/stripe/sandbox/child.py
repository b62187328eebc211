"""The program that runs localstripe in an interpreter of its own.

It is a script, never imported: `server.py` starts it as `python child.py <state file>`. localstripe
is run unchanged as a program (`python -m localstripe`); only the interpreter around it differs:
it listens on 127.0.0.1 instead of every interface, on a free port that is printed, its state file
is ours instead of one in the shared temporary folder, and it ends when its parent does.
"""

import atexit
import builtins
import contextlib
import io
import logging
import os
import pickle
import runpy
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHARED_STATE = "/tmp/localstripe.pickle"  # noqa: S108 - the name that is redirected away from there
SAVE_EVERY = 5.0
KEPT_EVENTS = 400

_open = builtins.open
_dump = pickle.dump
_load = pickle.load


class LoopbackSocket(socket.socket):
    """A socket whose wildcard address means 127.0.0.1."""

    def __init__(self, family: int = -1, *args: Any, **kwargs: Any) -> None:
        fresh = kwargs.get("fileno") is None and len(args) < 3
        wildcard = fresh and family == socket.AF_INET6
        super().__init__(socket.AF_INET if wildcard else family, *args, **kwargs)

    def bind(self, address: Any) -> None:
        if isinstance(address, tuple) and address[0] in ("", "::", "0.0.0.0"):  # noqa: S104
            super().bind(("127.0.0.1", address[1]))
            announce(self.getsockname()[1])
        else:
            super().bind(address)


def announce(port: int) -> None:
    """Tell the parent the port; nobody reads what is printed after that."""
    print(f"port {port}", flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class StateFile:
    """Saves the state every few seconds instead of at every change, and whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store: dict[str, Any] | None = None
        self.saved_at = time.monotonic()

    def open(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if file != SHARED_STATE:
            return _open(file, mode, *args, **kwargs)
        return io.BytesIO() if "w" in mode else _open(self.path, mode, *args, **kwargs)

    def dump(self, store: dict[str, Any], file: Any, *args: Any, **kwargs: Any) -> None:
        self.store = store
        if time.monotonic() - self.saved_at >= SAVE_EVERY:
            self.save()

    def load(self, file: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return _load(file, *args, **kwargs)
        except Exception as error:  # a damaged state file can raise anything
            self.path.replace(self.path.with_suffix(".damaged"))
            raise FileNotFoundError(self.path) from error

    def save(self) -> None:
        if self.store is None:
            return
        forget_old_events(self.store)
        fresh = self.path.with_suffix(".new")
        with _open(fresh, "wb") as file:
            _dump(self.store, file, protocol=pickle.HIGHEST_PROTOCOL)
        fresh.replace(self.path)
        self.saved_at = time.monotonic()


def forget_old_events(store: dict[str, Any]) -> None:
    """The proxy keeps the event log; here it would grow without end."""
    events = [key for key in store if key.startswith("event:")]
    for key in events[:-KEPT_EVENTS]:
        dict.pop(store, key)


def end_with_parent() -> None:
    """The parent holds the other end of our standard input, so its death closes it."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            os.read(0, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def main(state: Path) -> None:
    """Run localstripe until it is told to stop."""
    end_with_parent()
    kept = StateFile(state)
    replace: list[tuple[Any, str, Callable[..., Any]]] = [
        (socket, "socket", LoopbackSocket),
        (builtins, "open", kept.open),
        (pickle, "dump", kept.dump),
        (pickle, "load", kept.load),
    ]
    for owner, name, ours in replace:
        setattr(owner, name, ours)
    atexit.register(kept.save)
    logging.getLogger("aiohttp.access").addFilter(lambda _: False)
    sys.argv = ["localstripe", "--port", "0"]
    runpy.run_module("localstripe", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
