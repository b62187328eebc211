from typing import Any, Self

from django.db import models
from django.db.models import Q

from integrations.models.command import Command
from integrations.models.connection import Connection
from integrations.models.record import Record
from integrations.models.route import Route
from integrations.models.visibility import Owned, Person, VisibleQuerySet


class CopyState(models.TextChoices):
    """How an export of one record stands."""

    DUE = "due", "to be exported"
    WAITING = "waiting"
    EXPORTED = "exported"
    NOT_NEEDED = "not needed", "not exported"
    STOPPED = "stopped", "needs a person"


class CopyQuerySet(VisibleQuerySet["Copy"]):
    def visible_to(self, person: Person) -> Self:
        """Return the copies whose record and whose connection `person` may see."""
        scope = person.scope
        both = Q(connection_id__in=scope.connections, record__connection_id__in=scope.connections)
        return self.filter(Q(tenant_id__in=scope.tenants) | both)


class Copy(Owned):
    """One record exported to another connection: what it is there, from which version, and what it waits for."""

    route = models.ForeignKey(Route, models.PROTECT, related_name="copies")
    record = models.ForeignKey(Record, models.CASCADE, related_name="copies")
    #: The target.
    connection = models.ForeignKey(Connection, models.PROTECT, related_name="+", db_index=False)
    resource = models.CharField(max_length=60, blank=True, default="")
    external_id = models.CharField(max_length=255, blank=True, default="")

    state = models.CharField(max_length=10, choices=CopyState.choices, default=CopyState.DUE)
    due_at = models.DateTimeField()
    #: Why it stands so, in words.
    reason = models.TextField(blank=True, default="")
    waits_on = models.ForeignKey(Record, models.SET_NULL, null=True, blank=True, related_name="+")
    #: Our clock when the target was asked how the object stands, which it waits for.
    asked_at = models.DateTimeField(null=True, blank=True)

    #: What the target accepted, by action: {"external_id": …, "content": {…}, "version": …}.
    made: Any = models.JSONField(default=dict, blank=True)
    #: The newest command; `flying` until the target has accepted it, or surely will not.
    command = models.ForeignKey(Command, models.SET_NULL, null=True, blank=True, related_name="copies")
    flying = models.BooleanField(default=False)
    #: How often a person had it exported again: part of the operation ids from then on.
    round = models.PositiveIntegerField(default=0)
    version = models.PositiveIntegerField(null=True, blank=True, help_text="Of the record, when it was last exported")
    exported_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)

    #: A person decided that nothing (more) of it is exported: it was entered there by hand, or is not wanted there.
    left_out_at = models.DateTimeField(null=True, blank=True)
    left_out_by = models.CharField(max_length=150, blank=True, default="")
    left_out_reason = models.TextField(blank=True, default="")

    #: The state in which the target showed it last, what hung on it there, [[resource, external id, operation id], …],
    #: and our clock when that was compared with what was sent.
    shown_state = models.CharField(max_length=24, blank=True, default="")
    held_by: Any = models.JSONField(default=list, blank=True)
    compared_at = models.DateTimeField(null=True, blank=True)
    #: What a person decided to send over theirs, until it goes out: {"plan", "at", "fields", "drifts"}; {} for nothing.
    push: Any = models.JSONField(default=dict, blank=True)
    #: What was ignored and stands there otherwise: {field: {"ours": …, "theirs": …}}.
    kept: Any = models.JSONField(default=dict, blank=True)

    objects = CopyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "copies"
        constraints = [models.UniqueConstraint(fields=["record", "connection"], name="copy_once")]
        indexes = [
            models.Index(fields=["connection", "due_at", "id"], condition=Q(state="due"), name="copy_due"),
            models.Index(fields=["route", "state"], name="copy_of_route"),
            models.Index(fields=["connection", "external_id"], condition=~Q(external_id=""), name="copy_object"),
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="copy_waits"),
        ]

    def __str__(self) -> str:
        return f"Copy of record {self.record_id}"
