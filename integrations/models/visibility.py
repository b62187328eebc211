"""Every query starts from what a person may see."""

from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from django.db import models
from django.db.models import Q


@dataclass(frozen=True)
class Scope:
    """What a person may see: whole tenants, and single connections of others."""

    tenants: frozenset[int] = frozenset()
    connections: frozenset[int] = frozenset()


class Person(Protocol):
    """Anyone with a scope; the console's user is one."""

    @property
    def scope(self) -> Scope: ...


M = TypeVar("M", bound=models.Model)


class VisibleQuerySet(models.QuerySet[M]):
    """A queryset of rows that hang on a tenant and a connection."""

    tenant_path = "tenant_id"
    connection_path = "connection_id"

    def visible_to(self, person: Person) -> Self:
        """Return the rows that `person` may see; everything else does not exist for them."""
        scope = person.scope
        seen = Q(**{f"{self.tenant_path}__in": scope.tenants})
        if scope.connections and self.connection_path:
            seen |= Q(**{f"{self.connection_path}__in": scope.connections})
        return self.filter(seen)


class Environment(models.TextChoices):
    LIVE = "live"
    TEST = "test"


class Owned(models.Model):
    """A row of one tenant in one environment; both are copied from its connection for the indexes."""

    tenant: Any = models.ForeignKey("integrations.Tenant", models.PROTECT, related_name="+")
    environment = models.CharField(max_length=4, choices=Environment.choices)

    class Meta:
        abstract = True
