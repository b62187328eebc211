"""API tokens: a person's own, for their programs. Administrators revoke everybody's on the page of people."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from console.access import in_space
from console.models import Token
from console.questions import GET_OR_POST, Question, ask, filled
from console.tokens import keys
from console.tokens.forms import TokenForm
from integrations.workflow.errors import Refusal


@require_GET
@in_space()
def tokens(request: Any) -> HttpResponse:
    """Show the person's own tokens here."""
    return render(request, "tokens/tokens.html", _listed(request))


@never_cache
@GET_OR_POST
@in_space()
def new(request: Any) -> HttpResponse:
    """Ask for a name and an end, make a token, and show its secret: this once."""
    form, error = TokenForm(filled(request)), ""
    space = request.space
    if request.method == "POST" and form.is_valid():
        try:
            token, secret = keys.make(
                request.user, space.tenant, space.environment, actor=request.actor, **form.cleaned_data
            )
        except Refusal as refusal:
            error = str(refusal)
        else:
            return render(request, "tokens/tokens.html", _listed(request) | {"made": token, "secret": secret})
    question = Question(
        question=f"Make a token for {space.tenant.name} ({space.environment})?",
        text=(
            "A program that sends it does what you may do here, in your name. Its secret is shown once. "
            "A new password of yours revokes it."
        ),
        act="Make 1 token",
        keep="Make none",
        form=form,
        back_url=_url(request),
    )
    return question.shown(request, error=error)


@GET_OR_POST
@in_space()
def revoke(request: Any, pk: int) -> HttpResponse:
    """End one of the person's own tokens."""
    space = request.space
    mine = Token.objects.filter(user=request.user, **space.here)
    return ask_to_revoke(request, get_object_or_404(mine.select_related("user"), pk=pk), _url(request))


def ask_to_revoke(request: Any, token: Token, back_url: str) -> HttpResponse:
    """Ask once, and end a token."""

    def do(reason: str) -> str:
        keys.revoke(token, actor=request.actor, reason=reason)
        return f"“{token.name}” opens nothing any more."

    question = Question(
        question=f"Revoke the token “{token.name}” ({token.hint})?",
        text="It ends with its next request, and whatever uses it stops. It cannot be brought back.",
        act="Revoke 1 token",
        keep="Let it work",
        reason="Kept in the journal with your name.",
        danger=True,
        back_url=back_url,
    )
    return ask(request, question, do)


def _listed(request: Any) -> dict[str, Any]:
    space = request.space
    mine = Token.objects.filter(user=request.user, **space.here)
    return {
        "tokens": mine.order_by("revoked_at", "-id")[: 2 * keys.MOST],
        "api_url": settings.PUBLIC_URL.rstrip("/") + reverse("api_commands"),
        "per_minute": settings.API_PER_MINUTE,
    }


def _url(request: Any) -> str:
    return reverse("tokens", args=request.space.args)
