"""Connecting a provider: its name here, its settings, its secrets. The secrets are then proved by workers."""

from typing import Any

from django import forms
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from console.access import in_space, require
from console.connections.forms import settings_form, values_of
from console.questions import GET_OR_POST, Question, ask, filled
from integrations.configuration import credentials
from integrations.configuration.connect import connect
from integrations.configuration.settings import BadSettings
from integrations.models import Connection
from integrations.providers import PROVIDERS, get_adapter
from integrations.providers.base import Adapter
from integrations.workflow.errors import Refusal

SECRET = "secret_"  # noqa: S105 - the beginning of a field's name


@require_GET
@in_space("edit_settings")
def choose(request: Any) -> HttpResponse:
    """Show the providers that can be connected; where there is one, go on with it."""
    require(request.user, "edit_settings", tenant_id=request.space.tenant.pk)
    if len(PROVIDERS) == 1:
        return redirect(reverse("connection_add", args=[*request.space.args, next(iter(PROVIDERS))]))
    return render(request, "connections/choose.html", {"adapters": [get_adapter(slug) for slug in PROVIDERS]})


@GET_OR_POST
@in_space("edit_settings")
def add(request: Any, provider: str) -> HttpResponse:
    """Connect a provider to this tenant in this environment."""
    space = request.space
    require(request.user, "edit_settings", tenant_id=space.tenant.pk)
    if provider not in PROVIDERS:
        raise Http404
    adapter = get_adapter(provider)
    form = connection_form(adapter, filled(request))
    question = Question(
        question=f"Connect {adapter.title} to {space.tenant.name}, {space.environment}",
        text="Nothing is written at the provider. The secrets are verified first; then the first sync begins.",
        act=f"Connect {adapter.title}",
        keep="Connect nothing",
        reason="Shown in the connection's history and in the journal.",
        form=form,
        back_url=reverse("connections", args=space.args),
    )

    def do(reason: str) -> str:
        made = make(request, adapter, form, reason)
        question.back_url = reverse("connection", args=[*space.args, made.pk])
        return f"{made.name} is connected. Its secrets are being verified."

    return ask(request, question, do)


def connection_form(adapter: Adapter, data: Any) -> forms.Form:
    """Return the form of a new connection: its name, the adapter's settings and secrets."""
    form = settings_form(adapter.settings_schema, data, _defaults(adapter))
    form.fields = {
        "connection_name": forms.CharField(
            label="Name", max_length=120, initial=adapter.title, help_text="What people call it here."
        ),
        **form.fields,
        **{f"{SECRET}{spec.name}": _secret_field(spec.title, spec.hint, spec.verified_by) for spec in adapter.secrets},
    }
    return form


def _defaults(adapter: Adapter) -> dict[str, Any]:
    fields = adapter.settings_schema.model_fields
    return {name: info.get_default() for name, info in fields.items() if not info.is_required()}


def _secret_field(title: str, hint: str, verified_by: str) -> forms.CharField:
    later = verified_by == "delivery"
    more = " It may be given later: the provider makes it when it is told the webhook address." if later else ""
    return forms.CharField(
        label=title,
        required=not later,
        max_length=2000,
        help_text=f"{hint}. Kept encrypted and never shown again.{more}",
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false", "class": "mono"}),
    )


@transaction.atomic
def make(request: Any, adapter: Adapter, form: forms.Form, reason: str) -> Connection:
    """Make the connection with its secrets, all or nothing; raises `Refusal`."""
    given = values_of(form)
    name = str(given.pop("connection_name"))
    secrets = {key.removeprefix(SECRET): given.pop(key) for key in list(given) if key.startswith(SECRET)}
    space = request.space
    if Connection.objects.filter(tenant=space.tenant, environment=space.environment, name=name).exists():
        raise Refusal(f"There is a connection called {name} already. Choose another name.")
    try:
        made = connect(
            space.tenant,
            provider=adapter.slug,
            name=name,
            environment=space.environment,
            values=given,
            actor=request.actor,
        )
    except BadSettings as bad:
        for field, words in bad.faults.items():
            form.add_error(field if field in form.fields else None, words)
        raise Refusal("Nothing was connected: see below.") from bad
    for purpose, secret in secrets.items():
        if secret:
            credentials.submit(made, purpose=purpose, secret=secret, actor=request.actor, reason=reason)
    return made
