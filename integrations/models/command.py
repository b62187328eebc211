from typing import Any

from django.db import models
from django.db.models.functions import Now

from integrations.models.connection import Connection
from integrations.models.record import Record, Transition
from integrations.models.visibility import Owned, VisibleQuerySet
from integrations.models.work import Work


class Outcome(models.TextChoices):
    """What is believed of a command's effect at the provider; see `workflow.outcomes` for its steps."""

    SUBMITTED = "submitted"
    SENT = "sent"
    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    UNKNOWN = "unknown", "unknown outcome"
    CANCELLED = "cancelled"


class Command(Owned, Work):
    """Intent: what we asked the provider to do, under one operation id.

    Its work is open until the effect was seen at the provider: accepted by an answer is not yet confirmed.
    """

    connection = models.ForeignKey(Connection, models.PROTECT, related_name="commands", db_index=False)
    operation_id = models.CharField(max_length=50)
    #: SHA-256 over connection, action, target and content: the same operation id with another one is refused.
    content_hash = models.BinaryField()
    #: The adapter's name of what is asked: "invoice.create".
    action = models.CharField(max_length=60)
    resource = models.CharField(max_length=60)
    #: Of what it acts on; of what it made, once that is known.
    external_id = models.CharField(max_length=255, blank=True, default="")
    #: Canonical values, with links as external ids at the connection.
    content: Any = models.JSONField(default=dict)
    summary = models.CharField(max_length=200, help_text="What it asks, in words")

    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.SUBMITTED)
    outcome_reason = models.TextField(blank=True, default="", help_text="Why that is believed")
    record = models.ForeignKey(Record, models.SET_NULL, null=True, blank=True, related_name="commands")
    record_version = models.PositiveIntegerField(null=True, blank=True)
    transition = models.ForeignKey(Transition, models.SET_NULL, null=True, blank=True, related_name="+")
    #: What it waits for, as `resource:external id` of the connection, or `record:id`.
    waits_for = models.CharField(max_length=320, blank=True, default="")

    #: The idempotency key of its newest request and when that first left: the provider forgets keys.
    key = models.CharField(max_length=128, blank=True, default="")
    key_since = models.DateTimeField(null=True, blank=True)
    #: The newest request as it was sent, to be repeated byte by byte while its outcome is unknown.
    request_id = models.BigIntegerField(null=True, blank=True)
    request_at = models.DateTimeField(null=True, blank=True)

    asked_by = models.CharField(max_length=150)
    reason = models.TextField(blank=True, default="")
    submitted_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)

    #: Whether it was there before it was submitted this time; see `workflow.commands.submit`.
    repeated = False

    objects = VisibleQuerySet["Command"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "operation_id"], name="command_once"),
        ]
        indexes = [
            models.Index(
                fields=["connection", "due_at", "id"],
                condition=models.Q(state__in=["ready", "waiting"]),
                name="command_due",
            ),
            models.Index(fields=["leased_until"], condition=models.Q(state="leased"), name="command_lease"),
            models.Index(fields=["connection", "key"], condition=~models.Q(key=""), name="command_key"),
            models.Index(
                fields=["connection", "waits_for"], condition=~models.Q(waits_for=""), name="command_waits_for"
            ),
            # What evidence may confirm, and nothing else.
            models.Index(
                fields=["connection", "external_id"],
                condition=models.Q(outcome__in=["sent", "unknown", "accepted"]),
                name="command_expected",
            ),
            models.Index(
                fields=["external_id"],
                condition=~models.Q(external_id="") & ~models.Q(state__in=["done", "dismissed"]),
                name="command_open_of_object",
            ),
            models.Index(fields=["tenant", "environment", "-id"], name="command_newest"),
            models.Index(
                fields=["tenant", "environment", "state", "-id"],
                condition=models.Q(state__in=["ready", "leased", "waiting", "parked", "held", "dismissed"]),
                name="command_by_state",
            ),
            models.Index(fields=["tenant", "environment", "outcome", "-id"], name="command_by_outcome"),
            models.Index(fields=["connection", "-id"], name="command_of_connection"),
        ]

    def __str__(self) -> str:
        return self.summary
