from django.contrib.postgres.fields import ArrayField
from django.db import models
from simple_history.models import HistoricalRecords

from integrations.models.visibility import Owned, VisibleQuerySet


class SubscriptionQuerySet(VisibleQuerySet["Subscription"]):
    # It takes messages of every connection, so a role at a single one does not show it.
    connection_path = ""


class Subscription(Owned):
    """Somebody downstream who is told: where, and of what."""

    name = models.CharField(max_length=80)
    url = models.CharField(max_length=500)
    #: Topics it wants: "*", all of a kind as "invoice.*", or one as "invoice.paid".
    topics = ArrayField(models.CharField(max_length=60))

    paused_at = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True, default="")
    pause_reason = models.TextField(blank=True, default="")
    disabled_at = models.DateTimeField(null=True, blank=True)
    disable_reason = models.TextField(blank=True, default="")
    ended_at = models.DateTimeField(null=True, blank=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    #: When a message last arrived there.
    told_at = models.DateTimeField(null=True, blank=True)

    objects = SubscriptionQuerySet.as_manager()
    history = HistoricalRecords(excluded_fields=["told_at"])

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "environment", "name"],
                condition=models.Q(ended_at__isnull=True),
                name="subscription_name",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def word(self) -> str:
        """How it stands, in one word."""
        if self.ended_at:
            return "ended"
        if self.disabled_at:
            return "disabled"
        return "paused" if self.paused_at else "active"

    @property
    def rests(self) -> bool:
        """Whether its deliveries are held."""
        return self.word != "active"


class SecretState(models.TextChoices):
    ACTIVE = "active"
    RETIRING = "retiring"
    REVOKED = "revoked"


class SigningSecretQuerySet(VisibleQuerySet["SigningSecret"]):
    tenant_path = "subscription__tenant_id"
    connection_path = ""


class SigningSecret(models.Model):
    """One version of the secret that signs a subscription's deliveries; shown once, when it is made."""

    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="secrets")
    version = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=SecretState.choices, default=SecretState.ACTIVE)
    secret = models.BinaryField()
    hint = models.CharField(max_length=12, help_text="The last characters, by which people tell versions apart")
    reason = models.TextField(blank=True, default="")
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    retire_at = models.DateTimeField(null=True, blank=True, help_text="End of the overlap")
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = SigningSecretQuerySet.as_manager()

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["subscription", "version"], name="signing_secret_version"),
            models.UniqueConstraint(
                fields=["subscription"], condition=models.Q(state="active"), name="signing_secret_one_active"
            ),
        ]

    def __str__(self) -> str:
        return f"v{self.version} ({self.state})"
