"""The demo's books and tokens outlive the process that kept them."""

import json
from datetime import date, timedelta
from pathlib import Path

from integrations.providers.xero.sandbox import keeping
from integrations.providers.xero.sandbox.contacts import create
from integrations.providers.xero.sandbox.server import Sandbox, tenant_of
from integrations.providers.xero.sandbox.store import Unit

TOKEN = "sandbox-refresh-agreed-before"
NAME = "Northwind Books"


def arranged(tmp_path: Path) -> Sandbox:
    asked = tmp_path / "books.json"
    targets = [{"url": "http://127.0.0.1:1/hooks/", "secrets": ["key-0001"]}]
    account = {"name": NAME, "keys": [TOKEN], "targets": targets, "closed_days": 80}
    faults = {"rules": [{"kind": "cut_after", "times": 1}]}
    asked.write_text(json.dumps({"faults": faults, "accounts": [account]}))
    sandbox = Sandbox([])
    keeping.load(sandbox, tmp_path / "kept" / "books")
    keeping.arrange(sandbox, asked)
    return sandbox


def exchange(sandbox: Sandbox, refresh: str) -> str:
    """Use a refresh token; returns the next one."""
    form = {
        "grant_type": "refresh_token", "refresh_token": refresh,
        "client_id": "5A4D9C0E1B7F4E2FA6C3D8B19E7043C2", "client_secret": "sandbox-secret-of-the-app-0001",
    }  # fmt: skip
    return str(sandbox.tokens.exchange("", form, sandbox.clock.now())["refresh_token"])


def test_a_new_process_goes_on_with_the_books_and_tokens_of_the_last(tmp_path: Path) -> None:
    first = arranged(tmp_path)
    create(Unit(first.tenants[tenant_of(NAME)]), {"Name": "Halvorsen Marine AS"})
    newer = exchange(first, TOKEN)
    keeping.save(first, tmp_path / "kept" / "books")

    second = arranged(tmp_path)

    books = second.tenants[tenant_of(NAME)]
    assert [contact["Name"] for contact in books.contacts] == ["Halvorsen Marine AS"]
    assert books.clock is second.clock
    assert second.replays.keys() == {tenant_of(NAME)}
    assert exchange(second, newer)
    assert second.courier.target.key == "key-0001"


def test_without_a_file_it_begins_empty(tmp_path: Path) -> None:
    sandbox = arranged(tmp_path)

    assert not list(sandbox.tenants[tenant_of(NAME)].contacts)
    assert exchange(sandbox, TOKEN)


def test_it_begins_with_the_weather_and_the_closed_period_that_the_demo_asks_for(tmp_path: Path) -> None:
    sandbox = arranged(tmp_path)

    closed = sandbox.tenants[tenant_of(NAME)].locked_until
    assert closed == sandbox.clock.stamp().date() - timedelta(days=80)
    assert [rule.kind for rule in sandbox.weather.rules] == ["cut_after"]


def test_a_closed_period_stays_what_it_was_when_the_process_starts_again(tmp_path: Path) -> None:
    first = arranged(tmp_path)
    first.tenants[tenant_of(NAME)].locked_until = date(2026, 3, 31)
    keeping.save(first, tmp_path / "kept" / "books")

    assert arranged(tmp_path).tenants[tenant_of(NAME)].locked_until == date(2026, 3, 31)
