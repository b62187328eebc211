"""OAuth 2 with refresh tokens of single use. https://developer.xero.com/documentation/guides/oauth2/auth-flow

An access token lives for 30 minutes. A refresh token is spent for the next pair; whose answer was lost may spend it
again for 30 minutes.
"""

import json
from base64 import b64encode
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from integrations.failures.categories import Category, Fault
from integrations.providers.answers import mismatch, name_in, read_json
from integrations.providers.base import Access, Renewed, Request, Response, Transport
from integrations.providers.xero.client import ACCESS_TOKEN, settings_of
from integrations.providers.xero.errors import classify

REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - the name under which it is kept
CLIENT_SECRET: Final = "client_secret"  # noqa: S105 - the name under which it is kept
_LONGEST: Final = 10_000
#: What the identity server says -> which secret is wrong, and how.
_REFUSALS: Final = {
    "invalid_grant": (REFRESH_TOKEN, "Xero does not accept the refresh token: it was used elsewhere, or is too old."),
    "invalid_client": (CLIENT_SECRET, "Xero does not accept the client id with the client secret."),
    "unauthorized_client": (CLIENT_SECRET, "Xero does not let this app refresh tokens."),
}


def refresh(access: Access, transport: Transport) -> Renewed:
    """Return the next pair of tokens. Raises `Fault`."""
    settings = settings_of(access)
    who = f"{quote(settings.client_id, safe='')}:{quote(access.secrets[CLIENT_SECRET], safe='')}"
    form = {"grant_type": "refresh_token", "refresh_token": access.secrets[REFRESH_TOKEN]}
    headers = {
        "authorization": f"Basic {b64encode(who.encode()).decode()}",
        "content-type": "application/x-www-form-urlencoded",
        "accept": "application/json",
    }
    response = transport(
        Request("POST", f"{settings.identity_base}/connect/token", headers=headers, body=urlencode(form).encode())
    )
    fault = _refused(response) or classify(response)
    if fault:
        raise fault
    return _pair(read_json(response.body), response)


def _refused(response: Response) -> Fault | None:
    if response.status not in (400, 401):
        return None
    try:
        word = json.loads(response.body)["error"]
        field, said = _REFUSALS[word]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return Fault(Category.AUTHENTICATION, str(word), said, field=field)


def _pair(answer: Any, response: Response) -> Renewed:
    if not isinstance(answer, dict):
        raise mismatch("wrong_object", "Xero answered something that is no pair of tokens.")
    seconds = answer.get("expires_in")
    if type(seconds) is not int or not 0 < seconds <= 86_400:
        raise mismatch("wrong_type:expires_in", "Xero does not say for how long the access token is good.")
    secrets = {name: name_in(answer, name, _LONGEST) for name in (ACCESS_TOKEN, REFRESH_TOKEN)}
    return Renewed(secrets, response.received_at + timedelta(seconds=seconds))
