from django.db import models

from integrations.models.connection import Credential
from integrations.models.visibility import VisibleQuerySet


class TokenQuerySet(VisibleQuerySet["Token"]):
    tenant_path = "credential__connection__tenant_id"
    connection_path = "credential__connection_id"


class Token(models.Model):
    """What a credential of single use has come to: the secrets of one refresh, and who is making the next one."""

    credential = models.ForeignKey(Credential, models.PROTECT, related_name="tokens")
    version = models.PositiveIntegerField()
    #: Sealed JSON, secrets by name; empty once the one after it has been replaced too.
    secrets = models.BinaryField(default=b"")
    expires_at = models.DateTimeField()
    made_at = models.DateTimeField()
    replaced_at = models.DateTimeField(null=True, blank=True)
    #: The worker that refreshes it now.
    leased_by = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["credential", "version"], name="token_version"),
            models.UniqueConstraint(
                fields=["credential"], condition=models.Q(replaced_at=None), name="token_one_in_force"
            ),
        ]

    def __str__(self) -> str:
        return f"token v{self.version}"
