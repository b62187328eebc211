"""Giving and taking roles, with the journal; inviting who is new."""

import logging
from smtplib import SMTPException
from typing import Any

from allauth.account.forms import ResetPasswordForm
from allauth.account.models import EmailAddress
from django.db import transaction

from console import access
from console.models import Grant, Role, User
from integrations.failures.outline import outline
from integrations.journal.actor import Actor
from integrations.journal.write import Entry, write
from integrations.models import Connection, Lane, Tenant
from integrations.workflow.errors import Refusal

log = logging.getLogger(__name__)


@transaction.atomic
def give(user: User, role: str, tenant: Tenant, *, connection: Connection | None, actor: Actor, reason: str) -> Grant:
    """Give a role; raises `Refusal` for oneself, for a role that is held, and for somebody who may not sign in."""
    if user.pk == actor.id:
        raise Refusal("Another administrator has to give you roles.")
    if not user.is_active:
        raise Refusal(f"{user.name} may not sign in any more.")
    if Grant.objects.filter(user=user, role=role, tenant=tenant, connection=connection).exists():
        raise Refusal(f"{user.name} holds this role already.")
    held = access.grant(user, role, tenant, by=actor.name, reason=reason, connection=connection)
    _note(held, "given", f"{actor.name} gave {role} to {user.name} at {_place(held)}", actor, reason)
    return held


@transaction.atomic
def take(held: Grant, *, actor: Actor, reason: str) -> None:
    """Take a role; raises `Refusal` for the last administrator."""
    Tenant.objects.select_for_update(no_key=True).get(pk=held.tenant_id)
    if held.role == Role.ADMINISTRATOR and not _others(held):
        raise Refusal("This is the last administrator. Give the role to somebody else first.")
    words = f"{actor.name} took {held.role} at {_place(held)} from {held.user.name}"
    _note(held, "taken", words, actor, reason)
    access.revoke(held, by=actor.name, reason=reason)


def _others(held: Grant) -> bool:
    administrators = Grant.objects.filter(tenant=held.tenant, role=Role.ADMINISTRATOR, user__is_active=True)
    return administrators.exclude(user=held.user).exists()


@transaction.atomic
def invite(email: str, name: str, tenant: Tenant, *, actor: Actor, reason: str) -> User:
    """Make an account that nobody can sign in to before they set a password by the link that they are sent."""
    first, _, last = name.partition(" ")
    user = User(username=email[:150], email=email, first_name=first[:150], last_name=last[:150])
    user.set_unusable_password()
    user.save()
    EmailAddress.objects.create(user=user, email=email, primary=True)
    write(
        [
            Entry(
                tenant_id=tenant.pk,
                environment="",
                lane=Lane.PEOPLE,
                action="person.invited",
                summary=f"{actor.name} invited {user.name}",
                subject_type="person",
                subject_id=user.pk,
                actor=actor,
                reason=reason,
            )
        ]
    )
    return user


def send_link(request: Any, user: User) -> None:
    """Send the link by which somebody sets a password; raises `Refusal` where no mail goes out."""
    form = ResetPasswordForm({"email": user.email})
    if form.is_valid():
        try:
            form.save(request)
        except (OSError, SMTPException) as error:
            log.error("A link could not be sent: %s", outline(error))
            raise Refusal("The link could not be sent: no mail server takes it (EMAIL_URL).") from error


def _place(held: Grant) -> str:
    return held.connection.name if held.connection else held.tenant.name


def _note(held: Grant, act: str, summary: str, actor: Actor, reason: str) -> None:
    """Journal a grant. One for the whole tenant stands in the journal of both environments."""
    write(
        [
            Entry(
                tenant_id=held.tenant_id,
                environment=held.connection.environment if held.connection else "",
                connection_id=held.connection_id,
                lane=Lane.PEOPLE,
                action=f"grant.{act}",
                summary=summary,
                outcome=held.role,
                subject_type="person",
                subject_id=held.user_id,
                data={"role": held.role, "place": _place(held)},
                actor=actor,
                reason=reason,
            )
        ]
    )
