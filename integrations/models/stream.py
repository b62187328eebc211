from django.db import models
from simple_history.models import HistoricalRecords

from integrations.models.connection import Connection
from integrations.models.visibility import VisibleQuerySet


class StreamQuerySet(VisibleQuerySet["Stream"]):
    tenant_path = "connection__tenant_id"


class Stream(models.Model):
    """One resource of a connection that is synced: its cursor, schedule, freshness, pause."""

    connection = models.ForeignKey(Connection, models.PROTECT, related_name="streams")
    resource = models.CharField(max_length=60)
    kind = models.CharField(max_length=40, blank=True, default="")
    title = models.CharField(max_length=120)
    every = models.PositiveIntegerField(help_text="Seconds between two runs")
    cron = models.CharField(
        max_length=120, blank=True, default="", help_text="Five cron fields and a time zone, instead of every"
    )
    overlap = models.PositiveIntegerField(
        default=300, help_text="Seconds that a resync looks back before the start of the last one"
    )
    scan_every = models.PositiveIntegerField(default=0, help_text="Seconds between two absence scans; 0: none")
    scan_cron = models.CharField(max_length=120, blank=True, default="")
    #: More missing at once than this share, and at least so many: a person decides.
    absent_share = models.PositiveSmallIntegerField(default=10, help_text="Percent of what we hold")
    absent_least = models.PositiveIntegerField(default=20)
    fresh_within = models.PositiveIntegerField(help_text="Seconds after which its data counts as late")
    change_log = models.BooleanField(default=False)

    paused_at = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True, default="")
    pause_reason = models.TextField(blank=True, default="")

    next_run_at = models.DateTimeField(null=True, blank=True)
    first_sync_done_at = models.DateTimeField(null=True, blank=True)
    #: The provider's clock at the start of the last run that succeeded; the next run asks from there.
    changed_since = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    next_scan_at = models.DateTimeField(null=True, blank=True)
    last_scan_at = models.DateTimeField(null=True, blank=True)

    objects = StreamQuerySet.as_manager()
    history = HistoricalRecords(
        excluded_fields=[
            "next_run_at",
            "first_sync_done_at",
            "changed_since",
            "last_success_at",
            "next_scan_at",
            "last_scan_at",
        ]
    )

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["connection", "resource"], name="stream_resource")]

    def __str__(self) -> str:
        return self.title
