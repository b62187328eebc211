"""What every request carries: its id, who acts, and the space (tenant and environment) that it is about."""

import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from integrations.journal.actor import Actor
from integrations.models import Connection, Environment, Tenant


@dataclass
class Space:
    """One tenant in one environment: live and test never share a list."""

    tenant: Tenant
    environment: str
    connections: list[Connection]

    @cached_property
    def connection_ids(self) -> frozenset[int]:
        return frozenset(connection.pk for connection in self.connections)

    @property
    def args(self) -> tuple[str, str]:
        return self.tenant.slug, self.environment

    @property
    def here(self) -> dict[str, Any]:
        """What a row of this space has, as a query asks for it."""
        return {"tenant": self.tenant, "environment": self.environment}

    @property
    def url(self) -> str:
        return reverse("overview", args=self.args)

    def connection(self, pk: int) -> Connection:
        """Return one of its connections by id; raises Http404."""
        for connection in self.connections:
            if connection.pk == pk:
                return connection
        raise Http404


class RequestMiddleware:
    """Give each request an id, and say it in the answer, so that support can name it; keep answers out of caches."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        request.request_id = f"req_{secrets.token_hex(8)}"
        response = self.get_response(request)
        response["X-Request-Id"] = request.request_id
        if not response.has_header("Cache-Control"):
            # A page may hold what only this person may see, and the next one uses the same browser.
            response["Cache-Control"] = "private, no-store"
        return response


def enter(request: Any, tenant: str, environment: str) -> None:
    """Set `request.space` and `request.actor`; raises Http404 where the person may see nothing."""
    if environment not in Environment.values:
        raise Http404
    visible = Connection.objects.visible_to(request.user).filter(tenant__slug=tenant, environment=environment)
    connections = list(visible.select_related("tenant").order_by("name"))
    found = connections[0].tenant if connections else Tenant.objects.filter(slug=tenant).first()
    if found is None or not (connections or request.user.powers.knows(found.pk)):
        raise Http404
    request.space = Space(found, environment, connections)
    request.actor = actor_of(request)


def actor_of(request: Any) -> Actor:
    """Return who acts, for the journal: with the roles that they hold in this space, and none from elsewhere."""
    user = request.user
    space = getattr(request, "space", None)
    roles, roles_at = "", {}
    if space is not None:
        held = list(user.grants.filter(tenant=space.tenant).values_list("role", "connection_id"))
        roles = _roles(held, space.connection_ids)
        roles_at = {pk: _roles(held, [pk]) for pk in space.connection_ids}
    return Actor(
        id=user.pk,
        name=user.name,
        role=roles,
        roles_at=roles_at,
        address=request.META.get("REMOTE_ADDR", "") or "",
        request_id=request.request_id,
    )


def _roles(held: Iterable[tuple[str, int | None]], connection_ids: Collection[int]) -> str:
    """Return in words which of some (role, connection) hold at the whole tenant, or at some of its connections."""
    return ", ".join(sorted({role for role, pk in held if pk is None or pk in connection_ids}))
