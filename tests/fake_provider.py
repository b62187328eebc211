"""A provider behind the transport: answers as Stripe's API does, from what lies in memory, by a clock of its own.

Only the transport is replaced; the adapter and all that is above it are the real ones.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import httpx

from integrations.workflow import process, sync
from tests.conftest import customer_object

PATHS = {
    "customers": "customer", "invoices": "invoice", "payment_intents": "payment_intent", "refunds": "refund",
    "events": "event",
}  # fmt: skip
#: What a test may have answered instead: an answer, an error of the connection, or whatever a call returns.
Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


@dataclass
class Provider:
    """Objects by resource and id, and the events that tell of them. `answers` come before anything else."""

    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    now: int = field(default_factory=lambda: int(time.time()))
    answers: list[Answer] = field(default_factory=list)
    asked: list[httpx.Request] = field(default_factory=list)
    #: Called at each request, before it is answered.
    watch: Callable[[httpx.Request], object] = lambda _: None

    def put(self, *found: Mapping[str, Any]) -> None:
        """Hold objects as they are now."""
        for obj in found:
            self.objects[obj["object"]][obj["id"]] = dict(obj)

    def customers(self, count: int) -> None:
        """Hold some customers, the last one the newest."""
        self.put(*(customer_object(f"cus_{n:04}", created=1_700_000_000 + n) for n in range(count)))

    @property
    def paths(self) -> list[str]:
        """What was asked, as paths with their query."""
        return [request.url.raw_path.decode() for request in self.asked]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        self.watch(request)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer if isinstance(answer, httpx.Response) else answer(request)
        return self.truth(request)

    def truth(self, request: httpx.Request) -> httpx.Response:
        """Return what is so: a page, an object, or that there is none."""
        name, _, external_id = request.url.path.removeprefix("/v1/").partition("/")
        if name == "account":
            return self.json({"id": "acct_1", "object": "account"})
        held = self.objects[PATHS[name]]
        if not external_id:
            return self.page(list(held.values()), request.url.params)
        if external_id not in held:
            return self.json({"error": {"type": "invalid_request_error", "code": "resource_missing"}}, status=404)
        return self.json(held[external_id])

    def page(self, found: list[dict[str, Any]], query: httpx.QueryParams) -> httpx.Response:
        """Return a page: newest first, after the one that is named, created since a time; none that is deleted."""
        since, size = int(query.get("created[gte]", 0)), int(query["limit"])
        chosen = [obj for obj in reversed(found) if not obj.get("deleted") and obj["created"] >= since]
        if "starting_after" in query:
            ids = [obj["id"] for obj in chosen]
            if query["starting_after"] not in ids:
                told = {"type": "invalid_request_error", "code": "resource_missing", "param": "starting_after"}
                return self.json({"error": told}, status=400)
            chosen = chosen[ids.index(query["starting_after"]) + 1 :]
        return self.json({"object": "list", "data": chosen[:size], "has_more": len(chosen) > size})

    def json(self, value: object, *, status: int = 200, **headers: str) -> httpx.Response:
        """Return an answer with the provider's clock on it."""
        told = {"date": formatdate(self.now, usegmt=True), "request-id": "req_1", **headers}
        return httpx.Response(status, headers=told, content=json.dumps(value).encode())

    def failing(self, status: int, **headers: str) -> httpx.Response:
        """Return a refusal without words."""
        return self.json({"error": {"type": "api_error"}}, status=status, **headers)


def work_off(most: int = 500) -> None:
    """Perform and settle all that is due, as workers do, until nothing is."""
    for _ in range(most):
        ran = sync.perform_next()
        if not process.process_batch() and not ran:
            return
    raise AssertionError("the work never ends")
