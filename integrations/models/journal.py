from typing import Any

import pgtrigger
from django.db import models

from integrations.models.visibility import Environment, VisibleQuerySet


class Lane(models.TextChoices):
    COMMANDS = "commands"
    EVENTS = "events"
    STATE = "state"
    RECONCILIATION = "reconciliation"
    PEOPLE = "people"


class JournalEntry(models.Model):
    """One line of the append-only history; partitioned by month of `at`."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    #: The transaction that wrote it; checkpoints seal whole transactions.
    xact = models.PositiveBigIntegerField(db_default=models.Value(0), editable=False)
    tenant_id = models.BigIntegerField(null=True)
    environment = models.CharField(max_length=4, choices=Environment.choices, blank=True, default="")
    connection_id = models.BigIntegerField(null=True)
    record_id = models.BigIntegerField(null=True)
    lane = models.CharField(max_length=14, choices=Lane.choices)
    #: What happened, for programs: `event.decided`, `connection.paused`.
    action = models.CharField(max_length=40)
    #: What happened, for people: one sentence without personal data.
    summary = models.TextField()
    #: A word for the right edge: a decision, a category, a state.
    outcome = models.CharField(max_length=40, blank=True, default="")
    subject_type = models.CharField(max_length=20, blank=True, default="")
    subject_id = models.BigIntegerField(null=True)
    data: Any = models.JSONField(default=dict)
    actor_id = models.BigIntegerField(null=True)
    actor = models.CharField(max_length=150, blank=True, default="")
    role = models.CharField(max_length=60, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    address = models.CharField(max_length=45, blank=True, default="")
    request_id = models.CharField(max_length=40, blank=True, default="")

    objects = VisibleQuerySet["JournalEntry"].as_manager()

    class Meta:
        db_table = "integrations_journal"
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="never_emptied",
                level=pgtrigger.Statement,
                when=pgtrigger.Before,
                operation=pgtrigger.Truncate,
                func="RAISE EXCEPTION 'The journal is append-only and cannot be emptied';",
            ),
        ]

    def __str__(self) -> str:
        return self.summary


class Checkpoint(models.Model):
    """A signed seal over all journal entries of the transactions in [`from_xact`, `to_xact`)."""

    number = models.PositiveBigIntegerField(unique=True)
    from_xact = models.PositiveBigIntegerField()
    to_xact = models.PositiveBigIntegerField()
    entries = models.PositiveBigIntegerField()
    #: SHA-256 over the entries' digests in order of id, chained to the seal before.
    digest = models.CharField(max_length=64)
    previous = models.CharField(max_length=64, blank=True, default="")
    #: Ed25519 over number, bounds, count, digest and previous; base64.
    signature = models.CharField(max_length=120)
    at = models.DateTimeField()

    class Meta:
        ordering = ["number"]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"checkpoint {self.number}"
