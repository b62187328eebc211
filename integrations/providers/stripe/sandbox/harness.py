"""The sandbox for tests: real processes on free ports, calm until told otherwise."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import stripe

from integrations.providers.sandboxes import Controlled, running
from integrations.providers.stripe.sandbox.api import CALM
from integrations.providers.stripe.sandbox.faults import JSON, Faults, Rule
from integrations.providers.stripe.sandbox.settings import (
    AccountSettings,
    Retries,
    Settings,
    Target,
)

QUICK = Retries(first=0.2, factor=1.5, longest=2.0, attempts=40)


class Sandbox(Controlled):
    """A running sandbox, seen from a test. `url` is what a connection is pointed at."""

    plane = "_proxy"

    def __init__(self, url: str, accounts: Sequence[AccountSettings]) -> None:
        super().__init__(url)
        self._keys = {account.name: account.keys[0] for account in accounts}

    def key(self, account: str) -> str:
        """An API key that opens the account."""
        return self._keys[account]

    def client(self, account: str = "", *, calm: bool = True) -> stripe.StripeClient:
        """The official client; calm: no fault strikes it, so that a test can prepare things."""
        key = self._keys[account] if account else next(iter(self._keys.values()))
        base = self.url + (CALM if calm else "")
        retries = 1 if calm else 0
        return stripe.StripeClient(key, base_addresses={"api": base}, max_network_retries=retries)

    def set_faults(self, *rules: Rule | Mapping[str, Any], seed: int = 1) -> None:
        """These faults from now on; none: calm."""
        faults = Faults(seed=seed, rules=[Rule.model_validate(rule) for rule in rules])
        self.control("PUT", "faults", faults.model_dump(mode="json"))

    def point(self, account: str, url: str, *secrets: str) -> None:
        """Send the account's webhooks there; signed with each of the secrets."""
        body = {"account": account, "url": url, "secrets": list(secrets)}
        self.control("PUT", "target", body)

    def sign_with(self, account: str, *secrets: str) -> None:
        """Sign with these secrets from now on."""
        self.control("POST", "secret", {"account": account, "secrets": list(secrets)})

    def set_keys(self, account: str, *keys: str) -> None:
        """Open the account to these API keys only."""
        self.control("PUT", "keys", {"account": account, "keys": list(keys)})
        self._keys[account] = keys[0]

    def alter(self, account: str, resource: str, found_id: str, *, event: str = "", **fields: Any) -> JSON:
        """Change an object (`customers`, `invoices`, …) in silence, or with an `event`."""
        body = {"account": account, "fields": fields, "event": event}
        found: JSON = self.control("POST", f"objects/{resource}/{found_id}", body)
        return found

    def lose(self, account: str, resource: str, found_id: str) -> None:
        """Delete an object in silence."""
        self.control("DELETE", f"objects/{resource}/{found_id}?account={account}")

    def redeliver(self, event_id: str) -> None:
        """Send an event again, as it really is."""
        self.control("POST", f"redeliver/{event_id}", {})

    def log(self, **filters: str) -> list[JSON]:
        """What happened of late (`account`, `channel`, `limit`)."""
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        found: list[JSON] = self.control("GET", f"log?{query}")
        return found

    def settle(self, seconds: float = 15.0) -> None:
        """Wait until no webhook is on its way. Raises `TimeoutError`."""
        accounts = self.control("GET", f"state?settled={seconds}")["accounts"]
        if any(entry["pending"] for entry in accounts.values()):
            raise TimeoutError("webhooks are still on their way")

    def empty(self, account: str = "") -> None:
        """Forget everything of an account, of all without a name."""
        self.control("DELETE", f"data?account={account}" if account else "data")


def account(name: str = "northwind", **more: Any) -> AccountSettings:
    """An account for tests; `url` and `secrets` make its target."""
    url, secrets = more.pop("url", ""), more.pop("secrets", ["whsec_test"])
    targets = [Target(url=url, secrets=secrets)] if url else []
    return AccountSettings(name=name, title=name.title(), keys=[f"sk_test_{name}51Test"], targets=targets, **more)


@contextlib.contextmanager
def run_sandbox(
    folder: Path,
    accounts: Sequence[AccountSettings] | None = None,
    faults: Faults | None = None,
    **more: Any,
) -> Iterator[Sandbox]:
    """Run the sandbox on a free port until the block ends. `more` are fields of `Settings`."""
    settings = Settings(
        port=0,
        folder=folder / "sandbox",
        accounts=list(accounts or [account()]),
        faults=faults,
        **{"retries": QUICK, "refund_settles_after": 0.3, **more},
    )
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "sandbox.json"
    config.write_text(settings.model_dump_json())
    environ = {**os.environ, "SANDBOX_CONFIG": str(config), "SANDBOX_PARENT_PIPE": "1"}
    environ.pop("SANDBOX_PORT", None)
    with running("integrations.providers.stripe.sandbox", environ=environ) as url:
        yield Sandbox(url, settings.accounts)
