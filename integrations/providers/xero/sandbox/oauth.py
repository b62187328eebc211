"""Tokens: access tokens of 30 minutes, refresh tokens for one use.

Source: https://developer.xero.com/documentation/guides/oauth2/token-types and …/auth-flow
"""

import base64
import binascii
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote

from integrations.providers.xero.sandbox.formats import JSON
from integrations.providers.xero.sandbox.refusals import Refused, unauthorized

ACCESS_LIFETIME = 1800.0
REFRESH_LIFETIME = 60 * 86_400.0
GRACE = 1800.0
SCOPE = "offline_access accounting.contacts accounting.settings accounting.transactions"
CLIENT_ID = "5A4D9C0E1B7F4E2FA6C3D8B19E7043C2"
CLIENT_SECRET = "sandbox-secret-of-the-app-0001"  # noqa: S105 - opens a sandbox on 127.0.0.1


@dataclass
class Pair:
    """An access token and the refresh token that came with it; `replaced_by` once that was used, `at`."""

    access: str
    refresh: str
    access_until: float
    refresh_until: float
    replaced_by: "Pair | None" = None
    replaced_at: float = 0.0


class Tokens:
    """Every pair that was given out, and how often."""

    def __init__(self, now: float) -> None:
        self._by_access: dict[str, Pair] = {}
        self._by_refresh: dict[str, Pair] = {}
        self.refreshes = 0
        self.refreshes_repeated = 0
        self.refreshes_refused = 0
        self.latest = self.give(now)

    def give(self, now: float) -> Pair:
        """A new pair."""
        pair = Pair(
            "sandbox-access-" + secrets.token_urlsafe(48),
            "sandbox-refresh-" + secrets.token_urlsafe(32),
            now + ACCESS_LIFETIME,
            now + REFRESH_LIFETIME,
        )
        self._by_access[pair.access] = pair
        self._by_refresh[pair.refresh] = pair
        self.latest = pair
        return pair

    def admit(self, refresh: str, now: float) -> None:
        """Know a refresh token that was agreed before we ran; one that is known stays as it is."""
        pair = Pair(
            "sandbox-access-" + secrets.token_urlsafe(48), refresh, now + ACCESS_LIFETIME, now + REFRESH_LIFETIME
        )
        if refresh not in self._by_refresh:
            self._by_access[pair.access], self._by_refresh[refresh] = pair, pair

    def expire(self, now: float, *, refresh: bool = False) -> None:
        """Every access token ends now; with `refresh`, the refresh tokens too."""
        for pair in self._by_access.values():
            pair.access_until = min(pair.access_until, now)
            if refresh:
                pair.refresh_until = min(pair.refresh_until, now)

    def check(self, authorization: str, now: float) -> None:
        """Raise `Refused` 401 unless the header holds a valid access token."""
        scheme, _, token = authorization.partition(" ")
        pair = self._by_access.get(token.strip()) if scheme.lower() == "bearer" else None
        if pair is None:
            raise unauthorized("AuthenticationUnsuccessful")
        if pair.access_until <= now:
            at = datetime.fromtimestamp(pair.access_until, UTC)
            raise unauthorized(f"TokenExpired: token expired at {at:%m/%d/%Y %H:%M:%S}")

    def exchange(self, authorization: str, form: dict[str, str], now: float) -> JSON:
        """The answer of the token endpoint. Raises `Refused` 400."""
        if _client(authorization, form) != (CLIENT_ID, CLIENT_SECRET):
            raise Refused(400, {"error": "invalid_client"})
        if form.get("grant_type") != "refresh_token":
            raise Refused(400, {"error": "unsupported_grant_type"})
        pair = self._refresh(form.get("refresh_token", ""), now)
        return {
            "access_token": pair.access,
            "expires_in": int(ACCESS_LIFETIME),
            "token_type": "Bearer",
            "refresh_token": pair.refresh,
            "scope": SCOPE,
        }

    def _refresh(self, token: str, now: float) -> Pair:
        pair = self._by_refresh.get(token)
        if pair is not None and pair.refresh_until > now:
            if pair.replaced_by is None:
                self.refreshes += 1
                pair.replaced_by, pair.replaced_at = self.give(now), now
                return pair.replaced_by
            if now - pair.replaced_at <= GRACE:
                self.refreshes_repeated += 1
                return pair.replaced_by
        self.refreshes_refused += 1
        raise Refused(400, {"error": "invalid_grant"})


def _client(authorization: str, form: dict[str, str]) -> tuple[str, str]:
    """Who asks: by HTTP Basic, or in the form."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote(name), unquote(secret)
