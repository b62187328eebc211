"""The spaces that a person may enter: tenants and their environments."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.urls import reverse

from integrations.models import Environment, Tenant


@dataclass(frozen=True)
class Way:
    """One space in the menu."""

    tenant: Tenant
    environment: str
    #: The page where the person begins: people who see no records have no overview.
    begin: str = "overview"

    @property
    def url(self) -> str:
        return reverse(self.begin, args=(self.tenant.slug, self.environment))


def spaces_of(user: Any) -> list[Way]:
    """Return what a person may enter, by tenant's name; live before test, and only where connections are.

    A tenant without connections is entered in live, so that its people can begin.
    """
    powers = user.powers
    known = frozenset[int]().union(*powers.tenants.values(), powers.scope.tenants)
    rows = Tenant.objects.filter(Q(pk__in=known) | Q(connections__pk__in=powers.scope.connections)).order_by("name")
    found: dict[int, Tenant] = {}
    filled = set()
    for pk, slug, name, environment in rows.values_list("pk", "slug", "name", "connections__environment").distinct():
        found.setdefault(pk, Tenant(pk=pk, slug=slug, name=name))
        filled.add((pk, environment))
    ways = []
    for tenant in found.values():
        environments = [e for e in (Environment.LIVE, Environment.TEST) if (tenant.pk, e) in filled]
        sees = powers.may("see", tenant_id=tenant.pk) or tenant.pk not in known
        ways += [Way(tenant, e, "overview" if sees else "people") for e in environments or [Environment.LIVE]]
    return ways
