"""The control plane under `/_sandbox/`; its contract is in the package's docstring.

It has no sign-in: the sandbox listens on 127.0.0.1 only, and refuses what comes from a web page.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import date
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from integrations.providers.xero.sandbox import documents, oauth, payments
from integrations.providers.xero.sandbox.contacts import fold
from integrations.providers.xero.sandbox.elements import amount, day
from integrations.providers.xero.sandbox.faults import Faults, Rule
from integrations.providers.xero.sandbox.formats import JSON, dumps
from integrations.providers.xero.sandbox.limits import Rates
from integrations.providers.xero.sandbox.reads import show
from integrations.providers.xero.sandbox.refusals import Invalid, Refused
from integrations.providers.xero.sandbox.server import Sandbox
from integrations.providers.xero.sandbox.store import Books, Shelf, Unit
from integrations.providers.xero.sandbox.webhooks import Target

PREFIX = "/_sandbox/"
OURS = ("127.0.0.1", "localhost")

B = TypeVar("B", bound=BaseModel)
Handler = Callable[[web.BaseRequest, list[str]], Awaitable[Any]]


class Body(BaseModel):
    """A request to the control plane; an unknown word is an error."""

    model_config = ConfigDict(extra="forbid")


class LimitsBody(Body):
    """What changes of the limits."""

    enforced: bool | None = None
    minute: int | None = Field(default=None, ge=0)
    day: int | None = Field(default=None, ge=0)
    concurrent: int | None = Field(default=None, ge=0)
    app_minute: int | None = Field(default=None, ge=0)


class ClockBody(Body):
    """How fast time passes, what passes at once, and how wrong the calendar is; seconds."""

    scale: float | None = Field(default=None, gt=0)
    advance: float = Field(default=0.0, ge=0)
    skew: float | None = None


class AlterBody(Body):
    """Fields by Xero's names, as JSON has them. With `event`, it is not silent."""

    fields: JSON
    event: bool = False


class OrganisationBody(Body):
    """The last day of the period that is closed; none: nothing is."""

    period_lock_date: date | None


class ExpireBody(Body):
    """With `refresh`, refresh tokens expire too."""

    refresh: bool = False


class TenantBody(Body):
    """A new organisation."""

    name: str = Field(min_length=1)


def wrong(status: int, message: str) -> Refused:
    """A refusal of the control plane."""
    return Refused(status, {"error": message})


class Control:
    """Handlers of the control plane."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._handlers: dict[tuple[str, str], Handler] = {
            ("GET", "state"): self.state,
            ("PUT", "limits"): self.limits,
            ("PUT", "clock"): self.clock,
            ("PUT", "organisation"): self.organisation,
            ("GET", "effects"): self.effects,
            ("DELETE", "effects"): self.forget_effects,
            ("GET", "faults"): self.faults,
            ("PUT", "faults"): self.replace_faults,
            ("POST", "faults"): self.add_fault,
            ("DELETE", "faults"): self.calm,
            ("POST", "objects"): self.alter,
            ("DELETE", "objects"): self.lose,
            ("POST", "tokens"): self.tokens,
            ("POST", "tenants"): self.add_tenant,
            ("PUT", "webhooks"): self.target,
            ("GET", "webhooks"): self.webhooks,
            ("POST", "webhooks"): self.intent,
            ("GET", "log"): self.log,
            ("DELETE", "data"): self.empty,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            if "Origin" in request.headers or (request.url.host or "") not in OURS:
                raise wrong(403, "not for web pages")
            name, *rest = request.path.removeprefix(PREFIX).rstrip("/").split("/")
            handler = self._handlers.get((request.method, name))
            if handler is None:
                raise wrong(404, f"no such request: {request.method} {request.path}")
            body = dumps(await handler(request, rest))
        except Refused as error:
            return web.Response(status=error.status, body=error.body, content_type="application/json")
        return web.Response(body=body, content_type="application/json")

    async def _body(self, request: web.BaseRequest, model: type[B]) -> B:
        try:
            return model.model_validate_json(await request.read() or b"{}")
        except ValidationError as error:
            raise wrong(400, str(error)) from error

    def _books(self, request: web.BaseRequest) -> Books:
        tenants = self._sandbox.tenants
        word = request.query.get("tenant", "")
        for books in tenants.values():
            if word in ("", books.tenant_id, books.name):
                return books
        raise wrong(404, f"no such tenant: {word!r}")

    def _object(self, books: Books, rest: list[str]) -> tuple[Shelf, JSON]:
        resource, word = rest if len(rest) == 2 else ("", "")
        shelf = books.shelves.get(resource)
        found = shelf.get(word) if shelf is not None else None
        if shelf is None or found is None:
            raise wrong(404, f"no such object: {'/'.join(rest)}")
        return shelf, found

    async def state(self, _: web.BaseRequest, __: list[str]) -> JSON:
        """Who may ask, for what, within which limits."""
        sandbox = self._sandbox
        return {
            "client_id": oauth.CLIENT_ID,
            "client_secret": oauth.CLIENT_SECRET,
            "access_token": sandbox.tokens.latest.access,
            "refresh_token": sandbox.tokens.latest.refresh,
            "tenants": [
                {
                    "id": books.tenant_id,
                    "name": books.name,
                    "objects": {name: len(shelf.objects) for name, shelf in books.shelves.items()},
                }
                for books in sandbox.tenants.values()
            ],
            "limits": asdict(sandbox.limits.rates),
            "clock": {"scale": sandbox.clock.scale, "skew": sandbox.clock.skew, "now": sandbox.clock.now()},
        }

    async def limits(self, request: web.BaseRequest, _: list[str]) -> JSON:
        """Other limits; the windows begin anew."""
        body = await self._body(request, LimitsBody)
        limits = self._sandbox.limits
        limits.rates = Rates(**{**asdict(limits.rates), **body.model_dump(exclude_none=True)})
        limits.reset()
        return asdict(limits.rates)

    async def clock(self, request: web.BaseRequest, _: list[str]) -> JSON:
        """Let time pass, or pass faster."""
        body = await self._body(request, ClockBody)
        clock = self._sandbox.clock
        clock.set(scale=body.scale, advance=body.advance, skew=body.skew)
        return {"scale": clock.scale, "skew": clock.skew, "now": clock.now()}

    async def organisation(self, request: web.BaseRequest, _: list[str]) -> JSON:
        """Close the books up to a day, or open them."""
        books = self._books(request)
        books.locked_until = (await self._body(request, OrganisationBody)).period_lock_date
        return {"period_lock_date": books.locked_until and books.locked_until.isoformat()}

    async def effects(self, request: web.BaseRequest, _: list[str]) -> JSON:
        """The sandbox's own count."""
        tokens = self._sandbox.tokens
        report = {
            **self._sandbox.effects.report(),
            "refreshes": tokens.refreshes,
            "refreshes_repeated": tokens.refreshes_repeated,
            "refreshes_refused": tokens.refreshes_refused,
        }
        if request.query.get("log"):
            report["log"] = [asdict(effect) for effect in self._sandbox.effects.log]
        return report

    async def forget_effects(self, request: web.BaseRequest, rest: list[str]) -> JSON:
        """Count from nothing."""
        self._sandbox.effects.reset()
        tokens = self._sandbox.tokens
        tokens.refreshes = tokens.refreshes_repeated = tokens.refreshes_refused = 0
        return await self.effects(request, rest)

    async def faults(self, _: web.BaseRequest, __: list[str]) -> JSON:
        """The rules, with how often each matched and struck."""
        return self._sandbox.weather.state()

    async def replace_faults(self, request: web.BaseRequest, rest: list[str]) -> JSON:
        """Other rules; counts begin anew."""
        self._sandbox.weather.replace(await self._body(request, Faults))
        return await self.faults(request, rest)

    async def add_fault(self, request: web.BaseRequest, rest: list[str]) -> JSON:
        """One rule more; the others keep their counts."""
        self._sandbox.weather.add(await self._body(request, Rule))
        return await self.faults(request, rest)

    async def calm(self, request: web.BaseRequest, rest: list[str]) -> JSON:
        """No faults."""
        self._sandbox.weather.replace(Faults(seed=self._sandbox.weather.seed))
        return await self.faults(request, rest)

    async def alter(self, request: web.BaseRequest, rest: list[str]) -> JSON:
        """Change an object as a person in Xero would, or as no person could; no rule holds."""
        body = await self._body(request, AlterBody)
        books = self._books(request)
        shelf, found = self._object(books, rest)
        try:
            fields = {name: _read(name, value) for name, value in body.fields.items()}
        except Invalid as error:
            raise wrong(400, str(error)) from error
        if "Name" in fields:
            fields["_name"] = fold(str(fields["Name"]))
        unit = Unit(books)
        after = unit.change(shelf, found[shelf.id_field], **fields)
        self._tell(books, unit, loud=body.event)
        return show(books, shelf, after)

    async def lose(self, request: web.BaseRequest, rest: list[str]) -> JSON:
        """Void, delete or archive an object, or let it vanish."""
        books = self._books(request)
        shelf, found = self._object(books, rest)
        found_id = found[shelf.id_field]
        if request.query.get("gone"):
            shelf.remove(found_id)
            return {"gone": found_id}
        unit = Unit(books)
        if shelf is books.contacts:
            unit.change(shelf, found_id, ContactStatus="ARCHIVED")
        elif shelf is books.payments:
            if found["Status"] != "DELETED":
                payments.update(unit, found, {"Status": "DELETED"})
        else:
            status = "DELETED" if found["Status"] in ("DRAFT", "SUBMITTED") else "VOIDED"
            documents.settle(unit, documents.kind_of(found), found, Status=status, _payments=(), _allocations=())
        self._tell(books, unit, loud=bool(request.query.get("event")))
        return show(books, shelf, shelf.objects[found_id])

    def _tell(self, books: Books, unit: Unit, *, loud: bool) -> None:
        if loud:
            self._sandbox.courier.hear(books, unit, self._sandbox.url)

    async def tokens(self, request: web.BaseRequest, rest: list[str]) -> JSON:
        """A new pair; with `/expire`, the end of the old ones."""
        sandbox = self._sandbox
        if rest == ["expire"]:
            body = await self._body(request, ExpireBody)
            sandbox.tokens.expire(sandbox.clock.now(), refresh=body.refresh)
            return {"expired": True}
        pair = sandbox.tokens.give(sandbox.clock.now())
        return {"access_token": pair.access, "refresh_token": pair.refresh}

    async def add_tenant(self, request: web.BaseRequest, _: list[str]) -> JSON:
        """One more organisation."""
        books = self._sandbox.add_tenant((await self._body(request, TenantBody)).name)
        return {"id": books.tenant_id, "name": books.name}

    async def target(self, request: web.BaseRequest, rest: list[str]) -> JSON:
        """Where webhooks go, signed with what."""
        body = await self._body(request, Target)
        courier = self._sandbox.courier
        courier.target = courier.target.model_copy(update=body.model_dump(exclude_unset=True))
        return await self.webhooks(request, rest)

    async def webhooks(self, request: web.BaseRequest, _: list[str]) -> JSON:
        """What is on its way; with `settled`, once nothing is."""
        courier = self._sandbox.courier
        await courier.settled(float(request.query.get("settled", "0")))
        return {
            "url": courier.target.url,
            "muted": courier.target.muted,
            "pending": courier.pending,
            "delivered": courier.delivered,
            "refused": courier.refused,
        }

    async def intent(self, request: web.BaseRequest, rest: list[str]) -> JSON:
        """The intent-to-receive check."""
        if rest != ["intent"]:
            raise wrong(404, f"no such request: {request.method} {request.path}")
        return await self._sandbox.courier.check_intent()

    async def log(self, request: web.BaseRequest, _: list[str]) -> list[JSON]:
        """The latest requests, oldest first."""
        return list(self._sandbox.log)[-int(request.query.get("limit", "100")) :]

    async def empty(self, _: web.BaseRequest, __: list[str]) -> JSON:
        """Forget what was written, asked and planned."""
        self._sandbox.empty()
        self._sandbox.weather.replace(Faults())
        self._sandbox.courier.target = Target()
        return {"empty": True}


def _read(name: str, value: Any) -> Any:
    """A field's value as the books hold it."""
    if name.startswith("_") or name in ("LineItems", "UpdatedDateUTC"):
        raise Invalid(f"{name} cannot be changed this way")
    if name in ("Date", "DueDate", "FullyPaidOnDate"):
        return day({name: value}, name)
    if name in ("SubTotal", "TotalTax", "Total", "AmountDue", "AmountPaid", "AmountCredited", "Amount"):
        return amount({name: str(value)}, name)
    return value
