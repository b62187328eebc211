"""Roles, what they may do, and the guards of views. The only place that calls guardian."""

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.contrib.auth.decorators import login_required
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse
from guardian.models import UserObjectPermission
from guardian.shortcuts import assign_perm, remove_perm

from console.models import Grant, Role, User
from integrations.models import Connection, Record, Scope, Tenant
from integrations.models.visibility import VisibleQuerySet

SEE = "see"

#: Who may do what: the table of the design, section "Roles".
ROLE_ACTIONS: dict[str, frozenset[str]] = {
    Role.SUPPORT: frozenset({SEE, "annotate", "resolve"}),
    Role.OPERATIONS: frozenset(
        {
            SEE, "annotate", "resolve", "replay", "pause", "reconcile", "settle_drift", "see_drift", "rotate",
            "dismiss", "command",
        }
    ),
    Role.FINANCE: frozenset({SEE, "annotate", "see_drift", "settle_drift", "export"}),
    Role.ENGINEER: frozenset(
        {
            SEE, "annotate", "resolve", "replay", "pause", "reconcile", "settle_drift", "see_drift", "rotate",
            "dismiss", "edit_mapping", "edit_settings", "name_failure", "reveal", "see_personal", "command",
        }
    ),
    Role.AUDITOR: frozenset({SEE, "see_drift", "verify", "export"}),
    Role.ADMINISTRATOR: frozenset({"manage_people"}),
}  # fmt: skip

#: Who is asked when a person lacks an action, in words for the 403 page.
WHO_MAY = {
    action: ", ".join(role for role in Role.values if action in ROLE_ACTIONS[role])
    for action in sorted(frozenset().union(*ROLE_ACTIONS.values()))
}


@dataclass(frozen=True)
class Powers:
    """What one person may do: for each action the tenants and the connections where they may."""

    tenants: dict[str, frozenset[int]]
    connections: dict[str, frozenset[int]]

    @property
    def scope(self) -> Scope:
        return Scope(self.tenants.get(SEE, frozenset()), self.connections.get(SEE, frozenset()))

    def may(self, action: str, *, tenant_id: int, connection_id: int | None = None) -> bool:
        """Say whether they may do `action` at a tenant or at one of its connections."""
        return tenant_id in self.tenants.get(action, ()) or (
            connection_id is not None and connection_id in self.connections.get(action, ())
        )

    def knows(self, tenant_id: int) -> bool:
        """Say whether they may do anything at all at a tenant."""
        return any(tenant_id in ids for ids in self.tenants.values())


def powers_of(user: User) -> Powers:
    """Read all of a person's object permissions, in one query."""
    tenant_type, connection_type = (ContentType.objects.get_for_model(model).pk for model in (Tenant, Connection))
    found: dict[int, dict[str, set[int]]] = {tenant_type: defaultdict(set), connection_type: defaultdict(set)}
    if user.is_active:
        rows = UserObjectPermission.objects.filter(
            user=user, content_type_id__in=[tenant_type, connection_type]
        ).values_list("content_type_id", "permission__codename", "object_pk")
        for content_type_id, codename, object_pk in rows:
            found[content_type_id][codename].add(int(object_pk))
    tenants, connections = (
        {action: frozenset(ids) for action, ids in found[kind].items()} for kind in (tenant_type, connection_type)
    )
    return Powers(tenants, connections)


@transaction.atomic
def grant(
    user: User, role: str, tenant: Tenant, *, by: str, reason: str = "", connection: Connection | None = None
) -> Grant:
    """Give a person a role at a tenant or one connection; keeps history. Giving it twice changes nothing."""
    held, _ = Grant.objects.get_or_create(
        user=user, role=role, tenant=tenant, connection=connection, defaults={"granted_by": by, "reason": reason}
    )
    _apply(user, tenant, connection)
    return held


@transaction.atomic
def revoke(held: Grant, *, by: str, reason: str) -> None:
    """Take a role from a person; the history keeps who did it and why."""
    user, tenant, connection = held.user, held.tenant, held.connection
    held.granted_by = by
    held._change_reason = reason  # type: ignore[attr-defined]
    held.delete()
    _apply(user, tenant, connection)


def follow_the_table(**_: Any) -> None:
    """Give and take what roles may since the code changed; runs after each `migrate`."""
    held = Grant.objects.select_related("user", "tenant", "connection").order_by("user_id")
    for user, tenant, connection in dict.fromkeys((each.user, each.tenant, each.connection) for each in held):
        with transaction.atomic():
            _apply(user, tenant, connection)


def _apply(user: User, tenant: Tenant, connection: Connection | None) -> None:
    """Make the object permissions equal to the union of the person's roles there; one change of theirs at a time."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    target: Tenant | Connection = connection or tenant
    roles = Grant.objects.filter(user=user, tenant=tenant, connection=connection).values_list("role", flat=True)
    wanted = frozenset[str]().union(*(ROLE_ACTIONS[role] for role in roles))
    if connection:
        wanted -= {"manage_people"}
    kind = ContentType.objects.get_for_model(target)
    held = set(
        UserObjectPermission.objects.filter(user=user, content_type=kind, object_pk=str(target.pk)).values_list(
            "permission__codename", flat=True
        )
    )
    for action in wanted - held:
        assign_perm(f"integrations.{action}", user, target)
    for action in held - wanted:
        remove_perm(f"integrations.{action}", user, target)
    user.__dict__.pop("powers", None)


def grants_at(tenant: Tenant, connection_ids: Collection[int]) -> "models.QuerySet[Grant]":
    """Return the roles that people hold at the whole tenant, or at some of its connections."""
    return Grant.objects.filter(models.Q(connection=None) | models.Q(connection__in=connection_ids), tenant=tenant)


def people_with(action: str, tenant: Tenant, connection: Connection | None = None) -> "models.QuerySet[User]":
    """Return the people who may do `action` at the whole tenant, or there and at one of its connections."""
    roles = [role for role, actions in ROLE_ACTIONS.items() if action in actions]
    held = grants_at(tenant, [connection.pk] if connection else []).filter(role__in=roles)
    return User.objects.filter(pk__in=held.values("user_id"), is_active=True)


class Forbidden(PermissionDenied):
    """The person sees the thing and may not do this to it; carries who may."""

    def __init__(self, action: str) -> None:
        self.action, self.who_may = action, WHO_MAY.get(action, "")
        super().__init__(f"This needs the role {self.who_may}.")


def require(user: User, action: str, *, tenant_id: int, connection_id: int | None = None) -> None:
    """Raise `Forbidden` (403) unless the person may do `action` there."""
    if not user.powers.may(action, tenant_id=tenant_id, connection_id=connection_id):
        raise Forbidden(action)


M = TypeVar("M", bound=models.Model)


def get_visible(queryset: VisibleQuerySet[M], user: User, **lookup: Any) -> M:
    """Return the one row that `user` may see; raises Http404 where it is hidden or absent."""
    try:
        return queryset.visible_to(user).get(**lookup)
    except (ObjectDoesNotExist, ValueError, OverflowError) as missing:
        raise Http404 from missing


def find_here(request: Any, rows: VisibleQuerySet[M], pk: int, action: str = "") -> M:
    """Return one row of the space: Http404 where it is hidden or absent, `Forbidden` without `action` there."""
    found: Any = get_visible(rows, request.user, pk=pk, **request.space.here)
    if action:
        require(request.user, action, tenant_id=found.tenant_id, connection_id=getattr(found, "connection_id", None))
    return found  # type: ignore[no-any-return]


def seen_records(user: User, *along: str) -> "models.Prefetch[Any]":
    """Read along the record of each row where `user` may see it, and None where not: a row may hang on a copy.

    `along` are relations of the record that are read with it.
    """
    return models.Prefetch("record", Record.objects.visible_to(user).select_related(*along))


def seen(record: Record | None, user: User) -> Record | None:
    """Return a record that was read already, None where `user` may not see it."""
    if record is None:
        return None
    return record if user.powers.may(SEE, tenant_id=record.tenant_id, connection_id=record.connection_id) else None


P = ParamSpec("P")


class SignedIn(HttpRequest):
    """A request of somebody who signed in, in one space (`console.requests`)."""

    user: User
    space: Any
    actor: Any
    htmx: Any


View = Callable[Concatenate[Any, P], HttpResponse]


def in_space(action: str = SEE) -> Callable[[View[P]], View[P]]:
    """Guard a view of a tenant's environment: sign-in, then 404 for strangers, then 403 without `action`.

    The view gets the request with `request.space`, without the two path parts. An action that people
    may hold at single connections is checked again by the view, for the connection at hand.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        @login_required
        def guarded(request: Any, tenant: str, environment: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            from console.requests import enter

            enter(request, tenant, environment)
            powers, tenant_id = request.user.powers, request.space.tenant.pk
            if not powers.may(action, tenant_id=tenant_id) and not (
                powers.connections.get(action, frozenset()) & request.space.connection_ids
            ):
                raise Forbidden(action)
            return view(request, *args, **kwargs)

        guarded.action = action  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate
