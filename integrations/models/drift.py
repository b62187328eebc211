from typing import Any

from django.db import models

from integrations.models.connection import Connection
from integrations.models.event import Event
from integrations.models.record import Record
from integrations.models.run import Run
from integrations.models.visibility import Owned, VisibleQuerySet


class DriftStatus(models.TextChoices):
    OPEN = "open"
    ACCEPTED = "accepted", "theirs accepted"
    IGNORED = "ignored"
    PUSHED = "pushed", "ours sent"
    GONE = "gone", "no longer differs"


#: The field name of a difference in existence.
EXISTENCE = "existence"


class Drift(Owned):
    """One difference between belief and the provider, one row per record and field."""

    connection = models.ForeignKey(Connection, models.PROTECT, related_name="drifts")
    record = models.ForeignKey(Record, models.CASCADE, null=True, blank=True, related_name="drifts")
    kind = models.CharField(max_length=40)
    resource = models.CharField(max_length=60)
    external_id = models.CharField(max_length=255)
    field = models.CharField(max_length=60)
    ours: Any = models.JSONField(null=True)
    theirs: Any = models.JSONField(null=True)
    #: The check whose payload shows their side.
    evidence = models.ForeignKey(Event, models.PROTECT, null=True, blank=True, related_name="drifts")
    run = models.ForeignKey(Run, models.PROTECT, related_name="drifts")
    status = models.CharField(max_length=10, choices=DriftStatus.choices, default=DriftStatus.OPEN)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.CharField(max_length=150, blank=True, default="")
    reason = models.TextField(blank=True, default="")

    #: Its record's, where a reader who may not see the record reads it along.
    currency: str | None = ""

    objects = VisibleQuerySet["Drift"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "resource", "external_id", "field"],
                condition=models.Q(status="open"),
                name="drift_one_open",
            )
        ]
        indexes = [
            models.Index(fields=["tenant", "environment", "status", "-id"], name="drift_by_status"),
            models.Index(fields=["connection", "resource", "external_id", "-id"], name="drift_of_object"),
        ]

    def __str__(self) -> str:
        return f"{self.external_id}.{self.field}"
