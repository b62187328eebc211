"""Making and changing subscriptions, and their secrets, each of which is shown once."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse

from console.access import get_visible, in_space, require
from console.questions import GET_OR_POST, Question, ask, filled
from console.subscriptions import history, page
from console.subscriptions.forms import OverlapForm, SubscriptionForm
from console.subscriptions.views import find, url_of
from integrations.configuration import subscriptions as engine
from integrations.models import SigningSecret, Subscription
from integrations.workflow.errors import Refusal

WHO_READS = "Shown at the subscription and in the journal."


@GET_OR_POST
@in_space("edit_settings")
def add(request: Any) -> HttpResponse:
    """Make a subscription; its secret stands on the page that follows, once."""
    space = request.space
    require(request.user, "edit_settings", tenant_id=space.tenant.pk)
    form = SubscriptionForm(filled(request))
    question = Question(
        question=f"Add a subscription to {space.tenant.name}, {space.environment}",
        text="It is told of every change from now on. Its signing secret is shown once, on the page that follows.",
        act="Add the subscription",
        keep="Add nothing",
        reason=WHO_READS,
        form=form,
        back_url=reverse("subscriptions", args=space.args),
        template="subscriptions/ask.html",
    )

    def do(reason: str) -> str:
        try:
            made, secret = engine.make(
                space.tenant, environment=space.environment, actor=request.actor, reason=reason, **form.cleaned_data
            )
        except engine.BadSubscription as bad:
            raise _refused(form, bad, "Nothing was made") from bad
        page.keep_secret(request, made, secret)
        question.back_url = url_of(request, made)
        return f"{made.name} is told from now on."

    return ask(request, question, do)


@GET_OR_POST
@in_space("edit_settings")
def edit(request: Any, pk: int) -> HttpResponse:
    """Change where and of what a subscription is told; `?undo=` proposes what was before a change."""
    found = find(request, pk, "edit_settings")
    values = {"name": found.name, "url": found.url, "topics": found.topics}
    undone = request.GET.get("undo", "")
    if undone:
        values |= history.values_before(found, undone)
    form = SubscriptionForm(filled(request), initial=values)

    def do(reason: str) -> str:
        try:
            changed = engine.change(found, actor=request.actor, reason=reason, **form.cleaned_data)
        except engine.BadSubscription as bad:
            raise _refused(form, bad, "Nothing was changed") from bad
        return f"Changed {', '.join(changed)}. It holds from the next sending on."

    question = Question(
        question=f"Change {found.name}",
        text=("This is how it was before that change. Saving restores it. " if undone else "")
        + "What waits goes to the new address too. Topics hold for what happens from now on.",
        act=f"Change {found.name}",
        keep="Leave it as it is",
        reason=WHO_READS,
        form=form,
        back_url=url_of(request, found),
        template="subscriptions/ask.html",
    )
    return ask(request, question, do)


def _refused(form: SubscriptionForm, bad: engine.BadSubscription, what: str) -> Refusal:
    for field, words in bad.faults.items():
        form.add_error(field, words)
    return Refusal(f"{what}: see below.")


@GET_OR_POST
@in_space("rotate")
def rotate(request: Any, pk: int) -> HttpResponse:
    """Give a subscription a new secret, shown once; for the overlap both sign."""
    found = find(request, pk, "rotate")
    form = OverlapForm(filled(request))

    def do(reason: str) -> str:
        hours = form.cleaned_data["overlap_hours"]
        secret = engine.rotate(found, actor=request.actor, reason=reason, overlap_hours=hours)
        page.keep_secret(request, found, secret)
        return f"{found.name} has a new signing secret. For {hours:g} h the old one signs too."

    question = Question(
        question=f"Rotate the signing secret of {found.name}?",
        text=(
            "The new secret is shown once, on the page that follows. Until the overlap ends every delivery carries "
            "both signatures, so the receiver can change over at any moment in it."
        ),
        act="Rotate the signing secret",
        keep="Keep the present one",
        reason=WHO_READS,
        form=form,
        back_url=url_of(request, found, "secrets"),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("rotate")
def revoke(request: Any, pk: int) -> HttpResponse:
    """End the overlap of a secret now."""
    rows = SigningSecret.objects.defer("secret")
    secret = get_visible(rows, request.user, pk=pk)
    found: Subscription = find(request, secret.subscription_id, "rotate")

    def do(reason: str) -> str:
        engine.revoke(secret, actor=request.actor, reason=reason)
        return f"The signing secret v{secret.version} signs nothing more."

    question = Question(
        question=f"End the overlap of signing secret v{secret.version} now?",
        text="A receiver that still holds only this one refuses what comes from now on. This cannot be undone.",
        act=f"End v{secret.version} now",
        keep="Let the overlap run out",
        reason=WHO_READS,
        danger=True,
        back_url=url_of(request, found, "secrets"),
    )
    return ask(request, question, do)
