"""Names are looked up once for all who ask of a tenant, a few at a time, and no tenant waits for another's."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.boundary import lookups
from integrations.boundary.lookups import Lookups

OURS, THEIRS = 1, 2


class Names:
    """Somebody's name servers: nothing is answered before `over`, and each question is counted."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.asked: list[str] = []
        self._came = threading.Semaphore(0)

    def __call__(self, host: str, *_: Any, **__: Any) -> list[Any]:
        self.asked.append(host)
        self._came.release()
        if host.startswith("hangs"):
            self.over.wait(10)
        if host.startswith("nobody"):
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"{len(host)}.0.0.1", 0))]

    def wait_for(self, count: int) -> None:
        """Wait until so many more questions came."""
        for _ in range(count):
            assert self._came.acquire(timeout=5)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    monkeypatch.setattr(lookups, "AT_ONCE", 2)
    yield made
    made.over.set()


def test_whoever_asks_meanwhile_shares_the_answer_and_whoever_asks_later_does_not(names: Names) -> None:
    found = Lookups()
    first = [found.ask("hangs", asker=OURS) for _ in range(3)]
    names.wait_for(1)
    names.over.set()

    assert [one.result(5) for one in first] == [["5.0.0.1"]] * 3
    assert names.asked == ["hangs"]

    assert found.ask("hangs", asker=OURS).result(5) == ["5.0.0.1"]
    assert names.asked == ["hangs", "hangs"]


def test_names_that_hang_take_the_threads_of_one_tenant_alone(names: Names) -> None:
    found = Lookups()
    hanging = [found.ask(f"hangs-{number}", asker=OURS) for number in range(5)]
    names.wait_for(2)

    assert found.ask("well", asker=THEIRS).result(5) == ["4.0.0.1"]
    assert names.asked == ["hangs-0", "hangs-1", "well"]

    names.over.set()
    assert [one.result(5) for one in hanging] == [["7.0.0.1"]] * 5


def test_a_name_that_hangs_for_one_tenant_is_looked_up_for_another(names: Names) -> None:
    """It may wait behind other names of the first."""
    found = Lookups()
    for host in ("hangs-1", "hangs-2", "well"):
        found.ask(host, asker=OURS)

    assert found.ask("well", asker=THEIRS).result(5) == ["4.0.0.1"]


def test_who_gave_up_waiting_spoils_nothing_for_others(names: Names) -> None:
    found = Lookups()
    gone, stays = (found.ask("hangs", asker=OURS) for _ in range(2))
    names.wait_for(1)

    assert gone.cancel()
    names.over.set()

    assert stays.result(5) == ["5.0.0.1"]
    assert found.ask("well", asker=OURS).result(5) == ["4.0.0.1"]


@pytest.mark.parametrize("host", ["nobody.example", "a..b"])
def test_a_name_without_an_address_is_an_error_of_its_asker(
    host: str, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    if host == "a..b":
        monkeypatch.undo()

    with pytest.raises(OSError):
        Lookups().ask(host, asker=OURS).result(5)
