from django.db import models

from integrations.models.attempt import AttemptState
from integrations.models.connection import Connection
from integrations.models.message import Message
from integrations.models.record import Record
from integrations.models.subscription import Subscription
from integrations.models.visibility import Owned, VisibleQuerySet
from integrations.models.work import Work


class Delivery(Owned, Work):
    """One subscriber's copy of a message. Per record and subscription, a younger one waits for the older one.

    `tries` counts the failed ones since it was made or replayed.
    """

    message = models.ForeignKey(Message, models.PROTECT, related_name="deliveries", db_index=False)
    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="deliveries", db_index=False)
    connection = models.ForeignKey(Connection, models.PROTECT, related_name="+", db_index=False)
    record = models.ForeignKey(Record, models.PROTECT, related_name="deliveries", db_index=False)
    #: Of the newest try: HTTP status, what was answered, and what went wrong in words.
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    answer = models.TextField(blank=True, default="")
    problem = models.TextField(blank=True, default="")
    replays = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()

    objects = VisibleQuerySet["Delivery"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "subscription"], name="delivery_once")]
        indexes = [
            models.Index(
                fields=["subscription", "due_at", "id"],
                condition=models.Q(state__in=["ready", "waiting"]),
                name="delivery_due",
            ),
            models.Index(
                fields=["record", "subscription", "id"],
                condition=models.Q(state__in=["ready", "leased", "waiting", "parked", "held"]),
                name="delivery_open_of_record",
            ),
            models.Index(fields=["leased_until"], condition=models.Q(state="leased"), name="delivery_lease"),
            models.Index(fields=["tenant", "environment", "-id"], name="delivery_newest"),
            models.Index(fields=["subscription", "-id"], name="delivery_of_subscription"),
            models.Index(
                fields=["subscription", "state", "-id"],
                condition=models.Q(state__in=["ready", "leased", "waiting", "parked", "held", "dismissed"]),
                name="delivery_by_state",
            ),
            models.Index(fields=["record", "-id"], name="delivery_of_record"),
        ]

    def __str__(self) -> str:
        return f"D-{self.pk}"


class DeliveryAttempt(models.Model):
    """One try at delivering: committed before the request, closed after it."""

    delivery = models.ForeignKey(Delivery, models.PROTECT, related_name="attempts")
    state = models.CharField(max_length=10, choices=AttemptState.choices, default=AttemptState.IN_FLIGHT)
    url = models.CharField(max_length=500)
    #: What `webhook-timestamp` said, and versions of the secrets that signed: "2 1" while one rotates.
    stamp = models.BigIntegerField(null=True, blank=True)
    signed_with = models.CharField(max_length=40, blank=True, default="")
    #: The address that the name was found at, checked and connected to.
    address = models.CharField(max_length=45, blank=True, default="")
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    latency_ms = models.PositiveIntegerField(null=True, blank=True)
    category = models.CharField(max_length=24, blank=True, default="")
    problem = models.TextField(blank=True, default="")
    answer_type = models.CharField(max_length=120, blank=True, default="", help_text="The answer's content type")
    answer = models.TextField(blank=True, default="", help_text="How the answer begins")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"POST {self.url}"
