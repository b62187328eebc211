"""What holds requests to a provider back: how much of the allowed rate is spent, and the breaker."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from integrations.models.connection import Connection
from integrations.models.visibility import VisibleQuerySet


class PaceQuerySet(VisibleQuerySet["Pace"]):
    tenant_path = "connection__tenant_id"


class Pace(models.Model):
    """How much a connection may ask now, and whose turn it is; one row a connection, see `boundary.limits`."""

    connection = models.OneToOneField(Connection, models.CASCADE, primary_key=True, related_name="pace")
    #: The bucket as it was at `refilled_at`; it fills with time, so nobody has to fill it.
    tokens = models.FloatField(default=0)
    refilled_at = models.DateTimeField()
    #: Requests by hour, the newest last; `hour_at` is when the newest hour began.
    hours: "ArrayField[list[int], list[int]]" = ArrayField(models.PositiveIntegerField())
    hour_at = models.DateTimeField()
    #: Requests under way, each as the Unix time at which it surely is over: a killed worker frees its place.
    under_way: "ArrayField[list[float], list[float]]" = ArrayField(models.FloatField(), default=list)
    #: When its runs and its commands last had their turn.
    ran_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    objects = PaceQuerySet.as_manager()

    def __str__(self) -> str:
        return f"pace of connection {self.connection_id}"


class BreakerState(models.TextChoices):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"


class BreakerQuerySet(VisibleQuerySet["Breaker"]):
    tenant_path = "connection__tenant_id"


class Breaker(models.Model):
    """Whether commands go to a provider (closed) or wait, because it fails (open); see `health.breaker`."""

    connection = models.OneToOneField(Connection, models.CASCADE, primary_key=True, related_name="breaker")
    state = models.CharField(max_length=9, choices=BreakerState.choices, default=BreakerState.CLOSED)
    changed_at = models.DateTimeField(null=True, blank=True)
    #: Who opened or closed it, "" where it did so by itself, and why, in words.
    changed_by = models.CharField(max_length=150, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    category = models.CharField(max_length=24, blank=True, default="", help_text="Of the failure that opened it")
    #: What failed and what went through since the first failure that is still counted.
    counted_since = models.DateTimeField(null=True, blank=True)
    failed = models.PositiveIntegerField(default=0)
    passed = models.PositiveIntegerField(default=0)
    #: Probes that failed one after the other, for the wait until the next one.
    refused_probes = models.PositiveIntegerField(default=0)
    #: None while it is open until somebody closes it or asks for a probe.
    probe_at = models.DateTimeField(null=True, blank=True)
    #: Who probes, and until when nobody else may.
    probe = models.UUIDField(null=True, blank=True)
    probe_until = models.DateTimeField(null=True, blank=True)

    objects = BreakerQuerySet.as_manager()

    def __str__(self) -> str:
        return f"breaker {self.state}"
