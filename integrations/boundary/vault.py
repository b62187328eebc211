"""Compression and encryption of what we keep: payload bodies and secrets.

Fernet (AES-128-CBC with HMAC-SHA256) by `cryptography`; `FIELD_KEYS` may hold several keys, the
first encrypts and all decrypt, so keys rotate without a stop.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cache
from threading import local

import zstandard
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_threads = local()


class Unreadable(Exception):
    """The stored bytes fit none of the keys in FIELD_KEYS."""


@cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise ImproperlyConfigured("FIELD_KEYS is empty: set at least one Fernet key")
    return MultiFernet([Fernet(key) for key in keys])


def _keys() -> MultiFernet:
    return _fernet(tuple(settings.FIELD_KEYS))


def seal(body: bytes) -> bytes:
    """Compress and encrypt `body`."""
    # One compressor a thread: zstandard's objects must not be shared.
    compressor = getattr(_threads, "compressor", None)
    if compressor is None:
        compressor = _threads.compressor = zstandard.ZstdCompressor(level=1)
    return urlsafe_b64decode(_keys().encrypt(compressor.compress(body)))


def unseal(token: bytes | memoryview) -> bytes:
    """Return the bytes that `seal` was given; raises `Unreadable`."""
    try:
        packed = _keys().decrypt(urlsafe_b64encode(bytes(token)))
    except InvalidToken as error:
        raise Unreadable("No key in FIELD_KEYS opens this") from error
    decompressor = getattr(_threads, "decompressor", None)
    if decompressor is None:
        decompressor = _threads.decompressor = zstandard.ZstdDecompressor()
    return decompressor.decompress(packed)
