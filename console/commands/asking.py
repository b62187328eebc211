"""Asking a provider for something by hand: a form of the adapter's own making, and one command of it."""

import re
import secrets
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET

from console.access import find_here, in_space
from console.commands import acts, beginning
from console.commands.fields import ContentForm
from console.connections.views import connection_of
from console.newest import id_of
from console.questions import GET_OR_POST, Question, ask, filled
from integrations.models import Breaker, BreakerState, Command, Connection, Environment, Record
from integrations.providers import get_adapter
from integrations.providers.base import ActionSpec
from integrations.workflow import commands
from integrations.workflow.errors import Refusal

WHO_READS = "Kept with the command and in the journal, with your name."
_MADE_HERE: Final = re.compile(r"op_[0-9a-f]{20}")


@require_GET
@in_space(acts.COMMAND)
def begin(request: Any, pk: int, action: str) -> HttpResponse:
    """Lead to the form of a command under a new operation id.

    The id stands in the address: a reload, the way back and a second click ask for the same command.
    """
    connection, _ = _asked(request, pk, action)
    record = _record(request)
    place = [*request.space.args, connection.pk, action, f"op_{secrets.token_hex(10)}"]
    return redirect(reverse("command_new", args=place) + (f"?record={record.pk}" if record else ""))


@GET_OR_POST
@in_space(acts.COMMAND)
def new(request: Any, pk: int, action: str, operation: str) -> HttpResponse:
    """Ask for the content of one command, and submit it once."""
    connection, spec = _asked(request, pk, action)
    record = _record(request)
    if not _MADE_HERE.fullmatch(operation):
        raise Http404
    if request.method != "POST" and (known := _known(request, operation)):
        messages.info(request, "This form was sent already: this command came of it. Nothing was sent twice.")
        return redirect(_url(request, known))
    typed = filled(request)
    initial = beginning.values(record, connection, spec) if record and typed is None else None
    form = ContentForm(typed, spec=spec, initial=initial)
    question = _question(request, connection, spec, record, operation)
    if connection.disabled_at:
        return question.shown(request, error=f"{connection.name} is disabled. Enable it first.")
    question.form = form

    def do(reason: str) -> str:
        command = _submit(request, connection, spec, form, operation, record, reason)
        question.back_url = _url(request, command)
        return "It was asked for already, and is sent once." if command.repeated else f"Asked for: {command.summary}."

    return ask(request, question, do)


def _submit(
    request: Any,
    connection: Connection,
    spec: ActionSpec,
    form: ContentForm,
    operation: str,
    record: Record | None,
    reason: str,
) -> Command:
    try:
        return commands.submit(
            connection, action=spec.name, content=form.values, operation_id=operation, external_id=form.target,
            record=record, actor=request.actor, reason=reason,
        )  # fmt: skip
    except commands.DifferentContent as different:
        known = _known(request, operation)
        what = f": {known.summary}" if known else ""
        raise Refusal(
            f"This form was sent already with other content{what}. Open it anew to ask for one more."
        ) from different


def _question(
    request: Any, connection: Connection, spec: ActionSpec, record: Record | None, operation: str
) -> Question:
    live = connection.environment == Environment.LIVE
    back = reverse("record", args=[*request.space.args, record.pk]) if record else ""
    return Question(
        question=f"{spec.title} in {connection.name}",
        text=" ".join(_told(connection, spec, record, live=live)),
        act=f"{spec.title} in {connection.name}, {connection.environment}",
        keep="Ask for nothing",
        reason=WHO_READS,
        danger=live,
        back_url=back or reverse("connection", args=[*request.space.args, connection.pk]),
        template="commands/new.html",
        more={
            "action": request.get_full_path(), "connection": connection, "operation": operation, "record": record,
        },
    )  # fmt: skip


def _told(connection: Connection, spec: ActionSpec, record: Record | None, *, live: bool) -> list[str]:
    """Say what will be done, where, and when."""
    name, title = connection.name, get_adapter(connection.provider).title
    does = "makes something new there" if spec.creates else "acts on what you name"
    real = f"This is live: what {title} does is real." if live else f"This is {title}’s test environment."
    told = [f"1 command goes to {name} and {does}, once, however often this form is sent. {real}"]
    if connection.paused_at:
        told.append(f"{name} is paused: it waits until somebody resumes it.")
    elif Breaker.objects.filter(connection=connection).exclude(state=BreakerState.CLOSED).exists():
        told.append(f"The breaker of {name} is open: it waits until that closes.")
    if record and record.copies.filter(connection=connection).exists():
        told.append(f"{record.label} is exported there: what you change by hand shows as a difference.")
    return told


def _asked(request: Any, pk: int, action: str) -> tuple[Connection, ActionSpec]:
    """Return the connection and its action: 404 where either is hidden or absent, 403 where it may not be asked."""
    connection = connection_of(request, pk, acts.COMMAND)
    spec = get_adapter(connection.provider).actions.get(action)
    if spec is None:
        raise Http404
    return connection, spec


def _record(request: Any) -> Record | None:
    """Return the record that the form was opened from; raises Http404 for one that is hidden."""
    named = request.GET.get("record", "")
    return find_here(request, Record.objects.all(), id_of(named)) if named else None


def _known(request: Any, operation: str) -> Command | None:
    rows = Command.objects.visible_to(request.user)
    return rows.filter(tenant=request.space.tenant, operation_id=operation).first()


def _url(request: Any, command: Command) -> str:
    return reverse("command", args=[*request.space.args, command.pk])
