"""The key that signs the journal's seals. Who verifies needs its public half only.

`JOURNAL_KEY` holds one or several (the first signs, all verify, so that a key can be replaced); where
it is empty, a key is made once in a file of DATA_DIR that its owner alone may read.
"""

import os
from base64 import b64decode, b64encode
from binascii import Error
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def key_file() -> Path:
    """Return where the key lies that nobody configured."""
    return Path(settings.DATA_DIR) / "journal.key"


def signing_key() -> Ed25519PrivateKey:
    """Return the key that signs; makes its file on first use."""
    keys = _private_keys()
    if keys:
        return keys[0]
    _make(key_file())
    return _private_keys()[0]


def public_keys() -> list[Ed25519PublicKey]:
    """Return the keys that signatures are checked with, none where no key is known here. Makes nothing."""
    return [key.public_key() for key in _private_keys()]


def public_text(key: Ed25519PublicKey) -> str:
    """Return a public key as people hand it on: base64 of its 32 bytes."""
    return b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def read_public(text: str) -> Ed25519PublicKey:
    """Return the key that `public_text` wrote; raises ValueError."""
    return Ed25519PublicKey.from_public_bytes(b64decode(text.strip(), validate=True))


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return what tells keys apart at a glance."""
    return f"ed25519:{sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:8]}"


def fits(signature: str, text: bytes, keys: list[Ed25519PublicKey]) -> bool:
    """Say whether one of `keys` signed `text`."""
    try:
        raw = b64decode(signature, validate=True)
    except Error:
        return False
    return any(_signed(key, raw, text) for key in keys)


def _signed(key: Ed25519PublicKey, signature: bytes, text: bytes) -> bool:
    try:
        key.verify(signature, text)
    except InvalidSignature:
        return False
    return True


def _private_keys() -> list[Ed25519PrivateKey]:
    if settings.JOURNAL_KEY:
        return [_private(text) for text in settings.JOURNAL_KEY.split(",")]
    try:
        return [_private(key_file().read_text())]
    except FileNotFoundError:
        return []


def _private(text: str) -> Ed25519PrivateKey:
    try:
        return Ed25519PrivateKey.from_private_bytes(b64decode(text.strip(), validate=True))
    except ValueError:
        raise ImproperlyConfigured("The journal's key is not base64 of 32 bytes") from None


def _make(path: Path) -> None:
    """Write a new key. Of two processes that come at once, the first wins and both read its key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(b64encode(Ed25519PrivateKey.generate().private_bytes_raw()))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
