from django.db import models

from integrations.models.connection import Connection


class Tally(models.Model):
    """What a connection's events came to in ten minutes: counted as they settle, never by reading them again."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField(help_text="When the ten minutes began")
    done = models.PositiveIntegerField(default=0, help_text="Work that went through")
    applied = models.PositiveIntegerField(default=0, help_text="Of it, what changed belief")
    failed = models.PositiveIntegerField(default=0, help_text="Tries that failed")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "at"], name="tally_once")]

    def __str__(self) -> str:
        return f"{self.done:,} done, {self.failed:,} failed"
