"""Xero: contacts, sales invoices, payments and credit notes of one organisation, read and written.

Lists are paged by number and filtered by `If-Modified-Since`. They hold what was deleted, with a status that says so.
Webhooks are thin: they name what changed, and there are none about payments; the next resync brings those. What they
name is fetched by its id: contacts and invoices many at once, credit notes one by one.

A webhook tells of every organisation that uses the app. What is another's is not found here, and nothing comes of it.
"""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
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
from integrations.providers.xero import client, effects, errors, signature, tokens, writing
from integrations.providers.xero.client import API_VERSION, ENDPOINTS, XeroSettings, settings_of
from integrations.providers.xero.days import zone_in
from integrations.providers.xero.exporting import XeroExporter
from integrations.providers.xero.reading import IGNORED, has_more, is_ours, read_items, read_webhook

MAPPING: Final = files("integrations.providers.xero").joinpath("mapping.toml").read_bytes()
#: Messages quote what was sent, as the name of a contact; what they say is in words of ours beside them.
_SENSITIVE: Final = """
AccountNumber AddressLine1 AddressLine2 AddressLine3 AddressLine4 AttentionTo BankAccountDetails BankAccountName
BankAccountNumber City CompanyNumber Country Details EmailAddress FirstName LastName Message Name OnlineInvoiceUrl
Particulars PhoneAreaCode PhoneCountryCode PhoneNumber PostalCode Region SkypeUserName TaxNumber TrackingCategoryName
Url Website XeroNetworkKey
"""


def _statuses() -> dict[str, dict[str, str]]:
    return {name: table["states"] for name, table in tomllib.loads(MAPPING.decode()).items()}


class XeroAdapter:
    """Answers the engine's questions about Xero. Holds no state."""

    slug: ClassVar[str] = "xero"
    title: ClassVar[str] = "Xero"
    api_version: ClassVar[str] = API_VERSION
    settings_schema: ClassVar[type[BaseModel]] = XeroSettings
    secrets: ClassVar[tuple[SecretSpec, ...]] = (
        SecretSpec(
            name="client_secret",
            title="Client secret",
            hint="Of the app at developer.xero.com, under Configuration",
            verified_by="call",
            pattern=r"\S{8,200}",
        ),
        SecretSpec(
            name="refresh_token",
            title="Refresh token",
            hint="The newest that the app was given for this organisation, with the scopes offline_access, "
            "accounting.contacts and accounting.transactions; afterwards it is used by nobody else",
            verified_by="call",
            pattern=r"\S{8,1800}",
            single_use=True,
        ),
        SecretSpec(
            name="webhook_key",
            title="Webhook key",
            hint="Shown at the app's webhooks at developer.xero.com",
            verified_by="delivery",
            pattern=r"\S{8,200}",
        ),
    )
    streams: ClassVar[tuple[StreamSpec, ...]] = (
        StreamSpec("contact", "customer", "Contacts", every=900, fresh_within=3600, together=client.TOGETHER),
        StreamSpec("invoice", "invoice", "Invoices", every=900, fresh_within=3600, together=client.TOGETHER),
        StreamSpec("payment", "payment", "Payments", every=900, fresh_within=3600),
        StreamSpec("credit_note", "refund", "Credit notes", every=900, fresh_within=3600),
    )
    sensitive_fields: ClassVar[frozenset[str]] = frozenset(_SENSITIVE.split())
    ignored_events: ClassVar[frozenset[str]] = IGNORED
    #: https://developer.xero.com/documentation/webhooks/configuring-your-server: there is no body in the response.
    silent_answers: ClassVar[bool] = True
    statuses: ClassVar[Mapping[str, Mapping[str, str]]] = _statuses()
    actions: ClassVar[Mapping[str, ActionSpec]] = writing.ACTIONS
    #: Xero says that keys are remembered for minutes and not for how many.
    key_lifetime: ClassVar[timedelta] = timedelta(minutes=5)
    #: https://developer.xero.com/documentation/guides/oauth2/limits
    limits: ClassVar[Limits] = Limits(per_minute=60, per_day=5000, at_once=5)
    exporter: ClassVar[Exporter | None] = XeroExporter()

    # -- writing

    def compose(self, access: Access, intents: Sequence[Intent], key: str) -> Request:
        """Return the request for intents of one action; a result comes for each of them, refused or not."""
        action = intents[0].action
        endpoint = ENDPOINTS[writing.endpoint_of(action)]
        single = action in writing.SINGLE
        body = writing.body_of(settings_of(access), intents)
        return Request(
            method=writing.method_of(action),
            url=client.url_of(access, writing.endpoint_of(action), writing.payment_of(intents[0]) if single else ""),
            query=() if single else (("summarizeErrors", "false"),),
            headers=client.headers(access, {"content-type": "application/json", "idempotency-key": key}),
            body=body,
            places=("",) if single else tuple(f"/{endpoint.path}/{place}" for place in range(len(intents))),
        )

    def effects(self, intents: Sequence[Intent], response: Response) -> list[Effect]:
        """Read an answer: one effect for each intent, in order. Raises `Fault` where the whole was refused."""
        fault = self.classify(response)
        if fault:
            raise fault
        return effects.of_answer(intents, read_json(response.body))

    def find_effect(self, access: Access, transport: Transport, intent: Intent) -> tuple[Response, Effect | None]:
        """Look for what an intent made, by its operation id, or for the state of what it changed."""
        zone = settings_of(access).time_zone
        if not self.actions[intent.action].creates:
            response, found = self.fetch(access, transport, self.actions[intent.action].resource, intent.external_id)
            return response, _as_effect(intent, [found.item] if found.item else [], zone)
        # The list shows what was undone since, too: a credit note does not show a payment that was deleted.
        resource = writing.endpoint_of(intent.action)
        response = client.get_well(access, transport, client.url_of(access, resource), _made_by(resource, intent))
        items = read_items(read_json(response.body), resource, answers.as_of(response))
        return response, _as_effect(intent, items, zone)

    def operation_of(self, resource: str, obj: Mapping[str, Any]) -> str:
        """Return the operation id that an object carries, "" where it carries none."""
        return effects.operation_of(resource, obj)

    def shows(self, intent: Intent, obj: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        """Say whether an object has the effect of an intent."""
        return effects.shown(intent, obj, zone_in(settings))

    def came_to_nothing(self, resource: str, obj: Mapping[str, Any]) -> Fault | None:
        """What is in the books stands, until a person undoes it."""
        return None

    # -- reading

    def refresh(self, access: Access, transport: Transport) -> Renewed:
        """Spend the refresh token for the next pair."""
        return tokens.refresh(access, transport)

    def check(self, access: Access, transport: Transport) -> Account:
        """Prove the secrets; return the organisation. The app must have been admitted to it."""
        tenant_id = settings_of(access).tenant_id
        response = client.get_well(access, transport, f"{settings_of(access).api_base}/connections")
        admitted = read_json(response.body)
        if not isinstance(admitted, list):
            raise answers.mismatch("wrong_object", "Xero answered something that is no list of organisations.")
        for one in admitted:
            if isinstance(one, dict) and str(one.get("tenantId")).lower() == tenant_id.lower():
                name = one.get("tenantName")
                return Account(tenant_id.lower(), name if isinstance(name, str) and name else tenant_id)
        raise Fault(Category.AUTHORIZATION, "not_admitted", "The app was not admitted to this organisation.")

    def list_page(
        self, access: Access, transport: Transport, resource: str, cursor: dict[str, Any] | None, since: datetime | None
    ) -> tuple[Response, Page]:
        """Fetch one page of `resource`: what was created or changed after `since`, or everything."""
        page, start = _place(cursor, since)
        size = settings_of(access).page_size
        response = client.get_well(
            access,
            transport,
            client.url_of(access, resource),
            client.list_query(resource, page, size),
            client.modified_since(start),
        )
        answer, as_of = read_json(response.body), answers.as_of(response)
        items = read_items(answer, resource, as_of)
        more = has_more(answer, page, len(items), size)
        next_cursor = {"page": page + 1, "since": start.isoformat() if start else None} if more else None
        return response, Page(tuple(item for item in items if is_ours(item.obj, resource)), next_cursor, as_of)

    def fetch(self, access: Access, transport: Transport, resource: str, external_id: str) -> tuple[Response, Found]:
        """Fetch one object as it is now. What is bought is none of ours: as if it were not there."""
        response = client.get(access, transport, client.url_of(access, resource, external_id))
        as_of = answers.as_of(response)
        if errors.is_missing(response):
            return response, Found(None, as_of)
        fault = self.classify(response)
        if fault:
            raise fault
        items = read_items(read_json(response.body), resource, as_of)
        if len(items) != 1:
            raise answers.mismatch("wrong_count", f"Xero answered {len(items)} objects where one was asked for.")
        (item,) = items
        if item.external_id.lower() != external_id.lower():
            said = f"Xero answered another {resource} than was asked for."
            raise answers.mismatch("wrong_object", said, field=ENDPOINTS[resource].id)
        return response, Found(item if is_ours(item.obj, resource) else None, as_of)

    def fetch_several(
        self, access: Access, transport: Transport, resource: str, external_ids: Sequence[str]
    ) -> tuple[Response, dict[str, Found]]:
        """Fetch some contacts or invoices as they are now. What is bought is none of ours: as if it were not there.

        The lists of payments and of credit notes have no filter by ids, so those are fetched one by one. A condition
        (`where`) that names one id after the other would find them, and Xero advises against such.
        """
        query = client.ids_query(resource, external_ids)
        response = client.get_well(access, transport, client.url_of(access, resource), query)
        as_of = answers.as_of(response)
        shown = {item.external_id.lower(): item for item in read_items(read_json(response.body), resource, as_of)}
        return response, {
            external_id: Found(item if is_ours(item.obj, resource) else None, as_of)
            for external_id in external_ids
            if (item := shown.get(external_id.lower()))
        }

    # -- webhooks

    def verify(self, body: bytes, headers: Mapping[str, str], secrets: list[str], now: datetime) -> int:
        """Check a webhook's signature; return the index of the secret that fits. Raises `BadSignature`."""
        return signature.verify(body, headers, secrets)

    def parse(self, body: bytes, received_at: datetime) -> tuple[Item, ...]:
        """Read a webhook: one item an event, none in an intent-to-receive check. Raises `Fault`."""
        return read_webhook(read_json(body), received_at)

    def classify(self, response: Response) -> Fault | None:
        """Name what is wrong with an answer; None when it is a success."""
        return errors.classify(response)

    def remaining(self, response: Response) -> Remaining | None:
        """Return what is left for the organisation this minute and today."""
        return errors.remaining(response)


def _place(cursor: dict[str, Any] | None, since: datetime | None) -> tuple[int, datetime | None]:
    """Return (number of the page, changed since). A cursor keeps the start of its run."""
    if cursor is None:
        return 1, since
    start = cursor.get("since")
    return cursor["page"], datetime.fromisoformat(start) if start else None


def _made_by(resource: str, intent: Intent) -> tuple[tuple[str, str], ...]:
    """Return the query for objects that carry an operation id, whatever became of them."""
    operation = intent.operation_id
    if '"' in operation or "\\" in operation:
        raise Fault(Category.VALIDATION, "content:operation_id", "Xero cannot search for this operation id.")
    query = [("where", f'{ENDPOINTS[resource].operation}=="{operation}"'), ("page", "1")]
    if resource == "contact":
        query.append(("includeArchived", "true"))
    return tuple(query)


def _as_effect(intent: Intent, items: Sequence[Item], zone: str) -> Effect | None:
    """Return the first object that shows the effect of an intent."""
    for item in items:
        if effects.shown(intent, item.obj, zone):
            return Effect(effects.external_id_of(intent, item.obj), item.path, item.obj)
    return None
