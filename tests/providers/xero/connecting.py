"""A connection of ours to a running sandbox."""

from typing import Any

from integrations.boundary.vault import seal
from integrations.configuration.connect import connect
from integrations.models import Connection, Credential, CredentialState, Stream, Tenant
from integrations.providers.xero.sandbox.harness import Sandbox
from tests.conftest import TESTER

#: As many requests as one likes: what the sandbox allows once its own limits are lifted.
LIFTED = {"per_minute": None, "per_day": None, "at_once": None}
WEBHOOK_KEY = "key-of-the-tests-0001"


def connect_to(sandbox: Sandbox, tenant: Tenant, name: str = "Xero", **values: Any) -> Connection:
    """Make a connection with active secrets and without limits; no stream of it runs by schedule."""
    _, refresh_token = sandbox.tokens()
    settings = {
        "tenant_id": sandbox.tenant_id, "client_id": sandbox.client_id, "api_base": sandbox.url,
        "identity_base": sandbox.url, **values,
    }  # fmt: skip
    made = connect(tenant, provider="xero", name=name, environment="test", values=settings, actor=TESTER)
    made.limits = LIFTED
    made.save(update_fields=["limits"])
    secrets = {
        "client_secret": sandbox.client_secret, "refresh_token": refresh_token, "webhook_key": WEBHOOK_KEY,
    }  # fmt: skip
    for purpose, secret in secrets.items():
        Credential.objects.create(
            connection=made, purpose=purpose, version=1, state=CredentialState.ACTIVE,
            secret=seal(secret.encode()), hint=f"…{secret[-4:]}", created_by=TESTER.name,
        )  # fmt: skip
    Stream.objects.filter(connection=made).update(paused_at=None, next_run_at="2099-01-01T00:00:00Z")
    return made
