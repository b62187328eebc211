"""Pause, resume, disable, enable, run, settings: each asks once, saying what will happen to how many."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from console.access import find_here, get_visible, in_space
from console.connections.forms import UntilForm, settings_form, values_of
from console.connections.views import connection_of
from console.questions import GET_OR_POST, Question, ask, filled
from console.wording import count, exact
from integrations.configuration import settings as configuration
from integrations.models import Connection, Run, Stream
from integrations.providers import get_adapter
from integrations.workflow import pause as pausing
from integrations.workflow import runs
from integrations.workflow.errors import Refusal

WHO_READS = "Shown at the connection, in its history and in the journal."


def url_of(request: Any, connection: Connection, part: str = "") -> str:
    """Return the address of a connection's page, or of a part of it."""
    return reverse("connection", args=[*request.space.args, connection.pk]) + (f"#{part}" if part else "")


def stream_of(request: Any, pk: int, action: str) -> Stream:
    """Return a stream of the space: Http404 where it is hidden, `Forbidden` without `action`."""
    stream = get_visible(Stream.objects.select_related("connection"), request.user, pk=pk)
    stream.connection = connection_of(request, stream.connection_id, action)
    return stream


@GET_OR_POST
@in_space("pause")
def pause(request: Any, pk: int) -> HttpResponse:
    """Pause a connection: what comes is kept and waits."""
    return _pause(request, connection_of(request, pk, "pause"))


@GET_OR_POST
@in_space("pause")
def pause_stream(request: Any, pk: int) -> HttpResponse:
    """Pause one stream."""
    return _pause(request, stream_of(request, pk, "pause"))


def _pause(request: Any, target: Connection | Stream) -> HttpResponse:
    name, connection = _name(target), _connection(target)
    waiting = pausing.waiting_count(target)
    form = UntilForm(filled(request))

    def do(reason: str) -> str:
        until = form.cleaned_data["until"]
        held = pausing.pause(target, actor=request.actor, reason=reason, until=until)
        ends = f" until {exact(until)}" if until else ""
        waits = f"{count(held, 'event')} {'waits' if held == 1 else 'wait'}." if held else "Nothing waits yet."
        return f"{name} is paused{ends}. {waits}"

    question = Question(
        question=f"Pause {name}?",
        text=(
            "Pause holds, nothing is dropped: webhooks are still accepted and kept, runs do not start. "
            "Resume lets go oldest first, at the allowed rate."
        ),
        act=f"Pause {name}, hold {count(waiting, 'event')}" if waiting else f"Pause {name}",
        keep="Let it run",
        reason=WHO_READS,
        form=form,
        back_url=url_of(request, connection),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("pause")
def resume(request: Any, pk: int) -> HttpResponse:
    """Resume a connection: what waits is let go, oldest first."""
    return _resume(request, connection_of(request, pk, "pause"))


@GET_OR_POST
@in_space("pause")
def resume_stream(request: Any, pk: int) -> HttpResponse:
    """Resume one stream."""
    return _resume(request, stream_of(request, pk, "pause"))


def _resume(request: Any, target: Connection | Stream) -> HttpResponse:
    name, connection = _name(target), _connection(target)
    held = pausing.held_count(target)
    rate = connection.drain_per_second

    def do(reason: str) -> str:
        freed = pausing.resume(target, actor=request.actor, reason=reason)
        goes = f" {count(freed, 'event')} {'goes' if freed == 1 else 'go'} on, oldest first." if freed else ""
        return f"{name} runs again.{goes}"

    question = Question(
        question=f"Resume {name}?",
        text=f"What waited goes on, oldest first, up to {rate:,} events a second.",
        act=f"Resume {name}, drain {held:,}" if held else f"Resume {name}",
        keep="Keep it paused",
        back_url=url_of(request, connection),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("pause")
def disable(request: Any, pk: int) -> HttpResponse:
    """Disable a connection: its webhooks are refused."""
    connection = connection_of(request, pk, "pause")

    def do(reason: str) -> str:
        pausing.disable(connection, actor=request.actor, reason=reason)
        return f"{connection.name} is disabled and refuses webhooks."

    open_runs = pausing.open_runs_count(connection)
    question = Question(
        question=f"Disable {connection.name}?",
        text=(
            "Its webhooks are refused with 410, and providers give up on an address that refuses for long. No run "
            f"starts; {count(open_runs, 'run')} {'waits' if open_runs == 1 else 'wait'}. What is kept stays. "
            "To hold work without refusing any, pause it instead."
        ),
        act=f"Disable {connection.name}, refuse its webhooks",
        keep="Keep it enabled",
        reason=WHO_READS,
        danger=True,
        back_url=url_of(request, connection),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("pause")
def enable(request: Any, pk: int) -> HttpResponse:
    """Enable a connection that was disabled."""
    connection = connection_of(request, pk, "pause")

    def do(reason: str) -> str:
        pausing.enable(connection, actor=request.actor, reason=reason)
        return f"{connection.name} is enabled. What it missed is read from the provider’s event log."

    question = Question(
        question=f"Enable {connection.name}?",
        text="Webhooks are accepted and runs start again. What was refused meanwhile is read from the event log.",
        act=f"Enable {connection.name}",
        keep="Keep it disabled",
        reason=WHO_READS,
        back_url=url_of(request, connection),
    )
    return ask(request, question, do)


@require_POST
@in_space("reconcile")
def run_stream(request: Any, pk: int) -> HttpResponse:
    """Run one stream now."""
    stream = stream_of(request, pk, "reconcile")
    try:
        run = runs.ask(stream, actor=request.actor)
    except Refusal as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, f"{stream.title}: the {run.get_kind_display()} R-{run.pk} is asked for.")
    return redirect(url_of(request, stream.connection, "streams"))


@require_POST
@in_space("reconcile")
def run_all(request: Any, pk: int) -> HttpResponse:
    """Run all streams of a connection that do not run already."""
    connection = connection_of(request, pk, "reconcile")
    asked, refused = 0, ""
    for stream in Stream.objects.filter(connection=connection, paused_at__isnull=True):
        stream.connection = connection
        try:
            runs.ask(stream, actor=request.actor)
            asked += 1
        except Refusal as refusal:
            refused = str(refusal)
    if asked:
        messages.success(request, f"{count(asked, 'run')} asked for.")
    else:
        messages.warning(request, refused or "Every stream is paused.")
    return redirect(url_of(request, connection, "streams"))


@GET_OR_POST
@in_space("reconcile")
def cancel_run(request: Any, pk: int) -> HttpResponse:
    """Cancel a run; what it brought stays."""
    run = find_here(request, Run.objects.select_related("connection", "stream"), pk, "reconcile")

    def do(reason: str) -> str:
        runs.cancel(run, actor=request.actor, reason=reason)
        return f"R-{run.pk} is cancelled. What it brought stays."

    what = f"{run.get_kind_display()} of {run.stream.title}" if run.stream else run.get_kind_display()
    question = Question(
        question=f"Cancel the {what}?",
        text=f"It stops after the page it is at. The {count(run.items, 'object')} that it brought stay.",
        act=f"Cancel R-{run.pk}",
        keep="Let it run",
        reason="Shown in the journal.",
        back_url=url_of(request, run.connection, "runs"),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("edit_settings")
def edit_settings(request: Any, pk: int) -> HttpResponse:
    """Change the settings of a connection; `?version=` proposes those of an older version."""
    connection = connection_of(request, pk, "edit_settings")
    schema = get_adapter(connection.provider).settings_schema
    proposed, text = _proposed(request, connection)
    form = settings_form(schema, filled(request), proposed)

    def do(reason: str) -> str:
        try:
            changes = configuration.change(connection, values=values_of(form), actor=request.actor, reason=reason)
        except configuration.BadSettings as bad:
            for name, words in bad.faults.items():
                form.add_error(name if name in form.fields else None, words)
            raise Refusal("Nothing was changed: see below.") from bad
        return f"Changed {', '.join(title.lower() for title, _, _ in changes)}. It holds from the next request on."

    question = Question(
        question=f"Settings of {connection.name}",
        text=text,
        act=f"Change the settings of {connection.name}",
        keep="Leave them as they are",
        reason=WHO_READS,
        form=form,
        back_url=url_of(request, connection, "settings"),
    )
    return ask(request, question, do)


def _proposed(request: Any, connection: Connection) -> tuple[dict[str, Any], str]:
    """Return the values that the form begins with, and what is said about them."""
    version = request.GET.get("version", "")
    if not version:
        return connection.settings, ""
    if not version.isascii() or not version.isdigit() or len(version) > 18:
        raise Http404
    history: Any = Connection.history
    old = history.filter(id=connection.pk, history_id=int(version)).first()
    if old is None:
        raise Http404
    return old.settings, f"These are the settings as they were on {exact(old.history_date)}. Saving restores them."


def _name(target: Connection | Stream) -> str:
    return target.name if isinstance(target, Connection) else f"{target.title} of {target.connection.name}"


def _connection(target: Connection | Stream) -> Connection:
    return target if isinstance(target, Connection) else target.connection
