"""A network on which every wait ends by one time: timeouts of HTTP libraries are for each part that comes or goes."""

import math
import socket
from collections.abc import Iterable
from time import monotonic
from typing import Any

import httpcore

#: Bytes that are handed to the network at once: few enough to go in one or two pieces, each with the time that is left.
PIECE = 16 * 1024


class TimedNetwork(httpcore.NetworkBackend):
    """Connections of one thread, which has one exchange at a time: that is over at `until`, by `time.monotonic`.

    A peer that sends a byte now and then holds a worker until then and no longer, whatever part of the answer it is.
    """

    def __init__(self) -> None:
        self.until = math.inf
        self._inner = httpcore.SyncBackend()

    def left(self, timeout: float | None, late: type[httpcore.TimeoutException]) -> float:
        """Return the seconds that one wait may take; raises `late` where there are none."""
        left = self.until - monotonic()
        if left <= 0:
            raise late("The exchange takes too long as a whole")
        return left if timeout is None else min(timeout, left)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of a name that answers; raises httpcore's `ConnectError`, `ConnectTimeout`."""
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"There is no address for {host}") from error
        failed: Exception = httpcore.ConnectError(f"There is no address for {host}")
        for address in dict.fromkeys(str(row[4][0]) for row in rows):
            try:
                limit = self.left(timeout, httpcore.ConnectTimeout)
                return TimedStream(self._inner.connect_tcp(address, port, limit, local_address, socket_options), self)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed


class TimedStream(httpcore.NetworkStream):
    """One connection of a `TimedNetwork`."""

    def __init__(self, inner: httpcore.NetworkStream, network: TimedNetwork) -> None:
        self._inner, self._network = inner, network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._network.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), PIECE):
            self._inner.write(buffer[start : start + PIECE], self._network.left(timeout, httpcore.WriteTimeout))

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Any:
        limit = self._network.left(timeout, httpcore.ConnectTimeout)
        return TimedStream(self._inner.start_tls(ssl_context, server_hostname, limit), self._network)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
