"""The breaker and the limits of a connection, in the hands of people."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from console.access import in_space
from console.connections.actions import WHO_READS, url_of
from console.connections.views import connection_of
from console.questions import GET_OR_POST, Question, ask, filled
from console.wording import count
from integrations.boundary.limits import limits_of
from integrations.configuration import limits as agreed
from integrations.health import breaker
from integrations.models import Connection
from integrations.providers import get_adapter
from integrations.workflow.errors import Refusal


@require_POST
@in_space("pause")
def probe(request: Any, pk: int) -> HttpResponse:
    """Let one command go through an open breaker, now."""
    connection = connection_of(request, pk, "pause")
    try:
        breaker.probe_now(connection, actor=request.actor)
    except Refusal as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, "The oldest command goes as a probe; if it is answered well, the breaker closes.")
    return redirect(url_of(request, connection))


@GET_OR_POST
@in_space("pause")
def open_breaker(request: Any, pk: int) -> HttpResponse:
    """Hold the commands of a connection by hand."""
    connection = connection_of(request, pk, "pause")

    def do(reason: str) -> str:
        waits = breaker.open_by_hand(connection, actor=request.actor, reason=reason)
        return f"The breaker of {connection.name} is open. {_waits(waits)}"

    waiting = breaker.unsent(connection)
    question = Question(
        question=f"Open the breaker of {connection.name}?",
        text=(
            "Commands are kept and wait, nothing is dropped; reading goes on. It stays open until somebody closes it "
            "or has it probed. To hold reading too, pause the connection instead."
        ),
        act=f"Open the breaker, hold {count(waiting, 'command')}",
        keep="Let commands go",
        reason=WHO_READS,
        back_url=url_of(request, connection),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("pause")
def close_breaker(request: Any, pk: int) -> HttpResponse:
    """Let commands go again, by hand."""
    connection = connection_of(request, pk, "pause")

    def do(reason: str) -> str:
        freed = breaker.close_by_hand(connection, actor=request.actor, reason=reason)
        goes = f" {count(freed, 'command')} {'goes' if freed == 1 else 'go'} on, oldest first." if freed else ""
        return f"The breaker of {connection.name} is closed.{goes}"

    waiting = breaker.behind(connection)
    question = Question(
        question=f"Close the breaker of {connection.name}?",
        text=(
            f"What waits is sent, oldest first, {_pace(connection)}. If the provider still fails, each command that "
            f"goes out counts as a try, and {breaker.FAILURES} failures open the breaker again. A probe risks only one."
        ),
        act=f"Close the breaker, send {count(waiting, 'command')}" if waiting else "Close the breaker",
        keep="Leave it open",
        reason=WHO_READS,
        danger=True,
        back_url=url_of(request, connection),
    )
    return ask(request, question, do)


def _pace(connection: Connection) -> str:
    per_minute = limits_of(connection).per_minute
    rate = f"up to {connection.drain_per_second:,} a second"
    return f"{rate} and {per_minute:,} requests a minute" if per_minute else rate


def _waits(number: int) -> str:
    return f"{count(number, 'command')} {'waits' if number == 1 else 'wait'}." if number else "Nothing waits yet."


class LimitsForm(forms.Form):
    """What was agreed with the provider; empty: as it says for everybody."""

    per_minute = forms.IntegerField(label="Requests a minute", min_value=1, max_value=1_000_000, required=False)
    per_day = forms.IntegerField(label="Requests a day", min_value=1, max_value=100_000_000, required=False)
    at_once = forms.IntegerField(label="Requests at once", min_value=1, max_value=1000, required=False)

    def __init__(self, data: Any, connection: Connection) -> None:
        super().__init__(data, initial=connection.limits)
        adapter = get_adapter(connection.provider)
        for name, field in self.fields.items():
            named = getattr(adapter.limits, name)
            says = f"{named:,}" if named else "no limit"
            field.help_text = f"Empty: as {adapter.title} says, {says}."


@GET_OR_POST
@in_space("edit_settings")
def edit_limits(request: Any, pk: int) -> HttpResponse:
    """Change how much a connection may ask."""
    connection = connection_of(request, pk, "edit_settings")
    form = LimitsForm(filled(request), connection)

    def do(reason: str) -> str:
        changes = agreed.change(connection, values=form.cleaned_data, actor=request.actor, reason=reason)
        return f"Changed {', '.join(title.lower() for title, _, _ in changes)}. It holds from the next request on."

    question = Question(
        question=f"Limits of {connection.name}",
        text=(
            "All workers together keep to these. Lower them where others use the same account; raise them only where "
            "the provider agreed to more: above its own limits it refuses."
        ),
        act=f"Change the limits of {connection.name}",
        keep="Leave them as they are",
        reason=WHO_READS,
        form=form,
        back_url=url_of(request, connection, "settings"),
    )
    return ask(request, question, do)
