"""Rotating the secrets of a connection. A secret goes in and never comes out."""

from datetime import datetime
from typing import Any

from django.http import Http404, HttpResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from console.access import get_visible, in_space
from console.connections.actions import url_of
from console.connections.forms import RotateForm
from console.connections.views import connection_of
from console.questions import GET_OR_POST, Question, ask, filled
from console.wording import ago
from integrations.configuration import credentials
from integrations.models import Connection, Credential
from integrations.providers import get_adapter
from integrations.providers.base import SecretSpec


@sensitive_post_parameters("secret")
@GET_OR_POST
@in_space("rotate")
@sensitive_variables()
def rotate(request: Any, pk: int, purpose: str) -> HttpResponse:
    """Give a new version of a secret; it becomes active once it is proved."""
    connection = connection_of(request, pk, "rotate")
    spec = _spec(connection, purpose)
    form = RotateForm(filled(request), title=spec.title, hint=spec.hint)

    def do(reason: str) -> str:
        given = credentials.submit(
            connection,
            purpose=purpose,
            secret=form.cleaned_data["secret"],
            actor=request.actor,
            reason=reason,
            overlap_hours=form.cleaned_data["overlap_hours"],
        )
        return f"{spec.title} v{given.version} is kept. {_proof(spec)}"

    question = Question(
        question=f"Rotate the {_lower(spec.title)} of {connection.name}?",
        text=_consequence(spec),
        act=f"Rotate the {_lower(spec.title)}",
        keep="Keep the present one",
        reason="Shown in the history and in the journal. Never write the secret itself here.",
        form=form,
        back_url=url_of(request, connection, "secrets"),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("rotate")
def cancel(request: Any, pk: int) -> HttpResponse:
    """Drop a new secret that is not proved yet."""
    credential, connection = _credential(request, pk)
    title = _lower(_spec(connection, credential.purpose).title)

    def do(reason: str) -> str:
        credentials.cancel(credential, actor=request.actor, reason=reason)
        return f"The new {title} v{credential.version} is dropped."

    question = Question(
        question=f"Drop the new {title} v{credential.version}?",
        text="It is not in use yet. The active one stays as it is.",
        act=f"Drop {title} v{credential.version}",
        keep="Keep waiting for its proof",
        reason="Shown in the journal.",
        back_url=url_of(request, connection, "secrets"),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("rotate")
def revoke(request: Any, pk: int) -> HttpResponse:
    """End the overlap of a retiring secret now."""
    credential, connection = _credential(request, pk)
    title = _lower(_spec(connection, credential.purpose).title)

    def do(reason: str) -> str:
        credentials.revoke(credential, actor=request.actor, reason=reason)
        return f"The {title} v{credential.version} opens nothing any more."

    question = Question(
        question=f"End the overlap of {title} v{credential.version} now?",
        text=(
            f"{_last_use(credential.last_used_at)} What still comes with it is refused from now on. "
            "This cannot be undone."
        ),
        act=f"End {title} v{credential.version} now",
        keep="Let the overlap run out",
        reason="Shown in the journal.",
        danger=True,
        back_url=url_of(request, connection, "secrets"),
    )
    return ask(request, question, do)


def _last_use(used: datetime | None) -> str:
    return f"It was last used {ago(used, timezone.now())}." if used else "It was never seen in use."


def _credential(request: Any, pk: int) -> tuple[Credential, Connection]:
    credential = get_visible(Credential.objects.defer("secret"), request.user, pk=pk)
    return credential, connection_of(request, credential.connection_id, "rotate")


def _spec(connection: Connection, purpose: str) -> SecretSpec:
    for spec in get_adapter(connection.provider).secrets:
        if spec.name == purpose:
            return spec
    raise Http404


def _lower(title: str) -> str:
    """Return a title within a sentence: "API key" keeps its capitals."""
    return title if title[:2].isupper() else f"{title[:1].lower()}{title[1:]}"


def _proof(spec: SecretSpec) -> str:
    if spec.verified_by == "call":
        return "It is being verified by a call to the provider."
    return "It becomes active with the first delivery signed with it."


def _consequence(spec: SecretSpec) -> str:
    if spec.verified_by == "call":
        return (
            "The new one is tried by a call to the provider first. Only if that works does it become active; "
            "if not, nothing changes."
        )
    return (
        "Deliveries signed with either are accepted. The first one signed with the new one makes it active; "
        "until then the present one stays."
    )
