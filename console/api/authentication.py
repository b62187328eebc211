"""Who asks by the API: a token, and the person whom it belongs to."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from console.models import Token, User
from console.tokens import keys


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`; nothing else opens the API, so no other site can use a browser's session."""

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        """Return the person and the token; None without one. Raises 401 and 429."""
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            token = keys.use(secret.strip())
        except keys.TooMany as many:
            raise Throttled(
                wait=many.seconds, detail="This token sends more requests than it may in a minute."
            ) from many
        except keys.Expired as over:
            raise AuthenticationFailed(
                f"This token ended on {over.at:%Y-%m-%d} at {over.at:%H:%M} UTC. Make another one."
            ) from over
        if token is None or not token.user.is_active:
            raise AuthenticationFailed("This token opens nothing: it is wrong, or was revoked.")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 asks for."""
        return 'Bearer realm="api"'
