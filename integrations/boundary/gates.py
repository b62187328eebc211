"""What the webhook endpoint knows of a connection: its adapter and the secrets that are valid now."""

import time
import uuid
from dataclasses import dataclass, field

from django.db.models import Q
from django.utils import timezone

from integrations.boundary.vault import unseal
from integrations.models import Connection, Credential, CredentialState
from integrations.providers import get_adapter
from integrations.providers.base import Adapter

#: Seconds for which a gate is trusted without a look at the database. A signature that does not fit is
#: checked again against fresh secrets, and a disabled connection is noticed by the insert itself.
TRUST = 1.0


@dataclass(frozen=True)
class Gate:
    """One connection's way in."""

    connection_id: int
    tenant_id: int
    environment: str
    disabled: bool
    adapter: Adapter
    secrets: list[str] = field(repr=False)
    credential_ids: list[int]
    pending: frozenset[int]
    loaded_at: float = field(default_factory=time.monotonic)

    @property
    def fresh(self) -> bool:
        return time.monotonic() - self.loaded_at < TRUST


def load_gate(public_id: uuid.UUID) -> Gate | None:
    """Read a connection's gate; None where there is no such connection.

    Pending secrets open too, so that the first delivery signed with a new one can prove it; retiring
    ones open until their overlap ends.
    """
    connection = Connection.objects.filter(public_id=public_id).first()
    if connection is None:
        return None
    adapter = get_adapter(connection.provider)
    purposes = [spec.name for spec in adapter.secrets if spec.verified_by == "delivery"]
    valid = list(
        Credential.objects.filter(connection=connection, purpose__in=purposes)
        .filter(
            Q(state__in=[CredentialState.ACTIVE, CredentialState.PENDING])
            | Q(state=CredentialState.RETIRING, retire_at__gt=timezone.now())
        )
        .order_by("-version")
    )
    return Gate(
        connection_id=connection.pk,
        tenant_id=connection.tenant_id,
        environment=connection.environment,
        disabled=connection.disabled_at is not None,
        adapter=adapter,
        secrets=[unseal(credential.secret).decode() for credential in valid],
        credential_ids=[credential.pk for credential in valid],
        pending=frozenset(credential.pk for credential in valid if credential.state == CredentialState.PENDING),
    )
