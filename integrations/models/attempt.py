from django.db import models

from integrations.models.command import Command
from integrations.models.connection import Connection
from integrations.models.run import Run


class AttemptState(models.TextChoices):
    IN_FLIGHT = "in flight"
    ANSWERED = "answered"
    NO_ANSWER = "no answer"


class Attempt(models.Model):
    """One HTTP exchange of a run, or one try at sending a command: committed before the request, closed after it.

    Commands that travel in one request have an attempt each; they share its key and its payloads, into which
    `request_path` and `path` point.
    """

    connection = models.ForeignKey(Connection, models.PROTECT, related_name="attempts")
    run = models.ForeignKey(Run, models.PROTECT, null=True, blank=True, related_name="attempts")
    command = models.ForeignKey(Command, models.PROTECT, null=True, blank=True, related_name="attempts")
    method = models.CharField(max_length=7)
    url = models.CharField(max_length=600)
    #: The idempotency key under which it left, "" where there is none.
    key = models.CharField(max_length=128, blank=True, default="")
    state = models.CharField(max_length=10, choices=AttemptState.choices, default=AttemptState.IN_FLIGHT)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    latency_ms = models.PositiveIntegerField(null=True, blank=True)
    provider_request_id = models.CharField(max_length=120, blank=True, default="")
    category = models.CharField(max_length=24, blank=True, default="")
    message = models.TextField(blank=True, default="")
    #: What was sent, kept before it was.
    request_id = models.BigIntegerField(null=True, blank=True)
    request_at = models.DateTimeField(null=True, blank=True)
    request_path = models.CharField(max_length=60, blank=True, default="", help_text="JSON pointer into the request")
    #: What came back.
    payload_id = models.BigIntegerField(null=True, blank=True)
    payload_at = models.DateTimeField(null=True, blank=True)
    path = models.CharField(max_length=60, blank=True, default="", help_text="JSON pointer into the answer")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["connection", "-started_at"], name="attempt_of_connection"),
            models.Index(fields=["started_at"], condition=models.Q(state="in flight"), name="attempt_in_flight"),
            models.Index(fields=["command"], condition=models.Q(command__isnull=False), name="attempt_of_command"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.url}"
