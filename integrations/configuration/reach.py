"""What an adapter needs to talk for a connection: its settings and its secrets, opened for one run."""

from collections.abc import Container
from dataclasses import replace

from django.utils import timezone

from integrations.boundary.vault import unseal
from integrations.configuration.tokens import fresh
from integrations.failures.categories import Category, Fault
from integrations.models import Connection, Credential, CredentialState
from integrations.providers import get_adapter
from integrations.providers.base import Access, SecretSpec


def note_use(connection: Connection) -> None:
    """Note that a connection's callable secrets were used now."""
    purposes = [spec.name for spec in get_adapter(connection.provider).secrets if spec.verified_by == "call"]
    Credential.objects.filter(connection=connection, state=CredentialState.ACTIVE, purpose__in=purposes).update(
        last_used_at=timezone.now()
    )


def lacking(connection: Connection, held: Container[str] | None = None) -> list[SecretSpec]:
    """Return the secrets without which nothing can be asked and of which none is active (or `held`)."""
    if held is None:
        active = Credential.objects.filter(connection=connection, state=CredentialState.ACTIVE)
        held = set(active.values_list("purpose", flat=True))
    specs = get_adapter(connection.provider).secrets
    return [spec for spec in specs if spec.verified_by == "call" and spec.name not in held]


def access_of(connection: Connection, *, instead: Credential | None = None) -> Access:
    """Return a connection's access, with fresh tokens where its secrets are of single use.

    `instead` is a credential to be proved: it takes the place of the active one of its purpose, and what is lacking
    besides it is taken from those that are to be proved as well. Call it outside of a transaction, since a refresh is
    a request. Raises `Fault`: authentication where a secret is missing without which nothing can be asked; `NotYet`
    where another worker takes long over a refresh.
    """
    adapter = get_adapter(connection.provider)
    chosen = _chosen(connection, instead)
    for spec in lacking(connection, chosen):
        raise Fault(Category.AUTHENTICATION, f"no_secret:{spec.name}", f"There is no active {spec.title}")
    access = Access(
        settings=adapter.settings_schema.model_validate(connection.settings),
        secrets={purpose: unseal(credential.secret).decode() for purpose, credential in chosen.items()},
    )
    for spec in adapter.secrets:
        if spec.single_use:
            anew = instead is not None and instead.purpose != spec.name
            access = replace(access, secrets={**access.secrets, **fresh(chosen[spec.name], access, anew=anew)})
    return access


def _chosen(connection: Connection, instead: Credential | None) -> dict[str, Credential]:
    """Return by purpose the credentials to use."""
    states = [CredentialState.ACTIVE] if instead is None else [CredentialState.ACTIVE, CredentialState.PENDING]
    found = Credential.objects.filter(connection=connection, state__in=states)
    pending_first = sorted(found, key=lambda credential: credential.state == CredentialState.ACTIVE)
    chosen = {credential.purpose: credential for credential in pending_first}
    return chosen if instead is None else {**chosen, instead.purpose: instead}
