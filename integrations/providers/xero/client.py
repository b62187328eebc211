"""Requests to Xero's accounting API, and the settings that they need.

https://developer.xero.com/documentation/api/accounting/overview
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, field_validator

from integrations.providers.address import safe_address
from integrations.providers.base import NAMES_ACCOUNT, RECEIVES_SECRETS, Access, Request, Response, Transport
from integrations.providers.xero.days import UTC_ZONE, known_zone
from integrations.providers.xero.errors import classify

API_VERSION: Final = "2.0"
ACCESS_TOKEN: Final = "access_token"  # noqa: S105 - the name under which it is kept
#: How many objects travel in one request: Xero advises 50 at most, and takes larger ones slowly.
BATCH: Final = 50
#: How many objects are asked for by their ids: so many keep the address below 2,048 characters.
TOGETHER: Final = 40
_UUID: Final = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


@dataclass(frozen=True)
class Endpoint:
    """How a resource is called in the API: its path and list, its id, and the field that tells whose it is.

    Xero keeps what is sold and what is bought in one list; only what is sold is ours (`kind`).
    """

    path: str
    id: str
    type_field: str = ""
    kind: str = ""
    #: The field into which our operation id is written.
    operation: str = "Reference"


ENDPOINTS: Final = {
    "contact": Endpoint("Contacts", "ContactID", operation="ContactNumber"),
    "invoice": Endpoint("Invoices", "InvoiceID", "Type", "ACCREC"),
    "payment": Endpoint("Payments", "PaymentID", "PaymentType", "ACCRECPAYMENT"),
    "credit_note": Endpoint("CreditNotes", "CreditNoteID", "Type", "ACCRECCREDIT"),
}


class XeroSettings(BaseModel):
    """Settings of one connection to Xero: which organisation, as which app, and how we book."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: str = Field(
        pattern=f"^{_UUID}$",
        title="Organisation",
        description="Xero's tenant id of the organisation, a UUID. It stays once anything was read or asked for.",
        json_schema_extra={NAMES_ACCOUNT: True},
    )
    client_id: str = Field(
        min_length=8, max_length=200, title="Client id", description="Of the app at developer.xero.com"
    )
    sales_account: str = Field(
        default="200",
        pattern=r"^\w{1,10}$",
        title="Sales account",
        description="Code of the account that invoices go to",
    )
    payment_account: str = Field(
        default="090",
        pattern=r"^\w{1,10}$",
        title="Payment account",
        description="Code of the account that is paid into",
    )
    tax_type: str = Field(
        default="OUTPUT", pattern=r"^\w{1,50}$", title="Tax type", description="Of invoices with tax, as Xero calls it"
    )
    time_zone: str = Field(
        default=UTC_ZONE,
        max_length=60,
        title="Time zone",
        description="Of the organisation at Xero, by its IANA name, such as Pacific/Auckland: its days count there",
    )
    page_size: int = Field(default=1000, ge=1, le=1000, title="Objects per page")
    api_base: str = Field(
        default="https://api.xero.com",
        title="Address of the API",
        description="https, or http on this machine only. Tokens go there, so it cannot be changed later.",
        json_schema_extra={RECEIVES_SECRETS: True},
    )
    identity_base: str = Field(
        default="https://identity.xero.com",
        title="Address of the identity server",
        description="https, or http on this machine only. The client secret goes there, so it cannot be changed later.",
        json_schema_extra={RECEIVES_SECRETS: True},
    )

    _safe = field_validator("api_base", "identity_base")(safe_address)
    _known = field_validator("time_zone")(known_zone)


def settings_of(access: Access) -> XeroSettings:
    """Return the connection's settings in their own type."""
    settings = access.settings
    return settings if isinstance(settings, XeroSettings) else XeroSettings.model_validate(settings.model_dump())


def headers(access: Access, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the headers of a request about the organisation."""
    return {
        "authorization": f"Bearer {access.secrets[ACCESS_TOKEN]}",
        "xero-tenant-id": settings_of(access).tenant_id,
        "accept": "application/json",
        **(more or {}),
    }


def url_of(access: Access, resource: str, external_id: str = "") -> str:
    """Return the address of a list or of one object. Ids may be anything, so they are quoted."""
    base = f"{settings_of(access).api_base}/api.xro/{API_VERSION}/{ENDPOINTS[resource].path}"
    return f"{base}/{quote(external_id, safe='')}" if external_id else base


def get(
    access: Access,
    transport: Transport,
    url: str,
    query: tuple[tuple[str, str], ...] = (),
    more: Mapping[str, str] | None = None,
) -> Response:
    """Send one GET and return whatever is answered; the transport raises `Fault` when nothing is."""
    return transport(Request("GET", url, query, headers(access, more)))


def get_well(
    access: Access,
    transport: Transport,
    url: str,
    query: tuple[tuple[str, str], ...] = (),
    more: Mapping[str, str] | None = None,
) -> Response:
    """Send one GET and return a successful answer. Raises `Fault`."""
    response = get(access, transport, url, query, more)
    fault = classify(response)
    if fault:
        raise fault
    return response


def list_query(resource: str, page: int, size: int) -> tuple[tuple[str, str], ...]:
    """Return the query of one page.

    Ordered by id, which never changes: what is altered while a run pages keeps its place, and what is new moves
    others back and none forward past us.
    """
    endpoint = ENDPOINTS[resource]
    query = [("page", str(page)), ("pageSize", str(size)), ("order", f"{endpoint.id} ASC")]
    if resource == "contact":
        query.append(("includeArchived", "true"))
    return tuple(query)


def ids_query(resource: str, external_ids: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the query for some objects by their ids. Only with a page are they shown whole, with their payments."""
    query = [("IDs", ",".join(external_ids)), ("page", "1")]
    if resource == "contact":
        query.append(("includeArchived", "true"))
    return tuple(query)


def modified_since(moment: datetime | None) -> dict[str, str]:
    """Return the header that limits a list to what was created or changed since then."""
    return {"if-modified-since": f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"} if moment else {}
