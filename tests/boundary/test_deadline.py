"""An exchange is over in time as a whole, however slowly its parts come: a worker is held no longer."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from time import monotonic
from typing import Any

import pytest

from integrations.boundary.client import UNREACHED, http, send
from integrations.failures.categories import Category, Fault
from integrations.providers.base import Request

#: Seconds: what is allowed as a whole, between two bytes, and for all of them if nobody gave up.
LIMIT, PAUSE, WHOLE = 0.5, 0.1, 4.0


@pytest.fixture(autouse=True)
def short(settings: Any) -> Iterator[None]:
    http().close()
    settings.PROVIDER_TIMEOUT = LIMIT
    yield
    http().close()


@contextmanager
def server(*parts: bytes) -> Iterator[str]:
    """Answer one request with the first part at once, and with the others a byte at a time; yields its address."""
    over = threading.Event()

    def answer() -> None:
        connection, _ = listening.accept()
        with closing(connection):
            connection.recv(65536)
            connection.sendall(parts[0])
            for byte in b"".join(parts[1:]):
                if over.wait(PAUSE):
                    return
                try:
                    connection.sendall(bytes([byte]))
                except OSError:
                    return  # Nobody listens any more.

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            over.set()
            thread.join()


def given_up(url: str) -> tuple[Fault, float]:
    """Return what is wrong with an exchange, and the seconds that it took."""
    begun = monotonic()
    with pytest.raises(Fault) as caught:
        send(Request("GET", url))
    return caught.value, monotonic() - begun


DRIPS = b"x" * round(WHOLE / PAUSE)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n"


@pytest.mark.parametrize(
    "parts",
    [(b"", HEAD), (HEAD + b"x-long: ", DRIPS), (HEAD + b"\r\n", DRIPS), (HEAD[:-4] + b"400\r\n\r\n", DRIPS)],
    ids=["status", "header", "body", "an answer without an end"],
)
def test_whatever_drips_is_given_up_in_time(parts: tuple[bytes, ...]) -> None:
    with server(*parts) as url:
        fault, seconds = given_up(url)

    assert (fault.category, fault.code) == (Category.TIMEOUT, "no_answer")
    assert LIMIT <= seconds < LIMIT + 1


def test_a_name_of_many_addresses_at_which_nobody_answers_is_given_up_in_time(
    deaf: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its own time for a connection, unless somebody counts them together."""
    with closing(socket.create_server(("127.0.0.1", 0))) as chosen:
        port = chosen.getsockname()[1]
    addresses = [f"127.0.0.{number}" for number in range(1, 9)]
    for address in addresses:
        deaf(address, port)
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: rows if host == "many.example" else real(host, *a, **k)
    )

    fault, seconds = given_up(f"http://many.example:{port}/")

    assert (fault.category, fault.code) == (Category.TIMEOUT, UNREACHED)
    assert seconds < LIMIT + 1


@pytest.fixture
def deaf() -> Iterator[Callable[[str, int], None]]:
    """Return what makes an address take no more connections: as many wait there as may."""
    with ExitStack() as stack:

        def fill(address: str, port: int) -> None:
            stack.enter_context(closing(socket.create_server((address, port), backlog=0)))
            for _ in range(4):
                waiting = stack.enter_context(closing(socket.socket()))
                waiting.setblocking(False)
                waiting.connect_ex((address, port))

        yield fill


def test_the_second_address_of_a_name_is_tried_where_the_first_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as url:
        port = int(url.split(":")[2].strip("/"))
        rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (2, 1)]
        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *a, **k: rows if host == "two.example" else real(host, *a, **k)
        )

        answer = send(Request("GET", f"http://two.example:{port}/"))

    assert answer.status == 200
