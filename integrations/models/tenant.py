from typing import Any

from django.db import models

from integrations.models.visibility import Person


class TenantQuerySet(models.QuerySet["Tenant"]):
    def visible_to(self, person: Person) -> "TenantQuerySet":
        """Return the tenants of which `person` may see something."""
        scope = person.scope
        return self.filter(models.Q(pk__in=scope.tenants) | models.Q(connections__pk__in=scope.connections)).distinct()


class Tenant(models.Model):
    """Whose data moves; owns connections, people and roles."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=120)
    settings: Any = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        permissions = [
            (codename, f"Can {codename.replace('_', ' ')}")
            for codename in (
                "see", "annotate", "resolve", "replay", "pause", "reconcile", "rotate", "dismiss", "see_drift",
                "settle_drift", "export", "edit_mapping", "edit_settings", "name_failure", "reveal", "see_personal",
                "verify", "command", "manage_people",
            )
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.name
