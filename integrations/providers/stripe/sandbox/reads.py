"""What only reads: objects, lists newest first, the event log, the account itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from integrations.providers.stripe.sandbox.account import (
    PLURALS,
    Account,
    Form,
    StripeError,
    matches,
    missing,
)
from integrations.providers.stripe.sandbox.calls import refusal
from integrations.providers.stripe.sandbox.faults import JSON

COMPARE: dict[str, Callable[[int, int], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}
#: what a list may be filtered by, beside `created`
FILTERS = {
    "customer": {"email"},
    "invoice": {"customer", "status", "collection_method"},
    "payment_intent": {"customer"},
    "charge": {"customer", "payment_intent"},
    "refund": {"charge", "payment_intent"},
}
MOST = 100


async def read(account: Account, path: str, query: Form) -> JSON:
    """Answer a GET. Raises `StripeError`."""
    expand = [value for name, value in query if name.startswith("expand[")]
    known = [(name, value) for name, value in query if not name.startswith("expand[")]
    found = await _read(account, path, known)
    for wanted in expand:
        await account.expand(found, wanted.split("."))
    return found


async def _read(account: Account, path: str, query: Form) -> JSON:
    parts = path.removeprefix("/v1/").split("/")
    if parts == ["account"]:
        return own(account)
    if parts[0] == "events" and len(parts) == 2:
        if parts[1] not in account.book.events:
            raise missing("event", parts[1])
        return account.book.events[parts[1]]
    if parts == ["events"]:
        return events(account, dict(query), [v for n, v in query if n.startswith("types[")])
    if parts == ["invoice_payments"]:
        return await invoice_payments(account, dict(query))
    if parts[0] in PLURALS and len(parts) == 1:
        return await listing(account, parts[0], dict(query))
    if parts[0] in PLURALS and len(parts) == 2:
        return await one_object(account, PLURALS[parts[0]], parts[1])
    status, found = await account.call("GET", path, query)
    if status >= 400:
        raise refusal(status, found)
    return found


async def one_object(account: Account, one: str, found_id: str) -> JSON:
    """An object by its id; a deleted customer answers with its tombstone."""
    found = await account.present(one, found_id)
    if found is None:
        raise missing(one, found_id)
    return found


async def listing(account: Account, many: str, query: dict[str, str]) -> JSON:
    """A list of objects, newest first."""
    one = PLURALS[many]
    window, query = cut(list(reversed(account.book.ids.get(one, {}).items())), query, one)
    if unknown := set(query) - FILTERS[one]:
        raise unexpected(unknown.pop())
    ids = [found_id for found_id, _ in window.entries if found_id not in account.book.deleted]
    found: list[JSON] = []
    # without a filter as many as needed, and one more, which tells whether there are more
    async for obj in account.newest(one, ids if query else ids[: window.limit + 1]):
        if matches(obj, query):
            found.append(obj)
        if len(found) > window.limit:
            break
    return window.page(found, f"/v1/{many}")


def events(account: Account, query: dict[str, str], types: list[str]) -> JSON:
    """The event log, newest first, by type and time."""
    query = {name: value for name, value in query.items() if not name.startswith("types[")}
    kind = query.pop("type", "*")
    query.pop("delivery_success", None)
    log = account.book.events
    order = [(event_id, entry["created"]) for event_id, entry in reversed(log.items())]
    window, query = cut(order, query, "event")
    if query:
        raise unexpected(next(iter(query)))
    entries = [log[event_id] for event_id, _ in window.entries]
    found = [entry for entry in entries if fnmatchcase(entry["type"], kind) and (not types or entry["type"] in types)]
    return window.page(found, "/v1/events")


@dataclass(frozen=True)
class Window:
    """The part of an order, newest first, that a list's cursor and `created` bounds leave.

    `backwards` is the order of `ending_before`: the nearest to the cursor come first.
    """

    entries: list[tuple[str, int]]
    limit: int
    backwards: bool

    def page(self, found: list[JSON], url: str) -> JSON:
        """The list as Stripe writes it; `found` may hold more than fits."""
        data = found[: self.limit]
        return {
            "object": "list",
            "data": data[::-1] if self.backwards else data,
            "has_more": len(found) > self.limit,
            "url": url,
        }


def cut(order: list[tuple[str, int]], query: dict[str, str], one: str) -> tuple[Window, dict[str, str]]:
    """The window that a query leaves of an order, and the rest of the query.

    Raises `StripeError`, also for a cursor that is unknown.
    """
    limit, query = page_size(query)
    created, query = created_filter(query)
    ids = [found_id for found_id, _ in order]
    after, before = query.pop("starting_after", None), query.pop("ending_before", None)
    start = place(ids, after, one, "starting_after") + 1 if after is not None else 0
    stop = place(ids, before, one, "ending_before") if before is not None else len(ids)
    entries = [entry for entry in order[start:stop] if fits(entry[1], created)]
    backwards = before is not None
    return Window(entries[::-1] if backwards else entries, limit, backwards), query


def place(ids: list[str], cursor: str, one: str, param: str) -> int:
    """Where a cursor stands. Raises `StripeError` when it is unknown."""
    if cursor not in ids:
        error = missing(one, cursor)
        error.status, error.error["param"] = 400, param
        raise error
    return ids.index(cursor)


async def invoice_payments(account: Account, query: dict[str, str]) -> JSON:
    """The payments of an invoice, or the invoice of a payment intent."""
    invoice_id = query.get("invoice")
    payment_id = query.get("payment[payment_intent]")
    if payment_id is not None:
        invoice_id = (await account.need("payment_intent", payment_id))["invoice"]
    elif invoice_id is not None:
        await account.need("invoice", invoice_id)
    else:
        raise StripeError(400, "This list needs `invoice` or `payment[payment_intent]` here.")
    found = await account.payments(invoice_id) if invoice_id else []
    if payment_id is not None:
        found = [entry for entry in found if entry["payment"]["payment_intent"] == payment_id]
    return Window([], MOST, False).page(found, "/v1/invoice_payments")


def own(account: Account) -> JSON:
    """The account that the key belongs to."""
    settings = account.settings
    return {
        "id": settings.stripe_id,
        "object": "account",
        "business_profile": {"name": settings.title or settings.name, "url": None},
        "business_type": "company",
        "charges_enabled": True,
        "country": settings.country,
        "created": 1_700_000_000,
        "default_currency": settings.currency,
        "details_submitted": True,
        "email": f"billing@{settings.name}.example",
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": settings.title or settings.name, "timezone": "Etc/UTC"}},
        "type": "standard",
    }


def page_size(query: dict[str, str]) -> tuple[int, dict[str, str]]:
    """`limit` and the rest. Raises `StripeError` outside 1 to 100."""
    rest = dict(query)
    text = rest.pop("limit", "10")
    if not text.isdigit() or not 1 <= int(text) <= MOST:
        message = f"Invalid integer: {text}" if not text.isdigit() else "Invalid limit: 1 to 100."
        raise StripeError(400, message, code="parameter_invalid_integer", param="limit")
    return int(text), rest


def created_filter(query: Mapping[str, str]) -> tuple[dict[str, int], dict[str, str]]:
    """The bounds of `created` and the rest of the query."""
    created: dict[str, int] = {}
    rest: dict[str, str] = {}
    for name, value in query.items():
        if name == "created" or name.startswith("created["):
            word = name[8:-1] if "[" in name else "eq"
            if not value.isdigit() or (word != "eq" and word not in COMPARE):
                raise StripeError(400, f"Invalid timestamp: {value}", param=name)
            created[word] = int(value)
        else:
            rest[name] = value
    return created, rest


def fits(second: int, created: Mapping[str, int]) -> bool:
    """Whether a second lies within the bounds."""
    return all(second == bound if word == "eq" else COMPARE[word](second, bound) for word, bound in created.items())


def unexpected(name: str) -> StripeError:
    """Stripe's answer to a parameter that it does not know."""
    return StripeError(400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
