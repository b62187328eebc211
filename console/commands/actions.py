"""What people do with a command: each asks once, says what it will do, and is done by the engine."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from console import revealing
from console.access import in_space, seen
from console.commands import acts, page, telling
from console.commands.forms import SEND, THERE, ResolveForm
from console.questions import GET_OR_POST, Question, ask, filled
from integrations.models import Command, Outcome
from integrations.workflow import commands
from integrations.workflow.known_there import OfAnother

WHO_READS = "Kept in the journal with your name, on the timeline of its record."


@never_cache
@GET_OR_POST
@in_space("reveal")
def reveal(request: Any, pk: int) -> HttpResponse:
    """Ask for a reason, and show what was sent and came back with its personal data: this once, journaled."""
    found = page.find(request, pk, "reveal")

    def show() -> HttpResponse:
        return render(request, "commands/command.html", page.gather(request, found, revealed=True) | {"revealed": True})

    return revealing.reveal(
        request, found, what="in what was sent and came back", act="Reveal 1 command", back_url=_url(request, found),
        show=show,
    )  # fmt: skip


@GET_OR_POST
@in_space(acts.COMMAND)
def retry(request: Any, pk: int) -> HttpResponse:
    """Let a waiting command take its next step now."""
    found = page.find(request, pk, acts.COMMAND)
    again = "It is sent again under the same operation id, or looked for first where its outcome is unknown."
    return _ask(
        request,
        found,
        commands.retry_now,
        question=f"Try “{found.summary}” now?",
        text=f"{again} Nothing else moves up.",
        act="Try 1 command now",
        keep="Let it wait",
        said="Asked for; it goes out next",
    )


@GET_OR_POST
@in_space(acts.COMMAND)
def look(request: Any, pk: int) -> HttpResponse:
    """Have the provider searched for what a command did."""
    found = page.find(request, pk, acts.COMMAND)
    name, thing = found.connection.name, telling.thing(found)
    accepted = found.outcome == Outcome.ACCEPTED
    then = (
        "Nothing is sent."
        if accepted
        else "If it is there, the command is confirmed; if not, it goes out again under the same operation id."
    )
    return _ask(
        request,
        found,
        commands.look_for_effect,
        question=f"Look for 1 {thing} in {name}?",
        text=f"{name} is asked whether it holds what this command was to do. {then}",
        act=f"Look for 1 {thing}",
        keep="Leave it as it is",
        said=f"{name} is asked; the page shows what it says",
    )


@GET_OR_POST
@in_space(acts.COMMAND)
def send(request: Any, pk: int) -> HttpResponse:
    """Send a command again, under its own operation id."""
    found = page.find(request, pk, acts.COMMAND)
    unknown = found.outcome == Outcome.UNKNOWN
    safe = (
        "Its first try may have had its effect: the very same request is repeated under the same key while "
        f"{found.connection.name} remembers it, and the effect is looked for first after that. It never happens twice."
        if unknown
        else f"{found.connection.name} refused it and nothing changed there. The same content is sent once more."
    )
    return _ask(
        request,
        found,
        commands.send_again,
        question=f"Send “{found.summary}” again, under {found.operation_id}?",
        text=safe,
        act="Send 1 command again",
        keep="Send nothing",
        said="It goes out again under the same operation id",
    )


@GET_OR_POST
@in_space(acts.COMMAND)
def cancel(request: Any, pk: int) -> HttpResponse:
    """Let a command go that had no effect."""
    found = page.find(request, pk, acts.COMMAND)
    name = found.connection.name
    return _ask(
        request,
        found,
        commands.cancel,
        question=f"Cancel “{found.summary}”?",
        text=f"It is never sent, and {name} stays as it is. This cannot be undone: a new command needs a new id.",
        act="Cancel 1 command",
        keep="Keep it",
        said="Cancelled; nothing is sent",
        danger=True,
    )


@GET_OR_POST
@in_space(acts.RESOLVE)
def resolve(request: Any, pk: int) -> HttpResponse:
    """Close a command by what a person found out: its effect is there, or it is not."""
    found = page.find(request, pk, acts.RESOLVE)
    may_send = request.user.powers.may(
        acts.COMMAND, tenant_id=found.tenant_id, connection_id=found.connection_id
    ) and found.outcome in (Outcome.UNKNOWN, Outcome.FAILED)
    form = ResolveForm(filled(request), command=found, may_send=may_send)

    def do(reason: str) -> str:
        how = form.cleaned_data["how"]
        if how == SEND:
            commands.send_again(found, actor=request.actor, reason=reason)
            return "It goes out again under the same operation id"
        external_id = form.cleaned_data["external_id"] if how == THERE else ""
        try:
            commands.resolve(found, outcome=how, external_id=external_id, actor=request.actor, reason=reason)
        except OfAnother as refused:
            other = seen(refused.record, request.user)
            raise OfAnother(external_id, refused.record, f"{other.kind} {other}") if other else refused from refused
        return "Marked as confirmed" if how == THERE else "Marked as failed; nothing is sent"

    question = Question(
        question=f"What became of “{found.summary}”?",
        text=f"Look into {found.connection.name} first. What you say counts as evidence, and closes 1 command.",
        act="Resolve 1 command",
        keep="Change nothing",
        reason=WHO_READS,
        form=form,
        back_url=_url(request, found),
    )
    return ask(request, question, do)


def _ask(
    request: Any,
    found: Command,
    do: Callable[..., Command],
    *,
    question: str,
    text: str,
    act: str,
    keep: str,
    said: str,
    danger: bool = False,
) -> HttpResponse:
    """Ask once, with a reason; then let the engine do it, and say `said`."""

    def done(reason: str) -> str:
        do(found, actor=request.actor, reason=reason)
        return said

    asked = Question(question, act, _url(request, found), text=text, keep=keep, reason=WHO_READS, danger=danger)
    return ask(request, asked, done)


def _url(request: Any, command: Command) -> str:
    return reverse("command", args=(*request.space.args, command.pk))
