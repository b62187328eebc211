from typing import Any

from django.db import models


class Payload(models.Model):
    """The bytes as received, compressed and encrypted; partitioned by month of `at`.

    One page of a list is one payload, and each of its items points into it.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    connection_id = models.BigIntegerField()
    source = models.CharField(max_length=10)
    headers: Any = models.JSONField(default=dict)
    content_type = models.CharField(max_length=120, default="")
    size = models.PositiveIntegerField()
    sha256 = models.BinaryField()
    body = models.BinaryField()

    class Meta:
        db_table = "integrations_payload"

    def __str__(self) -> str:
        return f"payload {self.pk}, {self.size} bytes"
