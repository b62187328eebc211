"""Signing in: nobody signs up by themselves, and every sign-in is in the journal."""

from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest

from console.models import User
from console.spaces import spaces_of
from console.tokens import keys
from console.wording import count
from integrations.journal.actor import Actor
from integrations.journal.write import Entry, write
from integrations.models import Lane


class ClosedSignup(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return False: accounts are made by administrators."""
        return False

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the link at our public address, whatever host and scheme the request came by."""
        path = urlsplit(super().get_reset_password_from_key_url(key)).path
        return f"{settings.PUBLIC_URL.rstrip('/')}{path}"


class ClosedSocialSignup(DefaultSocialAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Return False: single sign-on opens existing accounts only."""
        return False


def note_sign_in(request: HttpRequest, user: Any, **_: Any) -> None:
    """Write a sign-in to the journal of each space that the person enters by it."""
    _note(request, user, "person.signed_in", f"{user.name} signed in")


def note_sign_out(request: HttpRequest, user: Any, **_: Any) -> None:
    """Write a sign-out to the journal, where somebody was signed in at all."""
    if user is not None and user.is_authenticated:
        _note(request, user, "person.signed_out", f"{user.name} signed out")


def revoke_tokens(request: HttpRequest, user: Any, **_: Any) -> None:
    """End a person's API tokens with a new password: who sets one may fear that somebody else knows what they know."""
    actor = _actor(request, user)
    number = keys.revoke_all(user, actor=actor, reason="They set a new password")
    if number:
        messages.warning(request, f"{count(number, 'API token')} of yours {'was' if number == 1 else 'were'} revoked.")


def note_refusal(request: HttpRequest | None = None, credentials: Any = None, **_: Any) -> None:
    """Write a sign-in that failed to the journal of the spaces of the person whose address was used."""
    given = credentials or {}
    email = given.get("email") or given.get("login") or given.get("username")
    user = User.objects.filter(email__iexact=str(email)).first() if email else None
    if request is not None and user is not None:
        _note(request, user, "person.refused", f"A sign-in as {user.name} failed")


def _actor(request: HttpRequest, user: User) -> Actor:
    return Actor(user.pk, user.name, "", request.META.get("REMOTE_ADDR") or "", getattr(request, "request_id", ""))


def _note(request: HttpRequest, user: User, action: str, summary: str) -> None:
    actor = _actor(request, user)
    write(
        Entry(
            tenant_id=way.tenant.pk,
            environment=way.environment,
            lane=Lane.PEOPLE,
            action=action,
            summary=summary,
            outcome=action.partition(".")[2].replace("_", " "),
            actor=actor,
        )
        for way in spaces_of(user)
    )
