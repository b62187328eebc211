import uuid
from typing import Any

from django.db import models
from simple_history.models import HistoricalRecords

from integrations.models.visibility import Owned, VisibleQuerySet


class ConnectionQuerySet(VisibleQuerySet["Connection"]):
    connection_path = "pk"


class Connection(Owned):
    """A tenant's configured link to a provider in one environment."""

    tenant: Any = models.ForeignKey("integrations.Tenant", models.PROTECT, related_name="connections")
    provider = models.CharField(max_length=40)
    name = models.CharField(max_length=120)
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    settings: Any = models.JSONField(default=dict, blank=True)
    #: By which id the provider knows the account that the proved secrets open; "" while nobody knows.
    account = models.CharField(max_length=255, blank=True, default="", db_default="")
    #: When bulk runs may go on: [{"days": [0, 1], "from": "22:00", "to": "06:00", "zone": "UTC"}, …]; none: always.
    windows: Any = models.JSONField(default=list, blank=True)
    drain_per_second = models.PositiveIntegerField(default=50, help_text="How fast held work is let go on resume")

    paused_at = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True, default="")
    pause_reason = models.TextField(blank=True, default="")
    disabled_at = models.DateTimeField(null=True, blank=True)
    disable_reason = models.TextField(blank=True, default="")

    #: What was agreed with the provider instead of what the adapter says: `per_minute`, `per_day`, `at_once`; None: no
    #: such limit. What is not in it stays as the adapter says.
    limits: Any = models.JSONField(default=dict, blank=True)

    #: The provider asked us to stay away until then (Retry-After).
    wait_until = models.DateTimeField(null=True, blank=True)
    refused_signatures = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ConnectionQuerySet.as_manager()
    history = HistoricalRecords(excluded_fields=["account", "wait_until", "refused_signatures"])

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "environment", "name"], name="connection_name"),
        ]
        permissions = [
            (codename, f"Can {codename.replace('_', ' ')}")
            for codename in (
                "see", "annotate", "resolve", "replay", "pause", "reconcile", "rotate", "dismiss", "see_drift",
                "settle_drift", "export", "edit_mapping", "edit_settings", "name_failure", "reveal", "see_personal",
                "verify", "command",
            )
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.name} ({self.environment})"


class CredentialState(models.TextChoices):
    PENDING = "pending"
    ACTIVE = "active"
    RETIRING = "retiring"
    REVOKED = "revoked"


class CredentialQuerySet(VisibleQuerySet["Credential"]):
    tenant_path = "connection__tenant_id"


class Credential(models.Model):
    """One version of a connection's secret. Write-only: nothing shows it again."""

    connection = models.ForeignKey(Connection, models.PROTECT, related_name="credentials")
    purpose = models.CharField(max_length=40)
    version = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=CredentialState.choices, default=CredentialState.PENDING)
    secret = models.BinaryField()
    hint = models.CharField(max_length=12, help_text="The last characters, by which people tell versions apart")
    reason = models.TextField(blank=True, default="")
    failure = models.TextField(blank=True, default="", help_text="Why it could not be verified")
    overlap_hours = models.FloatField(default=24, help_text="For how long the one before still opens webhooks")
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    retire_at = models.DateTimeField(null=True, blank=True, help_text="End of the overlap")
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = CredentialQuerySet.as_manager()

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "purpose", "version"], name="credential_version"),
            models.UniqueConstraint(
                fields=["connection", "purpose"], condition=models.Q(state="active"), name="credential_one_active"
            ),
            models.UniqueConstraint(
                fields=["connection", "purpose"], condition=models.Q(state="pending"), name="credential_one_pending"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} v{self.version} ({self.state})"
