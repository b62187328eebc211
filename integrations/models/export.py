from typing import Any

from django.db import models

from integrations.models.visibility import Owned, VisibleQuerySet


class ExportQuerySet(VisibleQuerySet["Export"]):
    connection_path = ""


class Export(Owned):
    """One audit export that was asked for: its filter, format, count and hash, and whether it is complete."""

    format = models.CharField(max_length=5)
    filter: Any = models.JSONField(default=dict)
    asked_by_id = models.BigIntegerField()
    asked_by = models.CharField(max_length=150)
    reason = models.TextField(blank=True, default="")
    rows = models.PositiveBigIntegerField(default=0)
    size = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    complete = models.BooleanField(default=False)
    at = models.DateTimeField()

    objects = ExportQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"export {self.pk}"
