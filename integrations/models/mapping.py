from typing import Any

from django.db import models
from simple_history.models import HistoricalRecords

from integrations.models.connection import Connection
from integrations.models.visibility import VisibleQuerySet


class MappingState(models.TextChoices):
    DRAFT = "draft"
    PUBLISHED = "published"
    RETIRED = "retired"


class MappingQuerySet(VisibleQuerySet["Mapping"]):
    tenant_path = "connection__tenant_id"


class Mapping(models.Model):
    """A versioned, published set of explicit field rules from a provider resource to a canonical kind."""

    connection = models.ForeignKey(Connection, models.PROTECT, related_name="mappings")
    resource = models.CharField(max_length=60)
    kind = models.CharField(max_length=40)
    version = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=MappingState.choices, default=MappingState.DRAFT)
    rules: Any = models.JSONField()
    published_at = models.DateTimeField(null=True, blank=True)
    published_by = models.CharField(max_length=150, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MappingQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["resource", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "resource", "version"], name="mapping_version"),
            models.UniqueConstraint(
                fields=["connection", "resource"],
                condition=models.Q(state="published"),
                name="mapping_one_published",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource} v{self.version}"
