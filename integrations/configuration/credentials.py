"""Secrets of connections: write-only, versioned, and rotated without a moment in which nothing opens.

pending → active → retiring → revoked. A pending secret is proved by a call to the provider, or, where
only a delivery can prove it (a webhook's signing secret), by the first webhook signed with it; until then
it opens webhooks beside the active one, and a proof that fails changes nothing.
"""

import re
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from integrations.boundary.client import Exchanges
from integrations.boundary.vault import seal
from integrations.configuration.reach import access_of
from integrations.configuration.settings import is_in_use
from integrations.configuration.tokens import empty
from integrations.failures.categories import Category, Fault
from integrations.health import breaker
from integrations.journal.actor import ENGINE, Actor
from integrations.journal.write import write_act
from integrations.models import Connection, Credential, CredentialState, Run, WorkState
from integrations.providers import get_adapter
from integrations.providers.base import Account, SecretSpec
from integrations.workflow.errors import IN_HISTORY, Refusal, require_reason
from integrations.workflow.wake import RUNS, after_commit, send

VERIFY = "integrations.verify_credential"
#: Between two proofs of one secret, where no answer came.
PROVE_AGAIN = timedelta(seconds=30)


def within(title: str) -> str:
    """Return a title as it stands within a sentence: "API key", "webhook signing secret"."""
    return title if title[:2].isupper() else f"{title[:1].lower()}{title[1:]}"


def spec_of(connection: Connection, purpose: str) -> SecretSpec:
    """Return what the adapter says of a secret; raises `Refusal` for one that it does not know."""
    for spec in get_adapter(connection.provider).secrets:
        if spec.name == purpose:
            return spec
    raise Refusal("This provider has no such secret.")


@transaction.atomic
def submit(
    connection: Connection,
    *,
    purpose: str,
    secret: str,
    actor: Actor,
    reason: str,
    overlap_hours: float | None = None,
) -> Credential:
    """Keep a new secret as pending and have it proved. Raises `Refusal` for one of a wrong form or a doubled one.

    `overlap_hours`: for how long the replaced secret still opens webhooks, from the activation on.
    """
    spec = spec_of(connection, purpose)
    cleaned = secret.strip()
    if not cleaned or (spec.pattern and not re.fullmatch(spec.pattern, cleaned)):
        raise Refusal(f"This is no {within(spec.title)}. {spec.hint}.")
    require_reason(reason, IN_HISTORY)
    Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
    versions = Credential.objects.filter(connection=connection, purpose=purpose)
    if versions.filter(state=CredentialState.PENDING).exists():
        raise Refusal(f"Another new {within(spec.title)} is being verified. Cancel that first.")
    newest = versions.order_by("-version").first()
    hours = settings.CREDENTIAL_OVERLAP_HOURS if overlap_hours is None else overlap_hours
    credential = Credential.objects.create(
        connection=connection,
        purpose=purpose,
        version=newest.version + 1 if newest else 1,
        secret=seal(cleaned.encode()),
        hint=f"…{cleaned[-4:]}",
        reason=reason,
        created_by=actor.name,
        overlap_hours=hours,
    )
    _note(credential, "submitted", f"New {within(spec.title)} given; it is being verified", actor, reason)
    if spec.verified_by == "call":
        transaction.on_commit(lambda: send(VERIFY, credential.pk))
    return credential


def verify(credential_id: int) -> None:
    """Prove a pending secret by a call to the provider: active if it works, revoked with the reason if not.

    Where the provider gives no answer it stays pending and is proved again later.
    """
    credential = Credential.objects.select_related("connection").get(pk=credential_id)
    if credential.state != CredentialState.PENDING:
        return
    Credential.objects.filter(pk=credential_id).update(last_used_at=timezone.now())
    connection = credential.connection
    adapter = get_adapter(connection.provider)
    try:
        account = adapter.check(access_of(connection, instead=credential), Exchanges(connection))
    except Fault as fault:
        if fault.category in (Category.TIMEOUT, Category.OUTAGE, Category.RATE_LIMIT) or _is_anothers(
            fault, credential
        ):
            Credential.objects.filter(pk=credential_id, state=CredentialState.PENDING).update(failure=fault.message)
        else:
            _fail(credential, fault)
        return
    if wrong := _of_another(connection, account):
        _fail(credential, wrong)
        return
    how = f"The provider accepts it, for {account.name}"
    activate(credential, actor=ENGINE, how=how, account=account.id)


def _of_another(connection: Connection, account: Account) -> Fault | None:
    """Return what is wrong with a secret of another account than the connection's, once anything came of that.

    A secret that may not read whose it is passes: nothing can be said against it.
    """
    known = Connection.objects.values_list("account", flat=True).get(pk=connection.pk)
    if not known or account.id in ("", known) or not is_in_use(connection):
        return None
    message = f"It is of another account, {account.name}, and this connection is of {known}. Connect that one anew"
    return Fault(Category.VALIDATION, "another_account", message)


def _is_anothers(fault: Fault, credential: Credential) -> bool:
    """Say whether the proof failed for a secret that is lacking, or itself to be proved: several prove each other."""
    purposes = {spec.name for spec in get_adapter(credential.connection.provider).secrets}
    wrong = fault.code.removeprefix("no_secret:") if fault.code.startswith("no_secret:") else fault.field
    if wrong not in purposes - {credential.purpose}:
        return False
    return not Credential.objects.filter(
        connection=credential.connection, purpose=wrong, state=CredentialState.ACTIVE
    ).exists()


def prove_due() -> int:
    """Have pending secrets proved whose proof got lost or no answer; return how many. Beat calls it often."""
    before = timezone.now() - PROVE_AGAIN
    waiting = (
        Credential.objects.filter(state=CredentialState.PENDING, created_at__lte=before)
        .exclude(last_used_at__gt=before)
        .exclude(connection__wait_until__gt=timezone.now())
        .select_related("connection")
    )
    due = [one for one in waiting if spec_of(one.connection, one.purpose).verified_by == "call"]
    for credential in due:
        send(VERIFY, credential.pk)
    return len(due)


def activate_by_delivery(credential_id: int) -> None:
    """A webhook signed with a pending secret arrived: that proves it."""
    credential = Credential.objects.select_related("connection").filter(pk=credential_id).first()
    if credential and credential.state == CredentialState.PENDING:
        activate(credential, actor=ENGINE, how="A webhook signed with it arrived")


@transaction.atomic
def activate(credential: Credential, *, actor: Actor, how: str, account: str = "") -> None:
    """Make a pending secret the active one; the one before retires for the overlap. `account`: what it opens."""
    Connection.objects.select_for_update(no_key=True).get(pk=credential.connection_id)
    held = (
        Credential.objects.select_for_update(of=("self",), no_key=True)
        .select_related("connection")
        .get(pk=credential.pk)
    )
    if held.state != CredentialState.PENDING:
        return
    now = timezone.now()
    Credential.objects.filter(connection=held.connection, purpose=held.purpose, state=CredentialState.ACTIVE).update(
        state=CredentialState.RETIRING, retire_at=now + timedelta(hours=held.overlap_hours)
    )
    held.state, held.verified_at, held.failure = CredentialState.ACTIVE, now, ""
    held.save(update_fields=["state", "verified_at", "failure"])
    if account:
        Connection.objects.filter(pk=held.connection_id).update(account=account)
    _try_again(held.connection)
    breaker.secret_renewed(held.connection)
    title = spec_of(held.connection, held.purpose).title
    _note(held, "activated", f"{title} v{held.version} is active. {how}", actor, held.reason)


def _try_again(connection: Connection) -> None:
    """Give back the runs that the old secret had parked."""
    parked = Run.objects.filter(connection=connection, state=WorkState.PARKED, category=Category.AUTHENTICATION)
    for run in parked:
        try:
            with transaction.atomic():
                Run.objects.filter(pk=run.pk).update(state=WorkState.READY, due_at=timezone.now(), tries=0)
        except IntegrityError:
            continue  # A newer run over the same stream is open, and covers it.
    after_commit(RUNS)


@transaction.atomic
def _fail(credential: Credential, fault: Fault) -> None:
    held = (
        Credential.objects.select_for_update(of=("self",), no_key=True)
        .select_related("connection")
        .get(pk=credential.pk)
    )
    if held.state != CredentialState.PENDING:
        return
    held.state, held.revoked_at, held.failure = CredentialState.REVOKED, timezone.now(), fault.message
    held.save(update_fields=["state", "revoked_at", "failure"])
    empty(held)
    title = spec_of(held.connection, held.purpose).title
    summary = f"{title} v{held.version} was not accepted: {fault.message.rstrip('.')}. Nothing changed"
    _note(held, "failed", summary, ENGINE, held.reason)


@transaction.atomic
def cancel(credential: Credential, *, actor: Actor, reason: str) -> None:
    """Drop a secret that is not proved yet; raises `Refusal` when it is."""
    held = (
        Credential.objects.select_for_update(of=("self",), no_key=True)
        .select_related("connection")
        .get(pk=credential.pk)
    )
    if held.state != CredentialState.PENDING:
        raise Refusal(f"It is {held.state} already.")
    held.state, held.revoked_at, held.failure = CredentialState.REVOKED, timezone.now(), "Cancelled"
    held.save(update_fields=["state", "revoked_at", "failure"])
    empty(held)
    _note(held, "cancelled", f"The new {held.purpose.replace('_', ' ')} v{held.version} was cancelled", actor, reason)


@transaction.atomic
def revoke(credential: Credential, *, actor: Actor, reason: str) -> None:
    """End a retiring secret before its overlap does; raises `Refusal` for any other state."""
    held = (
        Credential.objects.select_for_update(of=("self",), no_key=True)
        .select_related("connection")
        .get(pk=credential.pk)
    )
    if held.state != CredentialState.RETIRING:
        raise Refusal(f"Only a retiring secret can be ended; this one is {held.state}.")
    held.state, held.revoked_at = CredentialState.REVOKED, timezone.now()
    held.save(update_fields=["state", "revoked_at"])
    empty(held)
    _note(held, "revoked", f"{held.purpose.replace('_', ' ')} v{held.version} opens nothing any more", actor, reason)


def retire_due() -> int:
    """Revoke the secrets whose overlap is over; return how many. Beat calls it every few seconds."""
    due = Credential.objects.filter(state=CredentialState.RETIRING, retire_at__lte=timezone.now())
    ended = 0
    for credential in due:
        try:
            revoke(credential, actor=ENGINE, reason="Its overlap is over")
            ended += 1
        except Refusal:
            continue  # Somebody ended it meanwhile.
    return ended


def _note(credential: Credential, act: str, summary: str, actor: Actor, reason: str) -> None:
    write_act(
        credential,
        f"credential.{act}",
        summary,
        at=credential.connection,
        outcome=credential.state,
        data={"purpose": credential.purpose, "version": credential.version},
        actor=actor,
        reason=reason,
    )
