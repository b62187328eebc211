"""People and what they may do."""

from datetime import timedelta
from functools import cached_property
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from simple_history.models import HistoricalRecords

from integrations.models import Connection, Environment, Scope, Tenant
from integrations.models.visibility import VisibleQuerySet


class Theme(models.TextChoices):
    SYSTEM = "", "as the system"
    LIGHT = "light"
    DARK = "dark"


class User(AbstractUser):
    """A person who signs in; what they may see and do hangs on their grants."""

    email = models.EmailField(unique=True)
    theme = models.CharField(max_length=5, choices=Theme.choices, blank=True, default="")

    @property
    def name(self) -> str:
        """What people call them."""
        return self.get_full_name() or self.email

    @cached_property
    def powers(self) -> "Any":
        """Everything they may do, read once a request; see `console.access`."""
        from console.access import powers_of

        return powers_of(self)

    @property
    def scope(self) -> Scope:
        """What they may see."""
        scope: Scope = self.powers.scope
        return scope


class Role(models.TextChoices):
    SUPPORT = "support"
    OPERATIONS = "operations"
    FINANCE = "finance"
    ENGINEER = "engineer"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


class Grant(models.Model):
    """A person holds a role at a tenant, or at one of its connections only."""

    user = models.ForeignKey(User, models.CASCADE, related_name="grants")
    role = models.CharField(max_length=14, choices=Role.choices)
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="grants")
    connection = models.ForeignKey(Connection, models.CASCADE, null=True, blank=True, related_name="grants")
    granted_by = models.CharField(max_length=150)
    reason = models.TextField(blank=True, default="")
    granted_at = models.DateTimeField(auto_now_add=True)

    objects = VisibleQuerySet["Grant"].as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["user__email", "role"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "role", "tenant", "connection"], name="grant_once", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.role} at {self.connection or self.tenant}"


class TokenQuerySet(VisibleQuerySet["Token"]):
    connection_path = ""


class Token(models.Model):
    """What a program signs in with instead of a person: it may do what that person may, in one environment."""

    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="+")
    environment = models.CharField(max_length=4, choices=Environment.choices)
    name = models.CharField(max_length=60, help_text="What uses it")
    #: SHA-256 of the secret, which is shown once and kept nowhere.
    digest = models.BinaryField(unique=True)
    hint = models.CharField(max_length=12, help_text="The last characters, by which people tell tokens apart")
    made_at = models.DateTimeField(db_default=Now())
    #: From then on it opens nothing. One that was made before tokens ended got this long from the update on.
    expires_at = models.DateTimeField(db_default=Now() + timedelta(days=90))
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=150, blank=True, default="")
    #: The minute of its newest request, and how many came in it.
    minute = models.DateTimeField(null=True, blank=True)
    requests = models.PositiveIntegerField(default=0)

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["tenant", "environment", "-id"], name="token_newest")]

    def __str__(self) -> str:
        return self.name

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at <= timezone.now()
