"""The sandbox for tests: a real process on a free port, calm until told otherwise."""

import base64
import contextlib
import json
import os
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from integrations.providers.sandboxes import Controlled, running
from integrations.providers.xero.sandbox.faults import Faults, Rule
from integrations.providers.xero.sandbox.formats import JSON
from integrations.providers.xero.sandbox.oauth import CLIENT_ID, CLIENT_SECRET
from integrations.providers.xero.sandbox.server import tenant_of

TENANT = "Northwind Books"


class Sandbox(Controlled):
    """A running sandbox, seen from a test. `url` is what a connection is pointed at, for tokens and for the API."""

    plane = "_sandbox"
    client_id = CLIENT_ID
    client_secret = CLIENT_SECRET

    def __init__(self, url: str, tenant: str = TENANT) -> None:
        super().__init__(url)
        self.tenant_id = tenant_of(tenant)

    def tokens(self) -> tuple[str, str]:
        """A new access token and its refresh token, as after a person's consent."""
        pair = self.control("POST", "tokens")
        return pair["access_token"], pair["refresh_token"]

    def refresh(self, refresh_token: str) -> JSON:
        """Use a refresh token; returns the answer of the token endpoint. Raises `urllib.error.HTTPError`."""
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        form = urlencode({"grant_type": "refresh_token", "refresh_token": refresh_token}).encode()
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/connect/token", data=form, headers={"Authorization": f"Basic {basic}"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found: JSON = json.load(answer)
            return found

    def expire_tokens(self, *, refresh: bool = False) -> None:
        """No access token is valid any more; with `refresh`, no refresh token either."""
        self.control("POST", "tokens/expire", {"refresh": refresh})

    def set_limits(self, **limits: Any) -> None:
        """Other limits: `enforced`, `minute`, `day`, `concurrent`, `app_minute`."""
        self.control("PUT", "limits", limits)

    def set_clock(self, **clock: float) -> None:
        """`scale` time, `advance` it by seconds, or `skew` the calendar."""
        self.control("PUT", "clock", clock)

    def set_faults(self, *rules: Rule | Mapping[str, Any], seed: int = 1) -> None:
        """These faults from now on; none: calm."""
        faults = Faults(seed=seed, rules=[Rule.model_validate(rule) for rule in rules])
        self.control("PUT", "faults", faults.model_dump(mode="json"))

    def effects(self, *, log: bool = False) -> JSON:
        """The sandbox's own count, see `effects.py`."""
        found: JSON = self.control("GET", "effects?log=1" if log else "effects")
        return found

    def log(self) -> list[JSON]:
        """The latest requests, oldest first, those that were cut too."""
        found: list[JSON] = self.control("GET", "log?limit=1000")
        return found

    def alter(self, resource: str, word: str, *, event: bool = False, **fields: Any) -> JSON:
        """Change an object (`Contacts`, `Invoices`, …), silently unless `event`."""
        found: JSON = self.control("POST", f"objects/{resource}/{quote(word)}", {"fields": fields, "event": event})
        return found

    def lose(self, resource: str, word: str, *, gone: bool = False, event: bool = False) -> JSON:
        """Void, delete or archive an object; `gone`: it is not found any more."""
        flags = urlencode({name: 1 for name, told in (("gone", gone), ("event", event)) if told})
        found: JSON = self.control("DELETE", f"objects/{resource}/{quote(word)}?{flags}")
        return found

    def point(self, url: str, key: str, **more: Any) -> None:
        """Send webhooks there, signed with this key."""
        self.control("PUT", "webhooks", {"url": url, "key": key, **more})

    def check_intent(self) -> JSON:
        """The intent-to-receive check."""
        found: JSON = self.control("POST", "webhooks/intent")
        return found

    def settle(self, seconds: float = 15.0) -> None:
        """Wait until no webhook is on its way. Raises `TimeoutError`."""
        if self.control("GET", f"webhooks?settled={seconds}")["pending"]:
            raise TimeoutError("webhooks are still on their way")

    def empty(self) -> None:
        """Forget everything but tenants, tokens, clock and limits."""
        self.control("DELETE", "data")


@contextlib.contextmanager
def run_sandbox(*tenants: str, port: int = 0) -> Iterator[Sandbox]:
    """Run the sandbox until the block ends, with one organisation unless told more."""
    named = [word for tenant in tenants for word in ("--tenant", tenant)]
    module, arguments = "integrations.providers.xero.sandbox", (f"--port={port}", "--parent-pipe", *named)
    with running(module, *arguments, environ=os.environ) as url:
        yield Sandbox(url, *tenants[:1])
