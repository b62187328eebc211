"""Xero, by the rules of every adapter."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from integrations.providers.base import Access, Intent, Request, Response
from integrations.providers.xero.adapter import XeroAdapter
from integrations.providers.xero.client import ENDPOINTS, XeroSettings
from integrations.providers.xero.signature import sign
from integrations.providers.xero.writing import SINGLE, endpoint_of
from tests.providers.conformance import PERSONAL, Conformance, answer

TENANT = "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f"
SETTINGS = XeroSettings(tenant_id=TENANT, client_id="0123456789ABCDEF", page_size=2)
ACCESS = Access(
    SETTINGS,
    {"client_secret": "invented-client-secret", "refresh_token": "invented-refresh", "access_token": "invented.access"},
)
INVOICE = {
    "number": "INV-7", "customer": "con_1", "currency": "EUR", "subtotal": 20000, "tax": 5000, "total": 25000,
    "issued_at": "2026-11-18T16:50:00Z", "due_at": "2026-12-02T16:40:00Z", "state": "open",
}  # fmt: skip
CONTENT: dict[str, dict[str, Any]] = {
    "contact.create": {"name": "Halvorsen Marine AS", "email": "ap@halvorsen.example", "currency": "EUR"},
    "contact.update": {"name": "Halvorsen Marine AS", "email": "ap@halvorsen.example"},
    "invoice.create": INVOICE,
    "invoice.update": INVOICE,
    "invoice.void": {},
    "payment.create": {"invoice": "inv_1", "currency": "EUR", "amount": 25000, "paid_at": "2026-11-18T16:55:00Z"},
    "payment.delete": {},
    "credit_note.create": {
        "number": "CN-7", "customer": "con_1", "currency": "EUR", "amount": 5000, "subtotal": 4202,
        "tax": 798, "issued_at": "2026-11-19T08:00:00Z", "invoice_number": "INV-1",
    },
    "credit_note.refund": {
        "credit_note": "cn_1", "currency": "EUR", "amount": 5000, "paid_at": "2026-11-19T08:05:00Z",
    },
    "credit_note.take_back": {"payment": "pay_1"},
    "credit_note.void": {},
}  # fmt: skip


def event(category: str, act: str, **fields: Any) -> dict[str, Any]:
    """An event as webhooks carry it."""
    return {
        "resourceUrl": "https://api.xero.com/api.xro/2.0/Contacts/717f2bfc-c6d4-41fd-b238-3f2f0c0cf777",
        "resourceId": "717f2bfc-c6d4-41fd-b238-3f2f0c0cf777",
        "eventDateUtc": "2026-11-19T14:15:39.902",
        "eventType": act,
        "eventCategory": category,
        "tenantId": TENANT,
        "tenantType": "ORGANISATION",
    } | fields


def webhook(*events: dict[str, Any], first: int = 76) -> bytes:
    """A webhook's body."""
    last = first + len(events) - 1
    whole = {"events": list(events), "firstEventSequence": first, "lastEventSequence": last, "entropy": "FXNGWLCC"}
    return json.dumps(whole if events else whole | {"firstEventSequence": 0, "lastEventSequence": 0}).encode()


def intent(action: str, number: int = 1) -> Intent:
    """An intent of an action; intents of several numbers are about several objects."""
    creates = XeroAdapter.actions[action].creates
    content = CONTENT[action] | ({"number": f"N-{number}"} if "number" in CONTENT[action] else {})
    return Intent(f"op-{action}-{number}", action, "" if creates else f"obj_{number}", content)


def element(one: Intent, number: int) -> dict[str, Any]:
    """What Xero answers of an intent."""
    endpoint = ENDPOINTS[endpoint_of(one.action)]
    found: dict[str, Any] = {endpoint.id: one.external_id or f"new_{number}", "StatusAttributeString": "OK"}
    if XeroAdapter.actions[one.action].creates:
        found[endpoint.operation] = one.operation_id
    return found | shape(one)


def shape(one: Intent) -> dict[str, Any]:
    """The fields by which an update shows."""
    if one.action == "contact.update":
        return {"Name": one.content["name"], "EmailAddress": one.content["email"]}
    if one.action == "invoice.update":
        return {
            "InvoiceNumber": one.content["number"], "CurrencyCode": "EUR", "Status": "AUTHORISED",
            "Contact": {"ContactID": "con_1"}, "SubTotal": 200.00, "TotalTax": 50.0, "Total": 250,
            "DateString": "2026-11-18T00:00:00", "Date": "/Date(1795046400000+0000)/",
            "DueDate": "/Date(1796169600000+0000)/",
        }  # fmt: skip
    if one.action.endswith(".void"):
        return {"Status": "VOIDED"}
    return {"Status": "DELETED"} if one.action in SINGLE else {}


class TestXero(Conformance):
    adapter = XeroAdapter()
    access = ACCESS
    secrets = ["invented-webhook-key-1", "invented-webhook-key-2"]
    listed = "contact"
    signature_has_time = False
    several_signatures = False
    understood = frozenset({"a list"})

    def sign(self, body: bytes, secrets: Sequence[str], moment: datetime) -> dict[str, str]:
        return {"x-xero-signature": sign(body, secrets[0])}

    def deliveries(self) -> dict[str, bytes]:
        known = {
            f"{category}.{act}": webhook(event(category, act))
            for category in ("CONTACT", "INVOICE", "CREDITNOTE")
            for act in ("CREATE", "UPDATE")
        }
        return known | {"SUBSCRIPTION.UPDATE": webhook(event("SUBSCRIPTION", "UPDATE", tenantType="APPLICATION"))}

    def unknown_delivery(self) -> bytes:
        return webhook(event("CONTACT", "ENLIGHTEN"))

    def ignored_delivery(self) -> bytes:
        return webhook(event("SUBSCRIPTION", "CREATE"))

    def crowded(self, count: int) -> bytes | None:
        return webhook(*(event("CONTACT", "UPDATE") for _ in range(count)))

    def list_server(self, ids: list[str]) -> Callable[[Request], Response]:
        def reply(request: Request) -> Response:
            query = dict(request.query)
            page, size = int(query["page"]), int(query["pageSize"])
            chosen = ids[(page - 1) * size : page * size]
            pages = -(-len(ids) // size)
            return listing(chosen, page=page, pages=pages)

        return reply

    def found_by_ids(self, held: Sequence[str], *, heeds_ids: bool = True) -> Callable[[Request], Response]:
        def reply(request: Request) -> Response:
            wanted = dict(request.query)["IDs"].split(",")
            return listing([one for one in held if one in wanted or not heeds_ids], page=1, pages=1)

        return reply

    def empty_page_with_more(self) -> Response:
        return listing([], page=1, pages=3)

    def error(self, status: int) -> Response:
        message = f"The contact name {PERSONAL} is assigned already, sent with invented.access"
        faults = [{"ValidationErrors": [{"Message": message}]}]
        kind = {"ErrorNumber": 10, "Type": "ValidationException"} if status == 422 else {}
        return answer({**kind, "Message": message, "Title": message, "Detail": message, "Elements": faults}, status)

    def missing(self) -> Response:
        return answer(b"The resource you're looking for cannot be found", 404)

    def alone(self, obj: dict[str, Any]) -> Response:
        return answer({"Contacts": [obj]})

    def intents(self) -> dict[str, list[Intent]]:
        return {action: [intent(action, number) for number in range(3)] for action in self.adapter.actions}

    def answered(self, intents: Sequence[Intent], refused: Sequence[int] = ()) -> Response:
        elements = [element(one, number) for number, one in enumerate(intents)]
        for place in refused:
            elements[place] |= {
                "StatusAttributeString": "ERROR",
                "HasErrors": True,
                "ValidationErrors": [{"Message": f"Account code is not valid for {PERSONAL}"}],
            }
        return answer({ENDPOINTS[endpoint_of(intents[0].action)].path: elements})

    def world(self, intents: Sequence[Intent], *, done: bool) -> Callable[[Request], Response]:
        def reply(request: Request) -> Response:
            one = intents[0]
            endpoint = ENDPOINTS[endpoint_of(one.action)]
            if one.action == "credit_note.take_back":
                credit_note = {"CreditNoteID": one.external_id}
                payments = [] if done else [{"PaymentID": one.content["payment"]}]
                return answer({"CreditNotes": [credit_note | {"Payments": payments}]})
            if self.adapter.actions[one.action].creates:
                found = [element(each, number) for number, each in enumerate(intents)] if done else []
                return answer({endpoint.path: asked_for(request, endpoint.operation, found)})
            before = {endpoint.id: one.external_id, "Status": "AUTHORISED"}
            return answer({endpoint.path: [element(one, 1) if done else before]})

        return reply


def asked_for(request: Request, field: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that a filter lets through."""
    where = dict(request.query)["where"]
    return [one for one in found if where == f'{field}=="{one[field]}"']


def listing(ids: Sequence[str], *, page: int, pages: int) -> Response:
    """A page of contacts."""
    pagination = {"page": page, "pageSize": 2, "pageCount": pages, "itemCount": 2 * pages}
    return answer({"pagination": pagination, "Contacts": [{"ContactID": found} for found in ids]})
