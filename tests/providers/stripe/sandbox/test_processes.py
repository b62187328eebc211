"""The sandbox as processes: where it listens, what it keeps, and that nothing outlives it."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from integrations.providers.stripe.sandbox.faults import Faults
from integrations.providers.stripe.sandbox.harness import Sandbox, account, run_sandbox
from integrations.providers.stripe.sandbox.settings import Drive, load

from .conftest import Receiver


def family() -> list[psutil.Process]:
    """The processes that this test has started."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "stripe.sandbox" in " ".join(child.cmdline()) or "child.py" in " ".join(child.cmdline())
    ]


def test_it_listens_on_this_machine_only(processes: Sandbox) -> None:
    listening = [
        connection.laddr.ip
        for process in family()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert len(listening) >= 3
    assert set(listening) == {"127.0.0.1"}


def test_what_happened_is_there_after_a_restart(tmp_path: Path) -> None:
    with run_sandbox(tmp_path) as sandbox:
        customer = sandbox.client().v1.customers.create({"name": "Before"})
        sandbox.alter("northwind", "customers", customer.id, name="Altered")

    with run_sandbox(tmp_path) as sandbox:
        client = sandbox.client()
        assert client.v1.customers.list().data[0].name == "Altered"
        assert client.v1.events.list().data[0].type == "customer.created"


def test_nothing_outlives_a_killed_sandbox(tmp_path: Path) -> None:
    before = set(family())
    with run_sandbox(tmp_path):
        started = set(family()) - before
        parent = next(process for process in started if "stripe.sandbox" in " ".join(process.cmdline()))
        os.kill(parent.pid, signal.SIGKILL)

        gone, alive = psutil.wait_procs([process for process in started if process != parent], timeout=5)

    assert len(gone) == 1
    assert not alive


def test_the_demo_meets_every_kind_of_trouble(tmp_path: Path, endpoint: Receiver) -> None:
    demo = load({"DATA_DIR": str(tmp_path)}).first_faults()
    opening = [rule for rule in demo.rules if rule.channel == "webhook" and rule.times]
    drive = Drive(pace=0.02, customers=6, invoices=8)
    northwind = account(url=endpoint.url, secrets=["whsec_one"], drive=drive)

    with run_sandbox(tmp_path, [northwind], Faults(seed=demo.seed, rules=opening)) as sandbox:
        client = sandbox.client()
        history = client.v1.customers.list({"limit": 100}).data
        until = time.monotonic() + 15
        while not all(sandbox.struck()) and time.monotonic() < until:
            time.sleep(0.1)
        struck = sandbox.struck()

    assert struck == [1] * len(opening)
    assert history[0].created - history[-1].created > 30 * 86_400


@pytest.mark.parametrize("config", ['{"accounts": []}', '{"accounts": 1', '{"weather": "calm", "acounts": []}'])
def test_a_wrong_configuration_is_told_in_one_line(
    tmp_path: Path, config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from integrations.providers.stripe.sandbox.__main__ import main

    path = tmp_path / "config.json"
    path.write_text(config)
    monkeypatch.setenv("SANDBOX_CONFIG", str(path))

    assert main() == 2
    assert capsys.readouterr().out.count("\n") == 1
