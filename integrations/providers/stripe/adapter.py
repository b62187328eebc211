"""Stripe: customers, invoices, payments and refunds.

Lists are newest first and paged by the id of the last object seen, so what is created while a run
pages lands in front of it and moves nothing; the next run brings it.
https://docs.stripe.com/api/pagination

Stripe filters lists by creation only, never by change. So an object stream resyncs what is new, and
the event stream brings what changed; both overlap, for objects and events show up late.
Events reach back 30 days (https://docs.stripe.com/api/events): after a longer gap, sync in full.
"""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, ClassVar, Final

from pydantic import BaseModel

from integrations.failures.categories import Category, Fault
from integrations.providers import answers
from integrations.providers.answers import read_json
from integrations.providers.base import (
    Access,
    Account,
    ActionSpec,
    CursorGone,
    Effect,
    Found,
    Intent,
    Item,
    Limits,
    Page,
    Remaining,
    Renewed,
    Request,
    Response,
    SecretSpec,
    StreamSpec,
    Transport,
)
from integrations.providers.exporting import Exporter
from integrations.providers.stripe import client, errors, signature, writing
from integrations.providers.stripe.client import API_KEY, API_VERSION, StripeSettings
from integrations.providers.stripe.events import IGNORED
from integrations.providers.stripe.reading import read_event, read_list, read_object

EVENT: Final = "event"
#: How far back Stripe's event log goes.
LOG_REACH: Final = timedelta(days=30)

MAPPING: Final = files("integrations.providers.stripe").joinpath("mapping.toml").read_bytes()
#: Personal data, and links that open a document to whoever has them.
#: The message of an error quotes what was sent, as an e-mail address; its code and ours say what is wrong.
_SENSITIVE: Final = """
account_holder_name account_number address address_city address_line1 address_line2 address_state address_zip
bank_account bic billing_details business_vat_id buyer_id cashtag clabe customer_address customer_email customer_name
customer_phone customer_shipping customer_tax_ids dob dynamic_last4 email error.message fingerprint
hosted_instructions_url
hosted_invoice_url hosted_voucher_url iban image_url_png image_url_svg individual_name instructions_email invoice_pdf
ip ip_address last4 line1 line2 mobile_auth_url name network_transaction_id owner pay_id payer_details payer_email
payer_id payer_name phone postal_code receipt_email receipt_url redirect_to_url routing_number shipping
shipping_details sort_code tax_id tax_ids verified_address verified_email verified_name verified_phone vpa
"""


def _statuses() -> dict[str, dict[str, str]]:
    return {name: table["states"] for name, table in tomllib.loads(MAPPING.decode()).items() if "states" in table}


class StripeAdapter:
    """Answers the engine's questions about Stripe. Holds no state."""

    slug: ClassVar[str] = "stripe"
    title: ClassVar[str] = "Stripe"
    api_version: ClassVar[str] = API_VERSION
    settings_schema: ClassVar[type[BaseModel]] = StripeSettings
    secrets: ClassVar[tuple[SecretSpec, ...]] = (
        SecretSpec(
            name=API_KEY,
            title="API key",
            hint="A restricted key that reads customers, invoices, payment intents, refunds and events, "
            "and writes refunds and invoices where they are to be made here",
            verified_by="call",
            pattern=r"(sk|rk)_[a-z]+_\w{8,}",
        ),
        SecretSpec(
            name="webhook_secret",
            title="Webhook signing secret",
            hint="Shown at the webhook endpoint in Stripe's dashboard",
            verified_by="delivery",
            pattern=r"whsec_\S{8,}",
        ),
    )
    streams: ClassVar[tuple[StreamSpec, ...]] = (
        StreamSpec("customer", "customer", "Customers", every=900, fresh_within=3600),
        StreamSpec("invoice", "invoice", "Invoices", every=900, fresh_within=3600),
        StreamSpec("payment_intent", "payment", "Payments", every=900, fresh_within=3600, deletions="never"),
        StreamSpec("refund", "refund", "Refunds", every=900, fresh_within=3600, deletions="never"),
        StreamSpec(EVENT, "", "Event log", every=60, fresh_within=600, change_log=True),
    )
    sensitive_fields: ClassVar[frozenset[str]] = frozenset(_SENSITIVE.split())
    ignored_events: ClassVar[frozenset[str]] = IGNORED
    silent_answers: ClassVar[bool] = False
    statuses: ClassVar[Mapping[str, Mapping[str, str]]] = _statuses()
    actions: ClassVar[Mapping[str, ActionSpec]] = writing.ACTIONS
    #: https://docs.stripe.com/api/idempotent_requests
    key_lifetime: ClassVar[timedelta] = timedelta(hours=24)
    #: https://docs.stripe.com/rate-limits (25 a second in test mode)
    limits: ClassVar[Limits] = Limits(per_minute=25 * 60)
    exporter: ClassVar[Exporter | None] = None

    def compose(self, access: Access, intents: Sequence[Intent], key: str) -> Request:
        """Return the request for one intent: Stripe has no batches."""
        (intent,) = intents
        return Request(
            method="POST",
            url=client.settings_of(access).api_base + writing.path_of(intent),
            headers={
                **client.headers(access),
                "content-type": "application/x-www-form-urlencoded",
                "idempotency-key": key,
            },
            body=writing.body_of(intent),
        )

    def effects(self, intents: Sequence[Intent], response: Response) -> list[Effect]:
        """Read an answer: the object that came of the intent. Raises `Fault` where it was refused."""
        (intent,) = intents
        fault = self.classify(response)
        if fault:
            raise fault
        return [writing.effect_of(intent, read_json(response.body))]

    def find_effect(self, access: Access, transport: Transport, intent: Intent) -> tuple[Response, Effect | None]:
        """Look for the refund among those of its payment, or at the invoice's state."""
        if intent.action == writing.VOID:
            response, found = self.fetch(access, transport, "invoice", intent.external_id)
            shown = found.item is not None and writing.shown(intent, found.item.obj)
            return response, writing.effect_of(intent, found.item.obj) if found.item and shown else None
        query, after = (("payment_intent", str(intent.content.get("payment"))), ("limit", "100")), ""
        while True:
            place = (("starting_after", after),) if after else ()
            response = client.get_well(access, transport, client.PATHS["refund"], (*query, *place))
            entries, has_more = read_list(read_json(response.body))
            effect = writing.first_of(intent, entries)
            if effect or not has_more:
                return response, effect
            after = _next(entries, after or None, None)["starting_after"]

    def operation_of(self, resource: str, obj: Mapping[str, Any]) -> str:
        """Return the operation id that a refund carries, "" where it carries none."""
        return writing.operation_of(obj) if resource == "refund" else ""

    def shows(self, intent: Intent, obj: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        """Say whether an object has the effect of an intent."""
        return writing.shown(intent, obj)

    def came_to_nothing(self, resource: str, obj: Mapping[str, Any]) -> Fault | None:
        """Return why a refund failed, or was canceled before it arrived."""
        return writing.failed(obj) if resource == "refund" else None

    def refresh(self, access: Access, transport: Transport) -> Renewed:
        """Stripe's keys last."""
        raise answers.mismatch("no_tokens", "Stripe has no tokens that could be refreshed.")

    def check(self, access: Access, transport: Transport) -> Account:
        """Prove the API key; return whose account it is.

        A restricted key need not be allowed to read the account. Then reading one customer proves it.
        """
        try:
            account = read_json(client.get_well(access, transport, "/v1/account").body)
        except Fault as fault:
            if fault.category not in (Category.AUTHORIZATION, Category.VALIDATION):
                raise
            client.get_well(access, transport, client.PATHS["customer"], (("limit", "1"),))
            return Account("", client.settings_of(access).account or "account not named by a restricted key")
        return _account_of(account)

    def list_page(
        self, access: Access, transport: Transport, resource: str, cursor: dict[str, Any] | None, since: datetime | None
    ) -> tuple[Response, Page]:
        """Fetch one page of `resource`. See the module for what `since` can mean at Stripe."""
        after, created_from = _place(cursor, since)
        query = client.list_query(
            resource, limit=client.settings_of(access).page_size, after=after, created_from=created_from
        )
        try:
            response = client.get_well(access, transport, client.PATHS[resource], query)
        except Fault as fault:
            if fault.code == "resource_missing" and fault.field == "starting_after":
                raise CursorGone(
                    Category.CONTRACT, "cursor_gone", "The last object read was deleted meanwhile"
                ) from fault
            raise
        entries, has_more = read_list(read_json(response.body))
        as_of = answers.as_of(response)
        items = _events(entries) if resource == EVENT else _objects(entries, resource, as_of)
        next_cursor = _next(entries, after, created_from) if has_more else None
        return response, Page(items, next_cursor, as_of)

    def fetch(self, access: Access, transport: Transport, resource: str, external_id: str) -> tuple[Response, Found]:
        """Fetch one object as it is now. A deleted customer is answered as a stub that says so."""
        expand = (("expand[]", client.EXPANDED[resource]),) if resource in client.EXPANDED else ()
        response = client.get(access, transport, client.object_path(resource, external_id), expand)
        as_of = answers.as_of(response)
        if errors.is_missing(response):
            return response, Found(None, as_of)
        fault = self.classify(response)
        if fault:
            raise fault
        item = read_object(read_json(response.body), resource, "", as_of)
        if item.external_id != external_id:
            raise answers.mismatch(
                "wrong_object", f"Stripe answered another {resource} than was asked for.", field="id"
            )
        return response, Found(item, as_of)

    def fetch_several(
        self, access: Access, transport: Transport, resource: str, external_ids: Sequence[str]
    ) -> tuple[Response, dict[str, Found]]:
        """Stripe's lists know no filter by ids."""
        raise answers.mismatch("one_by_one", "Stripe cannot be asked for several objects by one request.")

    def verify(self, body: bytes, headers: Mapping[str, str], secrets: list[str], now: datetime) -> int:
        """Check a webhook's signature; return the index of the secret that fits. Raises `BadSignature`."""
        return signature.verify(body, headers, secrets, now)

    def parse(self, body: bytes, received_at: datetime) -> tuple[Item, ...]:
        """Read a webhook, which tells of one event. Raises `Fault` where its envelope cannot be read."""
        return (read_event(read_json(body), ""),)

    def classify(self, response: Response) -> Fault | None:
        """Name what is wrong with an answer; None when it is a success."""
        return errors.classify(response)

    def remaining(self, response: Response) -> Remaining | None:
        """Stripe does not say how much of its limits is left."""
        return None


def _account_of(account: Any) -> Account:
    if not isinstance(account, dict) or not isinstance(account.get("id"), str):
        raise answers.mismatch("wrong_object", "Stripe answered something that is no account.")
    settings = account.get("settings")
    dashboard = settings.get("dashboard") if isinstance(settings, dict) else None
    name = dashboard.get("display_name") if isinstance(dashboard, dict) else None
    external_id = str(account["id"])
    return Account(external_id, f"{name} ({external_id})" if isinstance(name, str) and name else external_id)


def _place(cursor: dict[str, Any] | None, since: datetime | None) -> tuple[str | None, datetime | None]:
    """Return (id to go on after, creation time to start from). A cursor keeps the start of its run."""
    if cursor is None:
        return None, since
    created_from = cursor.get("created_from")
    return cursor["starting_after"], datetime.fromtimestamp(created_from, UTC) if created_from is not None else None


def _next(entries: list[Any], after: str | None, created_from: datetime | None) -> dict[str, Any]:
    """Return the cursor of the next page: Stripe gives none, the last id is it.

    Without an entry there is nothing to go on after; with the same one again the run would never end.
    """
    if not entries:
        raise answers.mismatch("empty_page", "Stripe says that there is more, on a page with nothing to go on from.")
    last = entries[-1].get("id") if isinstance(entries[-1], dict) else None
    if not isinstance(last, str) or not last:
        raise answers.mismatch("missing:id", "The last entry of the page has no id to go on from.", field="id")
    if last == after:
        raise answers.mismatch("repeated_cursor", "Stripe answered the same place in the list again.", field="id")
    return {"starting_after": last, "created_from": int(created_from.timestamp()) if created_from else None}


def _objects(entries: list[Any], resource: str, as_of: datetime) -> tuple[Item, ...]:
    return tuple(read_object(entry, resource, f"/data/{place}", as_of) for place, entry in enumerate(entries))


def _events(entries: list[Any]) -> tuple[Item, ...]:
    """Return the events that tell us something. The log holds all of the account, and the page is kept."""
    items = (read_event(entry, f"/data/{place}") for place, entry in enumerate(entries))
    return tuple(item for item in items if not item.ignored)
