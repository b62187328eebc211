from typing import Any

from django.conf import settings
from django.db import models

from integrations.failures.categories import Category
from integrations.models.command import Command
from integrations.models.connection import Connection
from integrations.models.copy import Copy
from integrations.models.delivery import Delivery
from integrations.models.event import Event
from integrations.models.record import Record
from integrations.models.run import Run
from integrations.models.visibility import Owned, VisibleQuerySet

CATEGORIES = [(category.value, category.value) for category in Category]


class Problem(Owned):
    """Failures of one connection that share a category and fingerprint: what people triage."""

    connection = models.ForeignKey(Connection, models.PROTECT, related_name="problems")
    category = models.CharField(max_length=24, choices=CATEGORIES)
    fingerprint = models.CharField(max_length=64)
    code = models.CharField(max_length=160)
    title = models.CharField(max_length=300)
    next_step = models.TextField()
    owner = models.CharField(max_length=12)
    assigned_to: Any = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    count = models.PositiveIntegerField(default=0, help_text="All failures ever")
    open_count = models.PositiveIntegerField(default=0, help_text="Failures that still wait")
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    objects = VisibleQuerySet["Problem"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "fingerprint"], name="problem_fingerprint")]
        indexes = [
            models.Index(fields=["tenant", "environment", "-last_seen_at", "-id"], name="problem_newest"),
            models.Index(
                fields=["tenant", "environment", "-last_seen_at", "-id"],
                condition=models.Q(open_count__gt=0),
                name="problem_open",
            ),
        ]

    def __str__(self) -> str:
        return f"P-{self.pk}"


class Failure(Owned):
    """A classified thing that went wrong, on an event, a run, a command, a delivery or an export."""

    connection = models.ForeignKey(Connection, models.PROTECT, related_name="failures")
    problem = models.ForeignKey(Problem, models.PROTECT, related_name="failures")
    event = models.ForeignKey(Event, models.CASCADE, null=True, blank=True, related_name="failures")
    run = models.ForeignKey(Run, models.CASCADE, null=True, blank=True, related_name="failures")
    command = models.ForeignKey(Command, models.CASCADE, null=True, blank=True, related_name="failures")
    delivery = models.ForeignKey(Delivery, models.CASCADE, null=True, blank=True, related_name="failures")
    copy = models.ForeignKey(Copy, models.CASCADE, null=True, blank=True, related_name="failures")
    record = models.ForeignKey(Record, models.SET_NULL, null=True, blank=True, related_name="failures")
    category = models.CharField(max_length=24, choices=CATEGORIES)
    code = models.CharField(max_length=160)
    message = models.TextField()
    field = models.CharField(max_length=160, blank=True, default="")
    value = models.TextField(blank=True, default="")
    #: What the object's shape lacks or has otherwise than the mapping expects.
    difference: Any = models.JSONField(default=list, blank=True)
    at = models.DateTimeField()
    #: How often the same thing failed again before it was resolved.
    repeats = models.PositiveIntegerField(default=0)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=200, blank=True, default="")

    objects = VisibleQuerySet["Failure"].as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["event"],
                condition=models.Q(resolved_at__isnull=True, event__isnull=False),
                name="failure_one_open_of_event",
            ),
            models.UniqueConstraint(
                fields=["run"],
                condition=models.Q(resolved_at__isnull=True, run__isnull=False),
                name="failure_one_open_of_run",
            ),
            models.UniqueConstraint(
                fields=["command"],
                condition=models.Q(resolved_at__isnull=True, command__isnull=False),
                name="failure_one_open_of_command",
            ),
            models.UniqueConstraint(
                fields=["delivery"],
                condition=models.Q(resolved_at__isnull=True, delivery__isnull=False),
                name="failure_one_open_of_delivery",
            ),
            models.UniqueConstraint(
                fields=["copy"],
                condition=models.Q(resolved_at__isnull=True, copy__isnull=False),
                name="failure_one_open_of_copy",
            ),
        ]
        indexes = [
            models.Index(fields=["problem", "-id"], name="failure_of_problem"),
            models.Index(fields=["connection", "-at"], name="failure_of_connection"),
        ]

    def __str__(self) -> str:
        return f"{self.category}: {self.message}"
