"""What an adapter needs to talk for a connection: its settings and its secrets, opened for one run."""

from django.utils import timezone

from integrations.boundary.vault import unseal
from integrations.models import Connection, Credential, CredentialState
from integrations.providers import get_adapter
from integrations.providers.base import Access


def note_use(connection: Connection) -> None:
    """Note that a connection's callable secrets were used now."""
    purposes = [spec.name for spec in get_adapter(connection.provider).secrets if spec.verified_by == "call"]
    Credential.objects.filter(connection=connection, state=CredentialState.ACTIVE, purpose__in=purposes).update(
        last_used_at=timezone.now()
    )


def access_of(connection: Connection, *, instead: Credential | None = None) -> Access:
    """Return a connection's access; `instead` takes the place of the active credential of its purpose."""
    adapter = get_adapter(connection.provider)
    active = Credential.objects.filter(connection=connection, state=CredentialState.ACTIVE)
    chosen = {credential.purpose: credential for credential in active}
    if instead is not None:
        chosen[instead.purpose] = instead
    return Access(
        settings=adapter.settings_schema.model_validate(connection.settings),
        secrets={purpose: unseal(credential.secret).decode() for purpose, credential in chosen.items()},
    )
