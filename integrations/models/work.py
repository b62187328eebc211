from django.db import models


class WorkState(models.TextChoices):
    """`ready → leased → done`, or back to `waiting`, or `parked` for a person, or `dismissed`, or `held`."""

    READY = "ready"
    LEASED = "leased"
    WAITING = "waiting"
    PARKED = "parked"
    DISMISSED = "dismissed"
    HELD = "held"
    DONE = "done"


OPEN_STATES = (WorkState.READY, WorkState.LEASED, WorkState.WAITING, WorkState.PARKED, WorkState.HELD)


class Work(models.Model):
    """Anything that workers do: one lifecycle, one piece of code (`workflow.work`)."""

    state = models.CharField(max_length=10, choices=WorkState.choices, default=WorkState.READY)
    due_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True, blank=True)
    leased_by = models.UUIDField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    category = models.CharField(max_length=24, blank=True, default="", help_text="Category of its last failure")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
