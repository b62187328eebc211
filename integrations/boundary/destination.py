"""Where deliveries may go. A name is looked up once, and what was checked is what is connected to.

Whoever manages subscriptions makes our machine send requests. Without this they could reach what only we can:
databases, admin pages, and the cloud's metadata, which hands out credentials.
"""

import asyncio
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import httpcore
from django.conf import settings

from integrations.boundary.lookups import LOOKUPS

#: Seconds that a page waits for a name to be found; the address is checked again at each sending anyway.
LOOKUP_SECONDS = 3.0
LONGEST = 500
#: Characters of a part of a path from which on it may be a key.
LEAST_KEY = 16
#: Answers of a cloud about the machine itself, also where they stand outside of the private ranges (Azure's).
METADATA = frozenset(
    {
        "169.254.169.254", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "168.63.129.16", "100.100.100.200",
        "192.0.0.192",
    }
)  # fmt: skip
#: Set aside as well, which Python's own table does not say in every version (IANA's registries of special addresses).
SET_ASIDE = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "fec0::/10", "5f00::/16")))
#: IPv4 written into IPv6 by translators (RFC 6052, section 2.1) and of old: the last 32 bits.
TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("::/96"))

Address = IPv4Address | IPv6Address


class ForbiddenDestination(Exception):
    """Deliveries may not go there; the text says why."""


def check(url: str, *, environment: str, asker: int = 0) -> str:
    """Return a subscription's address as it is kept; raises `ForbiddenDestination` with words for its author.

    `asker` is the tenant among whose lookups this one counts.
    """
    cleaned = url.strip()
    parts = _parts(cleaned)
    if parts.scheme == "http" and environment == "live" and not settings.OUTBOX_ALLOW_PRIVATE:
        raise ForbiddenDestination("In live, deliveries go by https only.")
    host = parts.hostname or ""
    try:
        found = LOOKUPS.ask(host, asker=asker).result(LOOKUP_SECONDS)
    except TimeoutError:
        return cleaned
    except OSError:
        raise ForbiddenDestination(f"There is no address for {host}. Is it spelled right?") from None
    choose(host, found)
    return cleaned


def _parts(url: str) -> SplitResult:
    if len(url) > LONGEST:
        raise ForbiddenDestination(f"At most {LONGEST} characters.")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ForbiddenDestination("Write the address in plain ASCII, other letters as punycode or %-codes.")
    try:
        parts = urlsplit(url)
        port_of(parts)
    except ValueError:
        raise ForbiddenDestination("This is no address. Write it like https://example.com/hooks.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ForbiddenDestination("Write the whole address, like https://example.com/hooks.")
    if parts.username is not None or parts.password is not None:
        raise ForbiddenDestination("No user or password in the address: the signature tells who we are.")
    if parts.fragment:
        raise ForbiddenDestination("What stands after # is never sent. Leave it out.")
    return parts


def outline(url: str) -> str:
    """Return an address without what may open the receiver's door: its query, and parts of its path like keys.

    Receivers put tokens there, as chat services do: /services/T00/B00/<24 letters and digits>.
    """
    parts = urlsplit(url)
    path = "/".join("…" if _like_a_key(part) else part for part in parts.path.split("/"))
    return f"{parts.scheme}://{parts.netloc}{path}{'?…' if parts.query else ''}"


def _like_a_key(part: str) -> bool:
    """Say whether a part of a path looks made by a machine: long, and mixed as words are not."""
    plain = unquote(part)
    if len(plain) < LEAST_KEY or not re.fullmatch(r"[\w.~=+-]+", plain, re.ASCII):
        return False
    digits = sum(character.isdigit() for character in plain)
    in_one = not re.search(r"[-_.~]", plain)
    return digits >= 3 or (in_one and (digits > 0 or (plain != plain.lower() and plain != plain.upper())))


def port_of(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def choose(host: str, found: Iterable[str]) -> str:
    """Return the address to connect to; raises `ForbiddenDestination` where any of them is forbidden.

    Any, because a name with one address outside and one inside is made to get in.
    """
    addresses = list(dict.fromkeys(found))
    for address in addresses:
        refused = why_not(address)
        if refused:
            # Not where: whoever writes names would be told our network by and by.
            raise ForbiddenDestination(f"{host} leads to an address {refused}. Deliveries do not go there.")
    if not addresses:
        raise ForbiddenDestination(f"There is no address for {host}.")
    return addresses[0]


def why_not(address: str) -> str:
    """Say why nothing is delivered to an IP address, "" where it may be."""
    found = _meant(ip_address(address.partition("%")[0]))
    if str(found) in METADATA or found.is_link_local:
        return "which tells a machine about itself"
    if settings.OUTBOX_ALLOW_PRIVATE:
        return ""
    inside = not found.is_global or found.is_multicast or found.is_reserved
    inside = inside or any(found in network for network in SET_ASIDE)
    return "which is inside our own network or belongs to nobody" if inside else ""


def _meant(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for, else the address itself."""
    if not isinstance(address, IPv6Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    if address.teredo:
        return address.teredo[1]
    if int(address) > 1 and any(address in network for network in TRANSLATED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Looks a name up once for a tenant, checks what it found, and connects to just that.

    The connection keeps the name: TLS proves it and `Host` says it, and no second lookup can answer otherwise.
    """

    def __init__(self, tenant: int) -> None:
        self._tenant = tenant
        self._inner = httpcore.AnyIOBackend()
        #: The addresses that names led to at the newest connection.
        self.chosen: dict[str, str] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's own
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                found = await asyncio.wrap_future(LOOKUPS.ask(host, asker=self._tenant))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} takes too long to be looked up") from error
        except OSError as error:
            raise httpcore.ConnectError(f"There is no address for {host}") from error
        address = choose(host, found)
        self.chosen[host] = address
        return await self._inner.connect_tcp(
            address, port, timeout=timeout, local_address=local_address, socket_options=socket_options
        )

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's own
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise ForbiddenDestination("Deliveries go over the network only.")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
