from typing import Any

from django.db import models

from integrations.models.connection import Connection
from integrations.models.stream import Stream
from integrations.models.visibility import Owned, VisibleQuerySet
from integrations.models.work import Work


class RunKind(models.TextChoices):
    SYNC = "sync", "first sync"
    RESYNC = "resync", "resync"
    RECONCILE = "reconcile", "check"
    SCAN = "scan", "absence scan"
    EXPORT = "export", "first export"


#: What a bulk run waits for outside of them.
OFF_PEAK = "the off-peak window"
#: Runs that read all there is: they keep to the off-peak windows of their connection.
BULK = frozenset({RunKind.SYNC, RunKind.SCAN, RunKind.EXPORT})


class Run(Owned, Work):
    """One execution over a stream, or one check of single objects, resumable at its last page."""

    connection = models.ForeignKey(Connection, models.PROTECT, related_name="runs")
    stream = models.ForeignKey(Stream, models.PROTECT, null=True, blank=True, related_name="runs")
    kind = models.CharField(max_length=10, choices=RunKind.choices)
    cursor: Any = models.JSONField(null=True, blank=True)
    since = models.DateTimeField(null=True, blank=True)
    #: Single objects to fetch: [[resource, external id], …], see `workflow.looks`; empty for a run over a stream.
    targets: Any = models.JSONField(default=list, blank=True)
    #: Digests of the cursors seen, so that a provider that repeats one is noticed.
    seen_cursors: Any = models.JSONField(default=list, blank=True)
    pages = models.PositiveIntegerField(default=0)
    items = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0, help_text="Items that were new evidence")
    compared = models.PositiveIntegerField(default=0)
    differs = models.PositiveIntegerField(default=0)
    #: Of an absence scan: when its list was read, how many objects we held, how many of them the list did not
    #: show, how many of those were asked for and are gone, and who let it go on although it were many.
    listed_at = models.DateTimeField(null=True, blank=True)
    held = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(default=0)
    gone = models.PositiveIntegerField(default=0)
    released_by = models.CharField(max_length=150, blank=True, default="")
    waits_for = models.CharField(max_length=60, blank=True, default="", help_text="What it waits for, but for a retry")
    as_of = models.DateTimeField(null=True, blank=True, help_text="The provider's clock at its first page")
    asked_by = models.CharField(max_length=150)
    reason = models.TextField(blank=True, default="")
    cancelled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)

    objects = VisibleQuerySet["Run"].as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["connection", "-id"], name="run_of_connection"),
            models.Index(
                fields=["tenant", "environment", "-id"], condition=models.Q(kind="reconcile"), name="run_checks"
            ),
            models.Index(
                fields=["connection", "due_at", "id"],
                condition=models.Q(state__in=["ready", "waiting"]),
                name="run_due_in_turn",
            ),
            models.Index(fields=["stream", "-id"], condition=models.Q(kind="scan"), name="run_scans"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["stream", "kind"],
                condition=models.Q(state__in=["ready", "leased", "waiting", "held"])
                & (models.Q(targets=[]) | models.Q(kind="scan")),
                name="run_one_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} R-{self.pk}"
