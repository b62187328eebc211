from typing import Any

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models.functions import Lower

from integrations.models.connection import Connection
from integrations.models.mapping import Mapping
from integrations.models.visibility import Owned, VisibleQuerySet


class Record(Owned):
    """Belief: one canonical object with a product state."""

    connection = models.ForeignKey(Connection, models.PROTECT, related_name="records")
    kind = models.CharField(max_length=40)
    state = models.CharField(max_length=24)
    data: Any = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=1, help_text="Grows by one with each transition")
    label = models.CharField(max_length=200, help_text="What people call it")
    amount = models.BigIntegerField(null=True, blank=True, help_text="Minor units of its currency")
    currency = models.CharField(max_length=3, blank=True, default="")
    customer: Any = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+")
    #: When it came to be at the provider, by the provider's clock.
    occurred_at = models.DateTimeField()
    mapping = models.ForeignKey(Mapping, models.PROTECT, null=True, blank=True, related_name="+")

    stuck_since = models.DateTimeField(null=True, blank=True)
    stuck_category = models.CharField(max_length=24, blank=True, default="")
    waits_for = models.CharField(max_length=300, blank=True, default="", help_text="What it is stuck for, in words")
    open_drift = models.PositiveIntegerField(default=0)

    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    search_text = models.TextField(blank=True, default="")
    search: Any = models.GeneratedField(
        expression=SearchVector("search_text", config="simple"), output_field=SearchVectorField(), db_persist=True
    )

    objects = VisibleQuerySet["Record"].as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "environment", "-updated_at", "-id"], name="record_newest"),
            models.Index(fields=["tenant", "environment", "kind", "-updated_at", "-id"], name="record_by_kind"),
            models.Index(
                fields=["tenant", "environment", "kind", "state", "-updated_at", "-id"], name="record_by_state"
            ),
            models.Index(
                fields=["tenant", "environment", "stuck_since", "id"],
                condition=models.Q(stuck_since__isnull=False),
                name="record_stuck",
            ),
            models.Index(
                fields=["tenant", "environment", "-updated_at", "-id"],
                condition=models.Q(open_drift__gt=0),
                name="record_differs",
            ),
            # Whether another customer is called the same.
            models.Index(Lower("label"), condition=models.Q(kind="customer"), name="record_called"),
            GinIndex(fields=["search"], name="record_search"),
        ]

    def __str__(self) -> str:
        return self.label


class ReferenceQuerySet(VisibleQuerySet["Reference"]):
    tenant_path = "connection__tenant_id"


class Reference(models.Model):
    """A record's identity at one connection, and how old our newest sight of it is."""

    record = models.ForeignKey(Record, models.CASCADE, related_name="references")
    connection = models.ForeignKey(Connection, models.PROTECT, related_name="+")
    resource = models.CharField(max_length=60)
    external_id = models.CharField(max_length=255)
    #: The provider's clock at our newest evidence, whether that came by a read (`seen_exact`), and its digest.
    seen_at = models.DateTimeField()
    seen_exact = models.BooleanField(default=False)
    seen_hash = models.BinaryField(default=b"")
    #: Of a read: our clock when it was asked for, and for how many seconds before `seen_at` it may have looked.
    asked_at = models.DateTimeField(null=True, blank=True)
    lag = models.PositiveSmallIntegerField(null=True, blank=True)
    #: Our clock when the provider last answered about it.
    checked_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, blank=True)
    #: The newest absence scan that met it: in its list, or by asking for it.
    scanned_in = models.BigIntegerField(null=True, blank=True)

    objects = ReferenceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "resource", "external_id"], name="reference_once"),
        ]
        indexes = [
            models.Index(fields=["external_id"], name="reference_id_prefix", opclasses=["text_pattern_ops"]),
        ]

    def __str__(self) -> str:
        return self.external_id


class Link(models.Model):
    """One record refers to another: an invoice to its customer, a refund to its payment."""

    record = models.ForeignKey(Record, models.CASCADE, related_name="links")
    field = models.CharField(max_length=40)
    target = models.ForeignKey(Record, models.CASCADE, related_name="linked_from")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["record", "field"], name="link_field")]

    def __str__(self) -> str:
        return f"{self.field} → {self.target_id}"


class Cause(models.TextChoices):
    EVENT = "event"
    COMMAND = "command"
    RECONCILIATION = "reconciliation"
    PERSON = "person"


class Transition(models.Model):
    """A change of belief, with the evidence that caused it."""

    record = models.ForeignKey(Record, models.PROTECT, related_name="transitions")
    version = models.PositiveIntegerField()
    from_state = models.CharField(max_length=24, blank=True, default="")
    to_state = models.CharField(max_length=24)
    #: [[field, before, after], …] in canonical values.
    changes: Any = models.JSONField(default=list)
    cause = models.CharField(max_length=14, choices=Cause.choices)
    cause_id = models.BigIntegerField(null=True, blank=True)
    mapping = models.ForeignKey(Mapping, models.PROTECT, null=True, blank=True, related_name="+")
    #: The provider's clock.
    occurred_at = models.DateTimeField()
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["record", "version"], name="transition_version")]

    def __str__(self) -> str:
        return f"{self.from_state or 'nothing'} → {self.to_state}"
