"""Names looked up in threads. A lookup cannot be ended: one that hangs keeps its thread until the system gives up."""

import socket
import threading
from collections import Counter, deque
from concurrent.futures import Future

#: Names that are looked up at once for one asker.
AT_ONCE = 8

Found = Future[list[str]]


class Lookups:
    """Lookups that are under way. Whose names hang waits alone: nobody's lookups take the threads of others.

    An asker is a tenant, by its id.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Who waits for which name, also where it waits itself.
        self._asked: dict[tuple[int, str], list[Found]] = {}
        self._waiting: dict[int, deque[str]] = {}
        self._threads: Counter[int] = Counter()

    def ask(self, host: str, *, asker: int) -> Found:
        """Return what will hold the addresses of a name, or an `OSError`: one lookup for all who ask meanwhile."""
        mine: Found = Future()
        with self._lock:
            others = self._asked.setdefault((asker, host), [])
            others.append(mine)
            if len(others) == 1:
                self._waiting.setdefault(asker, deque()).append(host)
                if self._threads[asker] < AT_ONCE:
                    self._threads[asker] += 1
                    # A daemon, so that no process waits at its end for what hangs.
                    threading.Thread(target=self._work, args=(asker,), name="lookup", daemon=True).start()
        return mine

    def _work(self, asker: int) -> None:
        while host := self._next(asker):
            found, failed = _look_up(host)
            with self._lock:
                asked = self._asked.pop((asker, host))
            for one in asked:
                if not one.set_running_or_notify_cancel():
                    continue  # Nobody waits for it any more.
                if failed:
                    one.set_exception(failed)
                else:
                    one.set_result(found)

    def _next(self, asker: int) -> str:
        """Return a name that waits; "" when none does, and the thread ends."""
        with self._lock:
            if waiting := self._waiting.get(asker):
                return waiting.popleft()
            self._waiting.pop(asker, None)
            self._threads[asker] -= 1
            return ""


def _look_up(host: str) -> tuple[list[str], OSError | None]:
    try:
        return [str(row[4][0]) for row in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)], None
    except OSError as error:
        return [], error
    except Exception as error:  # What cannot even be asked for, such as an empty label, must not end the thread.
        return [], OSError(f"{host} cannot be looked up: {type(error).__name__}")


#: Those of this process.
LOOKUPS = Lookups()
