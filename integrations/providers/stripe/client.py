"""Requests to Stripe's API, and the settings that they need."""

from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, field_validator

from integrations.providers.address import safe_address
from integrations.providers.base import RECEIVES_SECRETS, Access, Request, Response, Transport
from integrations.providers.stripe.errors import classify

#: The version whose shape the mapping is written for: the one that the pinned `stripe` package speaks.
API_VERSION: Final = "2026-10-28.endive"

API_KEY: Final = "api_key"
#: resource -> its path in the API
PATHS: Final = {
    "customer": "/v1/customers",
    "invoice": "/v1/invoices",
    "payment_intent": "/v1/payment_intents",
    "refund": "/v1/refunds",
    "event": "/v1/events",
}
#: resource -> what is asked for in full, not by id. Only the charge tells what was refunded.
EXPANDED: Final = {"payment_intent": "latest_charge"}


class StripeSettings(BaseModel):
    """Settings of one connection to Stripe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_base: str = Field(
        default="https://api.stripe.com",
        title="Address of the API",
        description="https, or http on this machine only. The API key goes there, so it cannot be changed later.",
        json_schema_extra={RECEIVES_SECRETS: True},
    )
    account: str = Field(default="", max_length=200, title="Account", description="What you call this account")
    page_size: int = Field(default=100, ge=1, le=100, title="Objects per page")
    timeout: float = Field(default=20, gt=0, le=80, title="Seconds to wait for an answer")

    _safe = field_validator("api_base")(safe_address)


def get(access: Access, transport: Transport, path: str, query: tuple[tuple[str, str], ...] = ()) -> Response:
    """Send one GET and return whatever is answered; the transport raises `Fault` when nothing is."""
    return transport(Request("GET", settings_of(access).api_base + path, query, headers(access)))


def headers(access: Access) -> dict[str, str]:
    """Return the headers of every request."""
    return {
        "authorization": f"Bearer {access.secrets[API_KEY]}",
        "stripe-version": API_VERSION,
        "accept": "application/json",
    }


def get_well(access: Access, transport: Transport, path: str, query: tuple[tuple[str, str], ...] = ()) -> Response:
    """Send one GET and return a successful answer. Raises `Fault`."""
    response = get(access, transport, path, query)
    fault = classify(response)
    if fault:
        raise fault
    return response


def settings_of(access: Access) -> StripeSettings:
    """Return the connection's settings in their own type."""
    settings = access.settings
    return settings if isinstance(settings, StripeSettings) else StripeSettings.model_validate(settings.model_dump())


def object_path(resource: str, external_id: str) -> str:
    """Return the path of one object. Ids may be chosen by people, so they are quoted."""
    return f"{PATHS[resource]}/{quote(external_id, safe='')}"


def list_query(
    resource: str, *, limit: int, after: str | None, created_from: datetime | None
) -> tuple[tuple[str, str], ...]:
    """Return the query of one page."""
    query: list[tuple[str, Any]] = [("limit", limit)]
    if after:
        query.append(("starting_after", after))
    if created_from:
        query.append(("created[gte]", int(created_from.timestamp())))
    if resource in EXPANDED:
        query.append(("expand[]", f"data.{EXPANDED[resource]}"))
    return tuple((name, str(value)) for name, value in query)
