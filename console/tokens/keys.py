"""Tokens of programs: made, used and revoked. The secret is shown once; only its digest is kept."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from console.models import Token, User
from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import Tenant
from integrations.workflow.errors import Refusal

#: Written before each secret, so that scanners of code find one that was left lying.
PREFIX = "ict_"
#: Characters of a secret after its prefix: 30 random bytes.
LENGTH = 40
LONGEST_NAME = 60
#: Tokens in force of one person in one environment.
MOST = 20
#: Days for which a token may be made.
LIFETIMES = (30, 90, 365)
USUAL = 90

# One statement finds the token, counts the request within its minute, and says how many there were.
USE = """
UPDATE console_token
SET requests = CASE WHEN minute = date_trunc('minute', now()) THEN requests + 1 ELSE 1 END,
    minute = date_trunc('minute', now()), last_used_at = now()
WHERE digest = %s AND revoked_at IS NULL AND expires_at > now()
RETURNING id, requests, minute
"""


@dataclass(frozen=True)
class TooMany(Exception):
    """More requests in a minute than a token may send; `seconds` until it may again."""

    seconds: int


@dataclass(frozen=True)
class Expired(Exception):
    """The token's time is over since `at`."""

    at: datetime


@transaction.atomic
def make(
    user: User, tenant: Tenant, environment: str, *, name: str, actor: Actor, days: int = USUAL
) -> tuple[Token, str]:
    """Make a token of a person for one environment and some days; returns it and its secret. Raises `Refusal`."""
    named = name.replace("\x00", "").strip()
    if not named:
        raise Refusal("Name what will use it.")
    if len(named) > LONGEST_NAME:
        raise Refusal(f"A name has at most {LONGEST_NAME} characters; this one has {len(named):,}.")
    if days not in LIFETIMES:
        raise Refusal(f"A token is made for {', '.join(map(str, LIFETIMES[:-1]))} or {LIFETIMES[-1]} days.")
    held = in_force(Token.objects.filter(user=user, tenant=tenant, environment=environment))
    if held.count() >= MOST:
        raise Refusal(f"You have {MOST} tokens here. Revoke one that nothing uses.")
    secret = PREFIX + secrets.token_urlsafe(30)
    token = Token.objects.create(
        user=user, tenant=tenant, environment=environment, name=named, digest=digest(secret), hint=f"…{secret[-4:]}",
        made_at=timezone.now(), expires_at=timezone.now() + timedelta(days=days),
    )  # fmt: skip
    summary = f"{actor.name} made the API token “{named}”, which ends on {token.expires_at:%Y-%m-%d}"
    _note(token, "token.made", summary, actor)
    return token, secret


def in_force(tokens: "QuerySet[Token]") -> "QuerySet[Token]":
    """Return those of some tokens that open something."""
    return tokens.filter(revoked_at=None, expires_at__gt=timezone.now())


@transaction.atomic
def revoke(token: Token, *, actor: Actor, reason: str) -> None:
    """End a token with the next request; raises `Refusal` where it ended before."""
    held = Token.objects.select_for_update(of=("self",), no_key=True).select_related("user").get(pk=token.pk)
    if held.revoked_at:
        raise Refusal(f"It was revoked by {held.revoked_by} already.")
    Token.objects.filter(pk=held.pk).update(revoked_at=timezone.now(), revoked_by=actor.name)
    whose = "" if held.user_id == actor.id else f" of {held.user.name}"
    _note(held, "token.revoked", f"{actor.name} revoked the API token “{held.name}”{whose}", actor, reason)


@transaction.atomic
def revoke_all(user: User, *, actor: Actor, reason: str) -> int:
    """End all tokens of a person with their next requests; return how many were in force."""
    held = in_force(Token.objects.filter(user=user)).order_by("pk").select_for_update(no_key=True)
    tokens = list(held)
    for token in tokens:
        revoke(token, actor=actor, reason=reason)
    return len(tokens)


def use(secret: str) -> Token | None:
    """Return the token of a secret and count the request; None for one that opens nothing.

    Raises `TooMany`, and `Expired` for one that would open something had its time not ended.
    """
    if not secret.startswith(PREFIX) or len(secret) != len(PREFIX) + LENGTH:
        return None
    with database.cursor() as cursor:
        cursor.execute(USE, [digest(secret)])
        row: tuple[int, int, datetime] | None = cursor.fetchone()
    if row is None:
        over = Token.objects.filter(digest=digest(secret), revoked_at=None).first()
        if over is not None:
            raise Expired(over.expires_at)
        return None
    pk, requests, minute = row
    if requests > settings.API_PER_MINUTE:
        raise TooMany(max(1, 60 - int((timezone.now() - minute).total_seconds())))
    return Token.objects.select_related("user", "tenant").get(pk=pk)


def digest(secret: str) -> bytes:
    """Return what is kept of a secret. It is random and long, so that no slow hash is needed."""
    return sha256(secret.encode(errors="replace")).digest()


def _note(token: Token, action: str, summary: str, actor: Actor, reason: str = "") -> None:
    data = {"name": token.name, "hint": token.hint, "user": token.user_id}
    write_act(token, action, summary, data=data, actor=actor, reason=reason)
