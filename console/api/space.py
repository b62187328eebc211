"""The one space that a token opens."""

from dataclasses import replace
from typing import Any

from rest_framework.views import APIView

from console.models import Token
from console.requests import enter


class SpaceView(APIView):
    """A view of the token's tenant and environment: `space` and `actor` are those of its person."""

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """Let nobody in without a token; raises 401, and 404 where the person may see nothing any more."""
        super().initial(request, *args, **kwargs)
        token: Token = request.auth
        plain = request._request
        plain.user = request.user
        enter(plain, token.tenant.slug, token.environment)
        self.space = plain.space
        self.actor = replace(plain.actor, name=f"{plain.actor.name}, by the token “{token.name}”"[:150])
