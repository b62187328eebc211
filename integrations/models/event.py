from django.db import models

from integrations.models.connection import Connection
from integrations.models.mapping import Mapping
from integrations.models.record import Record
from integrations.models.run import Run
from integrations.models.visibility import Owned, VisibleQuerySet
from integrations.models.work import Work


class Source(models.TextChoices):
    WEBHOOK = "webhook"
    PAGE = "page"
    CHANGE_LOG = "change log"
    CHECK = "check"


class DecisionWord(models.TextChoices):
    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"
    STALE = "stale"
    UNEXPECTED = "unexpected"
    WAITING = "waiting", "waiting for another record"
    IGNORED = "ignored", "not needed"


class Event(Owned, Work):
    """Evidence: what the provider says happened."""

    connection = models.ForeignKey(Connection, models.PROTECT, related_name="events", db_index=False)
    run = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="events")
    source = models.CharField(max_length=10, choices=Source.choices)
    provider_event_id = models.CharField(max_length=120)
    event_type = models.CharField(max_length=120)
    resource = models.CharField(max_length=60)
    external_id = models.CharField(max_length=255)
    #: The provider's clock; ours where the envelope could not be read.
    occurred_at = models.DateTimeField()
    exact = models.BooleanField(default=False)
    deleted = models.BooleanField(default=False)
    received_at = models.DateTimeField()
    #: Our clock when a read was asked for; None for what came by itself.
    asked_at = models.DateTimeField(null=True, blank=True)
    #: How often the provider sent the same event again, and when last.
    redelivered = models.PositiveIntegerField(default=0)
    redelivered_at = models.DateTimeField(null=True, blank=True)

    payload_id = models.BigIntegerField()
    payload_at = models.DateTimeField()
    path = models.CharField(max_length=200, blank=True, default="", help_text="JSON pointer into the payload")

    decision = models.CharField(max_length=10, choices=DecisionWord.choices, blank=True, default="")
    decision_reason = models.TextField(blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)
    #: What it waits for, as `resource:external id`, or `check:resource:external id`.
    waits_for = models.CharField(max_length=320, blank=True, default="")
    record = models.ForeignKey(Record, models.SET_NULL, null=True, blank=True, related_name="events")
    mapping = models.ForeignKey(Mapping, models.PROTECT, null=True, blank=True, related_name="+")
    replays = models.PositiveIntegerField(default=0)
    #: The version that a person chose for a replay, instead of the one in force.
    replay_mapping = models.ForeignKey(Mapping, models.PROTECT, null=True, blank=True, related_name="+")

    objects = VisibleQuerySet["Event"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "provider_event_id"], name="event_once"),
        ]
        indexes = [
            models.Index(
                fields=["connection", "due_at", "id"],
                condition=models.Q(state__in=["ready", "waiting"]),
                name="event_due_in_turn",
            ),
            models.Index(
                fields=["connection", "resource", "external_id", "id"],
                condition=models.Q(state__in=["ready", "leased", "waiting", "parked", "held"]),
                name="event_open_of_object",
            ),
            models.Index(fields=["leased_until"], condition=models.Q(state="leased"), name="event_lease"),
            models.Index(fields=["connection", "waits_for"], condition=~models.Q(waits_for=""), name="event_waits_for"),
            models.Index(fields=["tenant", "environment", "-id"], name="event_newest"),
            models.Index(
                fields=["tenant", "environment", "state", "-id"],
                condition=models.Q(state__in=["ready", "leased", "waiting", "parked", "held", "dismissed"]),
                name="event_by_state",
            ),
            models.Index(fields=["external_id"], name="event_external_id"),
            models.Index(fields=["connection", "-id"], name="event_of_connection"),
            models.Index(
                fields=["connection", "state", "id"],
                condition=models.Q(state__in=["ready", "leased", "waiting", "parked", "held"]),
                name="event_backlog",
            ),
        ]

    def __str__(self) -> str:
        return self.event_type
