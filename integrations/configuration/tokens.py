"""Secrets of single use: spent for fresh ones by one worker at a time, and kept before they are used.

The fresh secrets of a credential form a chain of versions. Whoever finds the newest one about to expire takes a lease
on it, asks the provider without a transaction, and commits the next version; only then is that used. Others wait for
it, for a while. A worker that dies before it commits leaves the version before: the next one spends that again, which
providers allow for a time exactly because answers get lost.
"""

import json
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from integrations.boundary.client import Exchanges, OpenTransaction
from integrations.boundary.limits import Leave
from integrations.boundary.vault import seal, unseal
from integrations.failures.categories import Category, Fault, NotYet
from integrations.models import Credential, CredentialState, Token
from integrations.providers import get_adapter
from integrations.providers.base import Access

#: Fresh secrets are asked for so long before the old ones end.
EARLY: Final = timedelta(minutes=2)
#: While another worker refreshes, old ones that are good for so long still serve.
ENOUGH: Final = timedelta(seconds=45)
#: Seconds that one waits for another worker's refresh before the work is put back.
PATIENCE: Final = 10.0
#: Seconds after which work that was put back comes again.
COME_AGAIN: Final = 2.0
_FIRST_LOOK: Final = 0.02
_LONGEST_LOOK: Final = 0.5
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def fresh(credential: Credential, access: Access, *, anew: bool = False) -> dict[str, str]:
    """Return the secrets in force that a credential of single use has come to, refreshed where they are about to end.

    `access` holds the other secrets that a refresh needs. `anew` refreshes whatever is in force, which proves those.
    Raises `Fault` where the provider refuses, and `NotYet` where another worker takes long over it.
    """
    token = in_force(credential)
    known, patience, look = token.version, monotonic() + PATIENCE, _FIRST_LOOK
    while True:
        done = not anew or token.version > known
        if done and token.expires_at > timezone.now() + EARLY:
            return _opened(token)
        if owner := _lease(token):
            return _refresh(token, access, owner)
        if done and token.expires_at > timezone.now() + ENOUGH:
            return _opened(token)
        if monotonic() >= patience:
            raise NotYet.until(COME_AGAIN, "Another worker is refreshing its tokens")
        threading.Event().wait(look)
        look = min(2 * look, _LONGEST_LOOK)
        token = in_force(credential)


def in_force(credential: Credential) -> Token:
    """Return the newest version of what a credential has come to; the first is the credential itself, never used."""
    found = Token.objects.filter(credential=credential, replaced_at=None).first()
    if found is not None:
        return found
    first = {"secrets": _sealed({credential.purpose: unseal(credential.secret).decode()})}
    Token.objects.get_or_create(
        credential=credential, version=1, defaults={**first, "expires_at": _NEVER, "made_at": timezone.now()}
    )
    return Token.objects.get(credential=credential, replaced_at=None)


def _lease(token: Token) -> uuid.UUID | None:
    """Take the right to refresh; None where another has it, or has done it."""
    now, owner = timezone.now(), uuid.uuid4()
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    until = now + timedelta(seconds=2 * settings.PROVIDER_TIMEOUT + 10)
    taken = Token.objects.filter(free, pk=token.pk, replaced_at=None).update(leased_by=owner, leased_until=until)
    return owner if taken else None


def _refresh(token: Token, access: Access, owner: uuid.UUID) -> dict[str, str]:
    connection = token.credential.connection
    # Its requests go to the provider's identity server, which the limits of its API do not count.
    exchanges = Exchanges(connection, leave=Leave(connection))
    spent = Access(access.settings, {**access.secrets, **_opened(token)})
    try:
        if database.in_atomic_block:
            raise OpenTransaction("refresh of tokens")
        renewed = get_adapter(connection.provider).refresh(spent, exchanges)
    except BaseException:
        Token.objects.filter(pk=token.pk, leased_by=owner).update(leased_by=None, leased_until=None)
        raise
    return _opened(_keep(token, renewed.secrets, renewed.expires_at))


@transaction.atomic
def _keep(token: Token, secrets: Mapping[str, str], expires_at: datetime) -> Token:
    """Commit the next version; return the one in force, which is another's where our lease ended under way."""
    # Before its tokens, as whoever revokes it locks them.
    credential = Credential.objects.select_for_update(no_key=True).get(pk=token.credential_id)
    if credential.state == CredentialState.REVOKED:
        raise _revoked(credential)
    held = Token.objects.select_for_update(of=("self",)).get(pk=token.pk)
    if held.replaced_at:
        return Token.objects.get(credential=held.credential_id, replaced_at=None)
    now = timezone.now()
    held.replaced_at, held.leased_by, held.leased_until = now, None, None
    held.save(update_fields=["replaced_at", "leased_by", "leased_until"])
    # What was spent twice over opens nothing any more.
    Token.objects.filter(credential=held.credential_id, version__lt=held.version).exclude(secrets=b"").update(
        secrets=b""
    )
    return Token.objects.create(
        credential_id=held.credential_id,
        version=held.version + 1,
        secrets=_sealed(secrets),
        expires_at=expires_at,
        made_at=now,
    )


def _sealed(secrets: Mapping[str, str]) -> bytes:
    return seal(json.dumps(dict(secrets)).encode())


def empty(credential: Credential) -> None:
    """Forget what a credential that was revoked has come to; call inside the transaction that holds its lock."""
    Token.objects.filter(credential=credential).exclude(secrets=b"").update(secrets=b"")


def _revoked(credential: Credential) -> Fault:
    return Fault(Category.AUTHENTICATION, f"revoked:{credential.purpose}", "The credential was revoked meanwhile")


def _opened(token: Token) -> dict[str, str]:
    if not token.secrets:
        raise _revoked(token.credential)
    secrets: dict[str, str] = json.loads(unseal(token.secrets))
    return secrets
