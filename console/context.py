"""What the frame of every page needs: where one is, where one can go, and what waits there."""

import re
from typing import Any

from django.db.models import IntegerField, Subquery
from django.urls import reverse
from django.utils import timezone

from console.spaces import spaces_of
from integrations.models import Drift, DriftStatus, Problem, Tenant

#: A host that is an IP address, with or without a port.
NUMBERS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[0-9.]+)(:\d+)?")

SETUP = "Evidence and setup"

#: Nobody needs a more exact number beside a page's name, and every page waits for it.
MOST_COUNTED = 10_000

#: (name, url name, icon, group, the action without which the page is not offered)
PAGES = (
    ("Overview", "overview", "overview", "", "see"),
    ("Records", "records", "records", "", "see"),
    ("Problems", "problems", "problems", "", "see"),
    ("Drift", "drift", "drift", "", "see_drift"),
    ("Events", "events", "events", SETUP, "see"),
    ("Commands", "commands", "commands", SETUP, "see"),
    ("Connections", "connections", "connections", SETUP, "see"),
    ("Mappings", "mappings", "mapping", SETUP, "see"),
    ("Subscriptions", "subscriptions", "bell", SETUP, "see"),
    ("Audit", "audit", "audit", SETUP, "see"),
    ("People", "people", "people", SETUP, "manage_people"),
)


def frame(request: Any) -> dict[str, Any]:
    """Return the frame's variables; outside a space only the time and the person."""
    user = getattr(request, "user", None)
    space = getattr(request, "space", None)
    if user is None or not user.is_authenticated:
        return {
            "now": timezone.now(),
            "space": None,
            "nav": [],
            "spaces": [],
            # Passkeys belong to a domain name, an address of numbers has none (WebAuthn, section 5.1.3).
            "named_host": not NUMBERS.fullmatch(request.get_host()),
        }
    if space is None:
        return {"now": timezone.now(), "space": None, "nav": [], "spaces": spaces_of(user), "person_roles": ""}
    if request.htmx:
        return {"now": timezone.now(), "space": space, "nav": [], "spaces": [], "person_roles": ""}
    return {
        "now": timezone.now(),
        "space": space,
        "spaces": spaces_of(user),
        "nav": navigation(request, space),
        "may_find": may_here(request.user, space, "see"),
        "person_roles": request.actor.role,
    }


def navigation(request: Any, space: Any) -> list[dict[str, Any]]:
    """Return the pages that this person may open here, with what waits on them."""
    counts = waiting(request.user, space)
    here = request.resolver_match.url_name if request.resolver_match else ""
    section = here.split("_")[0].rstrip("s")
    return [
        {
            "name": name,
            "url": reverse(url, args=space.args),
            "icon": icon,
            "group": group,
            "current": url.rstrip("s") == section,
            "count": counts.get(url),
        }
        for name, url, icon, group, action in PAGES
        if may_here(request.user, space, action)
    ]


def may_here(user: Any, space: Any, action: str) -> bool:
    """Say whether a person may do `action` at the space's tenant, or at one of its connections."""
    return user.powers.may(action, tenant_id=space.tenant.pk) or bool(where(user, space, action))


def where(user: Any, space: Any, action: str) -> frozenset[int]:
    """Return the ids of the space's connections at which a person may do `action`."""
    ids: frozenset[int] = space.connection_ids
    if user.powers.may(action, tenant_id=space.tenant.pk):
        return ids
    at_single_ones: frozenset[int] = user.powers.connections.get(action, frozenset())
    return ids & at_single_ones


def waiting(user: Any, space: Any) -> dict[str, int]:
    """Return how many problems and differences are open; counting ends at `MOST_COUNTED`."""
    problems = Problem.objects.filter(connection_id__in=space.connection_ids, open_count__gt=0)
    drifts = Drift.objects.filter(
        tenant=space.tenant,
        environment=space.environment,
        connection_id__in=where(user, space, "see_drift"),
        status=DriftStatus.OPEN,
    )
    counts = [CountOf(rows.values("pk")[:MOST_COUNTED]) for rows in (problems, drifts)]
    row = Tenant.objects.filter(pk=space.tenant.pk).values_list(*counts).get()
    return dict(zip(("problems", "drift"), row, strict=True))


class CountOf(Subquery):
    """How many rows a slice has, as one value of another query."""

    template = "(SELECT count(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()
