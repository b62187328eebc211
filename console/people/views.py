"""The people of a tenant and their roles: for administrators, who see no records by that."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from console.access import in_space
from console.models import Grant, Token, User
from console.people.forms import GiveForm, person_by
from console.people.giving import give, invite, send_link, take
from console.questions import GET_OR_POST, Question, ask, filled
from console.tokens import keys
from console.tokens.views import ask_to_revoke
from console.wording import count
from integrations.models import Connection
from integrations.workflow.errors import Refusal

HISTORY = 40
TOKENS = 200
WHO_READS = "Shown in the history of grants and in the journal."


@dataclass
class Person:
    """Somebody with the roles that they hold here."""

    user: User
    grants: list[Grant] = field(default_factory=list)


@require_GET
@in_space("manage_people")
def people(request: Any) -> HttpResponse:
    """Show everybody who holds a role at this tenant, and what was given and taken."""
    tenant = request.space.tenant
    grants = (
        Grant.objects.filter(tenant=tenant).select_related("user", "connection").order_by("user__first_name", "role")
    )
    history: Any = Grant.history
    past = history.filter(tenant_id=tenant.pk).select_related("user", "connection").order_by("-history_id")[:HISTORY]
    tokens = keys.in_force(Token.objects.filter(tenant=tenant)).select_related("user")[:TOKENS]
    context = {"people": _persons(grants), "history": [_told(row) for row in past], "tokens": tokens}
    return render(request, "people/people.html", context)


def _persons(grants: Iterable[Grant]) -> list[Person]:
    found: dict[int, Person] = {}
    for held in grants:
        found.setdefault(held.user_id, Person(held.user)).grants.append(held)
    return list(found.values())


def _told(row: Any) -> dict[str, Any]:
    """Return one row of the history in words."""
    taken = row.history_type == "-"
    return {
        "at": row.history_date,
        "who": row.granted_by,
        "verb": "took" if taken else "gave",
        "role": row.role,
        "to": "from" if taken else "to",
        "person": row.user.name if row.user else "somebody who is gone",
        "place": f"{row.connection.name} only" if row.connection else "",
        "why": (row.history_change_reason if taken else row.reason) or "",
    }


@GET_OR_POST
@in_space("manage_people")
def add(request: Any) -> HttpResponse:
    """Give a role to somebody, who is invited if nobody knows them yet."""
    tenant = request.space.tenant
    form = GiveForm(
        filled(request),
        tenant=tenant,
        connections=list(Connection.objects.filter(tenant=tenant).order_by("name", "environment")),
        initial={"email": request.GET.get("email", "")[:254]},
    )

    def do(reason: str) -> str:
        values = form.cleaned_data
        user, new = person_by(values["email"]), False
        with transaction.atomic():
            if user is None:
                user = invite(values["email"], values["name"], tenant, actor=request.actor, reason=reason)
                new = True
            give(user, values["role"], tenant, connection=form.connection, actor=request.actor, reason=reason)
        said = f"{user.name} holds {values['role']}."
        if not new:
            return said
        try:
            send_link(request, user)
        except Refusal as refusal:
            return f"{said} {refusal} Send it again from here once it does."
        return f"{said} A link to set a password was sent to {user.email}."

    question = Question(
        question=f"Give somebody a role at {tenant.name}",
        text="It holds at once, and can be taken again.",
        act="Give 1 role",
        keep="Give none",
        reason=WHO_READS,
        form=form,
        back_url=_url(request),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("manage_people")
def remove(request: Any, pk: int) -> HttpResponse:
    """Take a role from somebody."""
    held = get_object_or_404(
        Grant.objects.select_related("user", "connection", "tenant"), pk=pk, tenant=request.space.tenant
    )
    others = Grant.objects.filter(user=held.user, tenant=held.tenant).exclude(pk=held.pk).count()

    def do(reason: str) -> str:
        take(held, actor=request.actor, reason=reason)
        return f"{held.user.name} does not hold {held.role} any more."

    place = held.connection.name if held.connection else held.tenant.name
    left = "They hold no other role here and will see nothing."
    if others:
        left = f"{count(others, 'other role')} of theirs {'stays' if others == 1 else 'stay'}."
    question = Question(
        question=f"Take {held.role} at {place} from {held.user.name}?",
        text=f"It ends with their next click. {left}",
        act="Take 1 role",
        keep="Let them keep it",
        reason=WHO_READS,
        danger=True,
        back_url=_url(request),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("manage_people")
def resend(request: Any, pk: int) -> HttpResponse:
    """Send the link to set a password again."""
    user = get_object_or_404(User.objects.filter(grants__tenant=request.space.tenant).distinct(), pk=pk)

    def do(reason: str) -> str:
        send_link(request, user)
        return f"A link to set a password was sent to {user.email}."

    question = Question(
        question=f"Send {user.name} a link to set a password?",
        text=f"It goes to {user.email} and works once. Their present password works until they use it.",
        act="Send 1 link",
        keep="Send none",
        back_url=_url(request),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("manage_people")
def revoke_token(request: Any, pk: int) -> HttpResponse:
    """End somebody's API token."""
    rows = Token.objects.filter(tenant=request.space.tenant).select_related("user")
    return ask_to_revoke(request, get_object_or_404(rows, pk=pk), _url(request))


def _url(request: Any) -> str:
    return reverse("people", args=request.space.args)
