"""The demo's receiver: a real process that verifies what comes, and refuses what it is asked to."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.management import call_command

from console.downstream import BadWish, Refusal
from integrations.boundary.signing import key_of, new_secret, signature
from integrations.configuration import subscriptions
from integrations.models import SigningSecret, Subscription
from tests.conftest import TESTER

SECRET = new_secret()


class Running:
    """The receiver as a process, and somebody who delivers to it."""

    def __init__(self, folder: Path) -> None:
        config = folder / "receiver.json"
        config.write_text(json.dumps({"secrets": [SECRET], "refusals": []}))
        command = [sys.executable, "-m", "console.downstream", "--port", "0", "--config", str(config)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().removeprefix("ready ").strip()

    def deliver(self, topic: str = "invoice.paid", *, secrets: tuple[str, ...] = (SECRET,), **more: Any) -> int:
        body, stamp = json.dumps({"type": topic}).encode(), int(more.get("stamp", time.time()))
        signed = signature([key_of(each) for each in secrets], uid="msg_1", stamp=stamp, body=body)
        headers = {"webhook-id": "msg_1", "webhook-timestamp": str(stamp), "webhook-signature": signed}
        return httpx.post(f"{self.url}/hooks", content=more.get("body", body), headers=headers).status_code

    def ask(self, **wish: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/control", json=wish)

    def told(self) -> Any:
        return httpx.get(f"{self.url}/control").json()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("receiver"))
    yield running
    running.process.send_signal(signal.SIGTERM)
    running.process.communicate(timeout=10)
    assert running.process.returncode == 0


@pytest.fixture
def receiver(process: Running) -> Running:
    process.ask(clear=True)
    return process


def test_what_our_secret_signed_is_taken_and_anything_else_is_refused(receiver: Running) -> None:
    before = receiver.told()

    assert receiver.deliver() == 204
    assert receiver.deliver(secrets=(new_secret(),)) == 401
    assert receiver.deliver(body=b'{"type": "invoice.void"}') == 401
    assert receiver.deliver(stamp=time.time() - 3600) == 401

    told = receiver.told()
    assert (told["taken"], told["bad_signatures"]) == (before["taken"] + 1, before["bad_signatures"] + 3)
    assert told["newest"][0] == {"id": "msg_1", "topic": "invoice.paid", "answered": 204}


def test_it_refuses_what_it_is_asked_to_so_often_and_then_no_more(receiver: Running) -> None:
    receiver.ask(status=503, topic="invoice.*", times=2)

    assert [receiver.deliver(topic) for topic in ("refund.failed", "invoice.paid", "invoice.void", "invoice.paid")] == [
        204, 503, 503, 204,
    ]  # fmt: skip


def test_a_rotated_secret_is_taken_over_and_until_then_the_overlap_is_enough(receiver: Running) -> None:
    fresh = new_secret()

    assert receiver.deliver(secrets=(fresh, SECRET)) == 204
    assert receiver.deliver(secrets=(fresh,)) == 401
    receiver.ask(secret=fresh)
    assert receiver.deliver(secrets=(fresh,)) == 204


def test_its_secrets_are_not_shown(receiver: Running) -> None:
    assert "whsec_" not in httpx.get(f"{receiver.url}/control").text


def test_it_is_asked_in_json_alone_so_that_no_foreign_page_can(receiver: Running) -> None:
    answer = httpx.post(f"{receiver.url}/control", content='{"status": 503}', headers={"content-type": "text/plain"})

    assert answer.status_code == 415
    assert receiver.deliver() == 204


@pytest.mark.parametrize("wish", [{}, {"status": 200}, {"status": "503"}, {"status": 503, "times": 0}])
def test_what_it_cannot_do_is_said(wish: dict[str, Any]) -> None:
    with pytest.raises(BadWish):
        Refusal.of(wish)


@pytest.fixture
def demo(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR, settings.OUTBOX_ALLOW_PRIVATE = tmp_path, True
    monkeypatch.setenv("RECEIVER_PORT", "8499")
    return tmp_path


@pytest.mark.django_db
def test_the_demo_tells_its_receiver_of_everything_and_gives_it_the_secret(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_command("demo")
    made = Subscription.objects.get()
    first = json.loads((demo / "receiver.json").read_text())
    fresh = subscriptions.rotate(made, actor=TESTER, reason="To see one")
    monkeypatch.setenv("RECEIVER_PORT", "8500")
    call_command("demo")

    made.refresh_from_db()
    assert (made.url, made.topics, made.environment) == ("http://127.0.0.1:8500/hooks", ["*"], "test")
    assert first["secrets"][0].startswith("whsec_")
    assert json.loads((demo / "receiver.json").read_text())["secrets"] == [fresh]
    assert (demo / "receiver.json").stat().st_mode & 0o777 == 0o600
    assert SigningSecret.objects.count() == 2


@pytest.mark.django_db
def test_where_private_addresses_are_not_allowed_the_demo_has_no_receiver(demo: Path, settings: Any) -> None:
    settings.OUTBOX_ALLOW_PRIVATE = False

    call_command("demo")

    assert not Subscription.objects.exists()
    assert not (demo / "receiver.json").exists()
