from typing import Any, Self

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from integrations.models.connection import Connection
from integrations.models.visibility import Owned, Person, VisibleQuerySet


class RouteQuerySet(VisibleQuerySet["Route"]):
    def visible_to(self, person: Person) -> Self:
        """Return the routes of which `person` may see both ends."""
        scope = person.scope
        both = Q(source_id__in=scope.connections, target_id__in=scope.connections)
        return self.filter(Q(tenant_id__in=scope.tenants) | both)


class Route(Owned):
    """What of one connection is exported to another."""

    source = models.ForeignKey(Connection, models.PROTECT, related_name="routes_out")
    target = models.ForeignKey(Connection, models.PROTECT, related_name="routes_in")
    #: Canonical kinds.
    kinds: Any = models.JSONField(default=list)
    since = models.DateTimeField(
        null=True, blank=True, help_text="Records that came to be before are exported only where others need them"
    )
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True, default="")
    pause_reason = models.TextField(blank=True, default="")
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=150, blank=True, default="")
    end_reason = models.TextField(blank=True, default="")
    made_by = models.CharField(max_length=150)
    made_at = models.DateTimeField(auto_now_add=True)

    objects = RouteQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "target"], name="route_once")]

    def __str__(self) -> str:
        return f"{self.source.name} → {self.target.name}"
