"""Signatures of deliveries, as Standard Webhooks describes them (standardwebhooks.com, specification 1.0)."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable

#: How secrets begin as people see them; what follows is base64.
PREFIX = "whsec_"
#: Bytes of a new secret; the specification asks for 24 to 64.
LENGTH = 32


def new_secret() -> str:
    """Return a new secret as receivers are given it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(LENGTH)).decode()


def key_of(secret: str) -> bytes:
    """Return the bytes of a secret that sign; raises ValueError for what is none."""
    if not secret.startswith(PREFIX):
        raise ValueError("A signing secret begins with whsec_")
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("After whsec_ stands base64") from error


def signature(keys: Iterable[bytes], *, uid: str, stamp: int, body: bytes) -> str:
    """Return the header `webhook-signature`: one signature a key, separated by spaces.

    `stamp` is in seconds since 1970. While a secret rotates there are two keys, and receivers accept either.
    """
    signed = b"%s.%d.%s" % (uid.encode(), stamp, body)
    macs = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
    return " ".join(f"v1,{mac}" for mac in macs)
