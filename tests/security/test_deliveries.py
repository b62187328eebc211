"""Deliveries leave our own network: not to private, metadata or unassigned addresses, and no name fools the check."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from integrations.boundary import destination
from integrations.boundary.destination import ForbiddenDestination, check, choose, why_not
from integrations.models import Connection, Delivery, Record
from tests.outbox.conftest import Subscribed, change, receiver, send, subscribe
from tests.receiver import Receiver

__all__ = ["change", "receiver", "subscribe"]

pytestmark = pytest.mark.django_db

INSIDE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.8", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "100.64.0.1", "100.127.255.254", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9",
    "224.0.0.1", "224.0.1.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:192.168.0.1", "2002:7f00:1::", "2002:a00:1::",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "::7f00:1", "::a00:1",
]  # fmt: skip
METADATA = [
    "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
    "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "::ffff:169.254.169.254", "2002:a9fe:a9fe::", "64:ff9b::a9fe:a9fe",
]  # fmt: skip
OUTSIDE = ["93.184.216.34", "1.1.1.1", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]


@pytest.fixture(autouse=True)
def in_earnest(settings: Any) -> None:
    settings.OUTBOX_ALLOW_PRIVATE = False
    settings.OUTBOX_TIMEOUT = 1.0


@pytest.mark.parametrize("address", INSIDE + METADATA)
def test_addresses_inside_are_refused(address: str) -> None:
    assert why_not(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_addresses_outside_are_not(address: str) -> None:
    assert why_not(address) == ""


@pytest.mark.parametrize("address", METADATA)
def test_metadata_stays_out_of_reach_whatever_the_installation_allows(address: str, settings: Any) -> None:
    settings.OUTBOX_ALLOW_PRIVATE = True

    assert why_not(address)


def test_an_installation_may_allow_its_own_network(settings: Any) -> None:
    settings.OUTBOX_ALLOW_PRIVATE = True

    assert why_not("10.0.0.8") == ""


def test_one_address_inside_spoils_a_name() -> None:
    with pytest.raises(ForbiddenDestination) as refused:
        choose("both.example", ["93.184.216.34", "10.0.0.8"])

    assert "10.0.0.8" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/",
        "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://localhost/", "https://10.0.0.8:8443/hooks",
        "https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/",
    ],
)  # fmt: skip
def test_whatever_the_spelling_nothing_inside_is_kept(url: str) -> None:
    with pytest.raises(ForbiddenDestination):
        check(url, environment="test")


@pytest.mark.parametrize(
    "url",
    [
        "", "warehouse", "//example.com", "ftp://example.com", "file:///etc/passwd", "gopher://example.com",
        "https://", "https://me:pw@example.com/", "https://example.com/#part", "https://exa mple.com/",
        "https://ex\u00e4mple.com/", "https://example.com:99999/", "https://example.com/" + "a" * 500, "https://[::1", "https://example..com/",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ForbiddenDestination):
        check(url, environment="test")


def test_live_asks_for_https() -> None:
    with pytest.raises(ForbiddenDestination, match="https only"):
        check("http://93.184.216.34/hooks", environment="live")
    assert check("https://93.184.216.34/hooks", environment="live")
    assert check(" http://93.184.216.34/hooks ", environment="test") == "http://93.184.216.34/hooks"


def test_a_name_that_changed_its_address_after_it_was_saved_is_refused_at_sending(
    receiver: Receiver,
    subscribe: Callable[..., Subscribed],
    change: Callable[..., Record],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rebinding: outside while it was checked, this machine when it is sent."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    asked: list[str] = []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers[len(asked) - 1]]

    def look_up_later(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return look_up(host, port)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_later)
    subscribe(url=receiver.url.replace("127.0.0.1", "rebinding.example"))
    change()

    send()

    delivery = Delivery.objects.get()
    assert asked == ["rebinding.example", "rebinding.example"]
    assert receiver.got == []
    assert (delivery.state, delivery.category) == ("parked", "authorization")
    assert "leads to an address which is inside our own network" in delivery.problem


def test_what_was_checked_is_what_is_connected_to(
    receiver: Receiver,
    subscribe: Callable[..., Subscribed],
    change: Callable[..., Record],
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    """One lookup a connection: no second one could answer otherwise. The receiver is told the name."""
    settings.OUTBOX_ALLOW_PRIVATE = True
    asked: list[str] = []

    def look_up(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    url = receiver.url.replace("127.0.0.1", "warehouse.example")
    made = subscribe(url=receiver.url)
    type(made.row).objects.update(url=url)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    change()

    send()

    assert asked == ["warehouse.example"]
    assert receiver.got[0].headers["host"].startswith("warehouse.example:")


def test_names_that_hang_hold_up_no_other_tenant(
    receiver: Receiver,
    subscribe: Callable[..., Subscribed],
    change: Callable[..., Record],
    other_connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    """A lookup cannot be ended: each that hangs keeps a thread for as long as the name's own servers like."""
    settings.OUTBOX_ALLOW_PRIVATE = True
    over = threading.Event()

    def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        if host.startswith("hangs"):
            over.wait(10)
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    for number in range(40):
        made = subscribe(f"Hangs {number}")
        type(made.row).objects.filter(pk=made.row.pk).update(url=f"http://hangs-{number}.example/")
    change()
    healthy = subscribe("Healthy", tenant=other_connection.tenant)
    type(healthy.row).objects.filter(pk=healthy.row.pk).update(url=receiver.url.replace("127.0.0.1", "healthy.example"))
    change(on=other_connection)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    send()
    over.set()

    assert Delivery.objects.get(subscription=healthy.row).state == "done"
    hung = Delivery.objects.exclude(subscription=healthy.row)
    assert set(hung.values_list("state", "category")) == {("waiting", "timeout")}


def test_a_name_that_takes_long_to_find_does_not_hold_up_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(destination, "LOOKUP_SECONDS", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [over.wait(5)])

    assert check("https://slow.example/hooks", environment="test") == "https://slow.example/hooks"
    over.set()


def test_a_name_without_an_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)

    with pytest.raises(ForbiddenDestination, match="There is no address"):
        check("https://typo.example/hooks", environment="test")
