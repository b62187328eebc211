"""The spaces that a person may enter: tenants and their environments."""

from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from integrations.models import Connection, Environment, Tenant


@dataclass(frozen=True)
class Way:
    """One space in the menu."""

    tenant: Tenant
    environment: str

    @property
    def url(self) -> str:
        return reverse("overview", args=(self.tenant.slug, self.environment))


def spaces_of(user: Any) -> list[Way]:
    """Return what a person may enter, by tenant's name; live before test, and only where connections are.

    A tenant without connections is entered in live, so that its people can begin.
    """
    powers = user.powers
    known = frozenset[int]().union(*powers.tenants.values(), powers.scope.tenants)
    filled = set(Connection.objects.visible_to(user).values_list("tenant_id", "environment").distinct()) | set(
        Connection.objects.filter(tenant_id__in=known).values_list("tenant_id", "environment").distinct()
    )
    tenants = Tenant.objects.filter(pk__in=known | {tenant_id for tenant_id, _ in filled}).order_by("name")
    ways = []
    for tenant in tenants:
        environments = [e for e in (Environment.LIVE, Environment.TEST) if (tenant.pk, e) in filled]
        ways += [Way(tenant, e) for e in environments or [Environment.LIVE]]
    return ways
