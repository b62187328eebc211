"""What the sandbox is told at its start: accounts, targets, weather, pace."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from integrations.providers.stripe.sandbox.faults import Faults

HERE = Path(__file__).parent
DEFAULT_PORT = 8420
API_VERSION = "2026-10-28.endive"


class Strict(BaseModel):
    """A document in which an unknown word is an error."""

    model_config = ConfigDict(extra="forbid")


class Target(Strict):
    """Where an account's webhooks go; each is signed with every secret of the list."""

    url: str
    secrets: list[str] = Field(min_length=1)


class Retries(Strict):
    """When a webhook that was not answered with 2xx is sent again, in seconds."""

    first: float = 2.0
    factor: float = 2.0
    longest: float = 60.0
    attempts: int = 16
    timeout: float = 10.0


class Drive(Strict):
    """What an account's business does by itself.

    `pace` is the seconds between two actions. `customers` and `invoices` exist before the first
    webhook is sent. When `most_customers` or `most_invoices` is reached, no new ones are made.
    `opening` plays the scripted first minute that the demo's weather is written for.
    """

    pace: float = Field(default=1.5, gt=0)
    customers: int = 40
    invoices: int = 60
    most_customers: int = 400
    most_invoices: int = 1000
    opening: bool = True
    wait_for_target: float = 60.0


class AccountSettings(Strict):
    """One Stripe account: its own objects, reached by its own API keys."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str = ""
    account_id: str = ""
    country: str = "DE"
    currency: str = "eur"
    keys: list[str] = Field(min_length=1)
    targets: list[Target] = Field(default_factory=list)
    drive: Drive | None = None

    @property
    def stripe_id(self) -> str:
        """The account's own id, `acct_…`."""
        return self.account_id or f"acct_1{self.name.replace('-', '').title():0<15.15}"


class Settings(Strict):
    """The whole sandbox. `weather` is `calm`, `demo`, or the path of a TOML file of faults."""

    port: int = DEFAULT_PORT
    folder: Path = Path(".data/sandbox")
    accounts: list[AccountSettings] = Field(min_length=1)
    weather: str = "calm"
    faults: Faults | None = None
    retries: Retries = Field(default_factory=Retries)
    refund_settles_after: float = 20.0
    parallel_webhooks: int = 1
    most_events: int = 2000

    def first_faults(self) -> Faults:
        """The faults to start with: `faults` where given, else those of `weather`."""
        if self.faults is not None:
            return self.faults
        if self.weather == "calm":
            return Faults()
        named = {"demo": HERE / "weather.toml"}
        return Faults.model_validate(read(named.get(self.weather, Path(self.weather))))


DEMO_ACCOUNTS = (
    AccountSettings(
        name="northwind",
        title="Northwind Traders",
        keys=["sk_test_northwind51DemoKeyOfTheSandbox"],
        drive=Drive(),
    ),
    AccountSettings(
        name="contoso",
        title="Contoso",
        keys=["sk_test_contoso51DemoKeyOfTheSandbox"],
        country="US",
        currency="usd",
        drive=Drive(pace=6, customers=15, invoices=20, opening=False),
    ),
)


def read(path: Path) -> dict[str, Any]:
    """A TOML file, or a JSON file by its suffix, as a document."""
    text = path.read_text()
    loaded: dict[str, Any] = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    return loaded


def load(environ: Mapping[str, str]) -> Settings:
    """Settings from `SANDBOX_CONFIG` (a path), `SANDBOX_PORT` and `DATA_DIR`.

    Without a configuration it is the demo: two accounts, the demo's weather, no targets yet.
    Raises `OSError`, `ValueError` (pydantic's error is one).
    """
    path = environ.get("SANDBOX_CONFIG")
    demo: dict[str, Any] = {"weather": "demo", "accounts": DEMO_ACCOUNTS}
    found = read(Path(path)) if path else demo
    if port := environ.get("SANDBOX_PORT"):
        found["port"] = port
    found.setdefault("folder", Path(environ.get("DATA_DIR", ".data")) / "sandbox")
    return Settings.model_validate(found)
