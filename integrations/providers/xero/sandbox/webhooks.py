"""Webhooks: thin events, signed, in order, repeated until they are answered with 200 within 5 seconds.

Source: https://developer.xero.com/documentation/guides/webhooks/overview
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import secrets
from collections import deque

import aiohttp
from pydantic import BaseModel, ConfigDict

from integrations.providers.xero.sandbox.formats import JSON, dumps
from integrations.providers.xero.sandbox.store import Books, Unit

CATEGORIES = {"Contacts": "CONTACT", "Invoices": "INVOICE", "CreditNotes": "CREDITNOTE"}
IN_TIME = 5.0
MOST_EVENTS = 50
FACTOR = 2.0


class Target(BaseModel):
    """Where events go. `key` signs them; muted events are lost; repeats begin after `first` seconds and double.

    An answer that takes longer than `in_time` seconds counts as none.
    """

    model_config = ConfigDict(extra="forbid")

    url: str = ""
    key: str = "sandbox-webhook-key"
    muted: bool = False
    first: float = 0.2
    longest: float = 2.0
    attempts: int = 40
    in_time: float = IN_TIME


def sign(body: bytes, key: str) -> str:
    """The value of `x-xero-signature`."""
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


class Courier:
    """Carries the events of all organisations to one target."""

    def __init__(self) -> None:
        self.target = Target()
        self.delivered = 0
        self.refused = 0
        self._waiting: deque[JSON] = deque()
        self._sequence = 0
        self._stirred = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._work: asyncio.Task[None] | None = None

    def number_from(self, now: float) -> None:
        """Number what comes after what an earlier process may have sent."""
        self._sequence = max(self._sequence, int(now))

    @property
    def pending(self) -> int:
        """Events that are on their way."""
        return len(self._waiting)

    def hear(self, books: Books, unit: Unit, url: str) -> None:
        """What a unit changed becomes events; payments have none of their own, as at Xero."""
        for (resource, found_id), kind in unit.events.items():
            if resource in CATEGORIES:
                self.publish(books, resource, found_id, kind, unit.now.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3], url)

    def publish(self, books: Books, resource: str, found_id: str, kind: str, at: str, url: str) -> None:
        """One event; lost where there is no target, or a muted one."""
        if not self.target.url or self.target.muted:
            return
        event: JSON = {
            "resourceUrl": f"{url}/api.xro/2.0/{resource}/{found_id}",
            "resourceId": found_id,
            "eventDateUtc": at,
            "eventType": kind,
            "eventCategory": CATEGORIES[resource],
            "tenantId": books.tenant_id,
            "tenantType": "ORGANISATION",
        }
        if resource == "CreditNotes":
            note = books.credit_notes.objects.get(found_id, {})
            event["data"] = {"Type": note.get("Type"), "Status": note.get("Status")}
        self._waiting.append(event)
        self._idle.clear()
        self._stirred.set()
        if self._work is None:
            self._work = asyncio.create_task(self._carry())

    def clear(self) -> None:
        """Forget what is on its way."""
        self._waiting.clear()
        self._idle.set()

    async def settled(self, seconds: float) -> None:
        """Wait until nothing is on its way, at most so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)

    async def stop(self) -> None:
        """Carry nothing any more."""
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work

    async def _carry(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                while not self._waiting:
                    self._stirred.clear()
                    await self._stirred.wait()
                events = [self._waiting[place] for place in range(min(MOST_EVENTS, len(self._waiting)))]
                await self._until_taken(session, events)
                for event in events:
                    if self._waiting and self._waiting[0] is event:
                        self._waiting.popleft()
                if not self._waiting:
                    self._idle.set()

    async def _until_taken(self, session: aiohttp.ClientSession, events: list[JSON]) -> None:
        body = self._payload(events)
        for attempt in range(self.target.attempts):
            status, _ = await self._post(session, body, self.target.key)
            if status == 200:
                self.delivered += len(events)
                return
            self.refused += 1
            await asyncio.sleep(min(self.target.first * FACTOR**attempt, self.target.longest))
            if not self._waiting or self._waiting[0] is not events[0]:
                return

    def _payload(self, events: list[JSON]) -> bytes:
        first = self._sequence + 1
        self._sequence += len(events)
        document = {
            "events": events,
            "firstEventSequence": first,
            "lastEventSequence": self._sequence,
            "entropy": secrets.token_hex(10).upper(),
        }
        return dumps(document)

    async def _post(self, session: aiohttp.ClientSession, body: bytes, key: str) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json; charset=utf-8", "x-xero-signature": sign(body, key)}
        timeout = aiohttp.ClientTimeout(total=self.target.in_time)
        try:
            async with session.post(
                self.target.url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
            return 0, b""

    async def check_intent(self) -> JSON:
        """The intent-to-receive check: right signatures want 200, wrong ones 401, each in time and without a body."""
        answers = []
        async with aiohttp.ClientSession() as session:
            for right in (True, False, True, False):
                body = dumps(
                    {
                        "events": [],
                        "firstEventSequence": 0,
                        "lastEventSequence": 0,
                        "entropy": secrets.token_hex(10).upper(),
                    }
                )
                status, said = await self._post(session, body, self.target.key if right else "somebody else's key")
                passed = status == (200 if right else 401) and not said
                answers.append({"signed": right, "status": status, "passed": passed})
        return {"passed": all(answer["passed"] for answer in answers), "answers": answers}
