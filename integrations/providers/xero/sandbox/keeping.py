"""The demo's sandbox outlives a restart: its books and tokens lie in a file of its own folder."""

import contextlib
import json
import os
import pickle
from datetime import timedelta
from pathlib import Path

from integrations.providers.xero.sandbox.faults import Faults
from integrations.providers.xero.sandbox.formats import JSON
from integrations.providers.xero.sandbox.server import Sandbox
from integrations.providers.xero.sandbox.webhooks import Target


def arrange(sandbox: Sandbox, path: Path) -> None:
    """Take over what the demo asks for: organisations, the refresh token of a consent, where webhooks go, weather.

    `path` leads to JSON: `{"faults": {…}, "accounts": [{"name", "keys": [refresh token], "closed_days", "targets":
    [{"url", "secrets": [key]}]}]}`. What happened so many days ago lies in a closed period.
    """
    document: JSON = json.loads(path.read_text())
    sandbox.weather.replace(Faults.model_validate(document.get("faults", {})))
    for account in document["accounts"]:
        books = sandbox.add_tenant(account["name"])
        if books.locked_until is None and account.get("closed_days"):
            books.locked_until = sandbox.clock.stamp().date() - timedelta(days=account["closed_days"])
        for token in account["keys"]:
            sandbox.tokens.admit(token, sandbox.clock.now())
        for target in account["targets"]:
            sandbox.courier.target = Target(url=target["url"], key=next(iter(target["secrets"]), ""))


def load(sandbox: Sandbox, path: Path) -> None:
    """Go on where the last process ended; a file that cannot be read is as good as none."""
    with contextlib.suppress(OSError, pickle.UnpicklingError, AttributeError, EOFError, ValueError):
        # We alone wrote it, into a folder that nobody else can open.
        sandbox.tenants, sandbox.replays, sandbox.tokens, latest = pickle.loads(path.read_bytes())  # noqa: S301
        for books in sandbox.tenants.values():
            books.clock = sandbox.clock
        sandbox.clock.not_before(latest)
        sandbox.courier.number_from(sandbox.clock.now())


def save(sandbox: Sandbox, path: Path) -> None:
    """Keep books, tokens and what was answered under which key, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        pickle.dump((sandbox.tenants, sandbox.replays, sandbox.tokens, sandbox.clock.stamp()), file)
    half.replace(path)
