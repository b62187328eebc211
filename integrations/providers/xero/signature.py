"""Webhook signatures: base64 of HMAC-SHA256 over the body, which carry no time.

https://developer.xero.com/documentation/guides/webhooks/configuring-your-server
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from integrations.providers.base import BadSignature

_HEADER: Final = "x-xero-signature"


def sign(body: bytes, secret: str) -> str:
    """Return the signature of `body`."""
    return b64encode(hmac.new(secret.encode(), body, sha256).digest()).decode()


def verify(body: bytes, headers: Mapping[str, str], secrets: Sequence[str]) -> int:
    """Return the index of the secret that signed `body`. Raises `BadSignature`."""
    given = headers.get(_HEADER, "").strip().encode("utf-8", "replace")
    if not given:
        raise BadSignature("there is no x-xero-signature header")
    for index, secret in enumerate(secrets):
        if secret.strip() and hmac.compare_digest(sign(body, secret).encode(), given):
            return index
    raise BadSignature(f"the signature fits none of {len(secrets)} valid secrets")
