from typing import Any

from django.db import models

from integrations.models.connection import Connection
from integrations.models.record import Record, Transition
from integrations.models.visibility import Owned, VisibleQuerySet


class Message(Owned):
    """What we tell downstream of one transition: written with it, and the same bytes for every subscriber."""

    connection = models.ForeignKey(Connection, models.PROTECT, related_name="+", db_index=False)
    record = models.ForeignKey(Record, models.PROTECT, related_name="messages")
    transition = models.OneToOneField(Transition, models.PROTECT, related_name="message")
    #: `msg_…`: the same for every subscriber and every try, so that receivers know it again.
    uid = models.CharField(max_length=40, unique=True)
    #: The canonical kind and what became of it: "invoice.paid".
    topic = models.CharField(max_length=60)
    #: The field `data` of the body: canonical words, no personal fields (docs/decisions/0008-outbox.md).
    payload: Any = models.JSONField(default=dict)
    created_at = models.DateTimeField()

    objects = VisibleQuerySet["Message"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "environment", "-id"], name="message_newest")]

    def __str__(self) -> str:
        return self.topic
