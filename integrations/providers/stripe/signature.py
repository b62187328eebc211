"""Webhook signatures. https://docs.stripe.com/webhooks#verify-manually"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from stripe import SignatureVerificationError, WebhookSignature

from integrations.providers.base import BadSignature

#: Seconds by which the signed time may differ from ours, in either direction.
TOLERANCE: Final = 300
_HEADER: Final = "stripe-signature"


def verify(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime) -> int:
    """Return the index of the secret that signed `body`. Raises `BadSignature`.

    The official check compares with the clock of the process and lets any future time pass; here the
    given `now` counts, and the tolerance is the same both ways.
    """
    header = headers.get(_HEADER, "")
    if not header:
        raise BadSignature("there is no Stripe-Signature header")
    if not header.isascii():  # the official check compares texts, and cannot compare these
        raise BadSignature("the Stripe-Signature header is not ASCII")
    _check_time(_signed_at(header), now)
    for index, secret in enumerate(secrets):
        if _fits(body, header, secret):
            return index
    raise BadSignature(f"no signature fits any of {len(secrets)} valid secrets")


def _signed_at(header: str) -> int:
    # The first `t` counts, as in the official package: the one that is also signed.
    for part in header.split(","):
        name, _, value = part.partition("=")
        if name == "t":
            try:
                return int(value)
            except ValueError:
                break
    raise BadSignature("the Stripe-Signature header has no time")


def _check_time(signed_at: int, now: datetime) -> None:
    off = int(now.timestamp()) - signed_at
    if off > TOLERANCE:
        raise BadSignature(f"the signature is older than {TOLERANCE} s")
    if off < -TOLERANCE:
        raise BadSignature(f"the signature's time is more than {TOLERANCE} s ahead of ours")


def _fits(body: bytes, header: str, secret: str) -> bool:
    try:
        return bool(WebhookSignature.verify_header(body, header, secret))
    except UnicodeDecodeError:
        # The official check reads text only, Stripe signs bytes: a body in no encoding is still evidence.
        return _fits_bytes(body, header, secret)
    except SignatureVerificationError:
        return False


def _fits_bytes(body: bytes, header: str, secret: str) -> bool:
    expected = hmac.new(secret.encode(), b"%d." % _signed_at(header) + body, sha256).hexdigest()
    given = [part[3:] for part in header.split(",") if part.startswith("v1=")]
    return bool(secret) and any(hmac.compare_digest(expected.encode(), value.encode()) for value in given)
