"""Pause, resume, disable, enable, end, replay: each asks once, saying what will happen to how many."""

from typing import Any

from django.http import HttpResponse

from console.access import in_space
from console.connections.forms import UntilForm
from console.questions import GET_OR_POST, Question, ask, filled
from console.subscriptions import page
from console.subscriptions.forms import SinceForm
from console.subscriptions.making import WHO_READS
from console.subscriptions.views import find, url_of
from console.wording import count, exact, plural
from integrations.configuration import subscriptions as engine
from integrations.models import Delivery, Subscription, WorkState
from integrations.workflow import redeliver


def waiting(subscription: Subscription) -> int:
    """Return how many of its deliveries a pause would hold."""
    return Delivery.objects.filter(subscription=subscription, state__in=engine.LOOSE).count()


def held(subscription: Subscription) -> int:
    """Return how many of its deliveries are held."""
    return Delivery.objects.filter(subscription=subscription, state=WorkState.HELD).count()


def delivered(number: int, verb: str) -> str:
    """Say what becomes of a number of deliveries: "1 delivery waits", "3 deliveries wait"."""
    return f"{count(number, 'delivery')} {plural(verb) if number == 1 else verb}"


@GET_OR_POST
@in_space("pause")
def pause(request: Any, pk: int) -> HttpResponse:
    """Pause a subscription: its deliveries are kept and wait."""
    found = find(request, pk, "pause")
    form = UntilForm(filled(request))
    waits = waiting(found)

    def do(reason: str) -> str:
        until = form.cleaned_data["until"]
        number = engine.pause(found, actor=request.actor, reason=reason, until=until)
        ends = f" until {exact(until)}" if until else ""
        return f"{found.name} is paused{ends}. {delivered(number, 'wait')}."

    question = Question(
        question=f"Pause {found.name}?",
        text="Pause holds, nothing is dropped: messages are still made for it and leave in order when it is resumed.",
        act=f"Pause {found.name}, hold {waits:,}" if waits else f"Pause {found.name}",
        keep="Let it run",
        reason=WHO_READS,
        form=form,
        back_url=url_of(request, found),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("pause")
def resume(request: Any, pk: int) -> HttpResponse:
    """Resume a subscription: what waits is sent."""
    found = find(request, pk, "pause")
    waits = held(found)

    def do(reason: str) -> str:
        number = engine.resume(found, actor=request.actor, reason=reason)
        return f"{found.name} runs again. {delivered(number, 'continue')}."

    question = Question(
        question=f"Resume {found.name}?",
        text="What waited is sent now, in order per record.",
        act=f"Resume {found.name}, send {waits:,}" if waits else f"Resume {found.name}",
        keep="Keep it paused",
        back_url=url_of(request, found),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("pause")
def disable(request: Any, pk: int) -> HttpResponse:
    """Disable a subscription, as its own 410 does."""
    found = find(request, pk, "pause")
    waits = waiting(found)

    def do(reason: str) -> str:
        number = engine.disable(found, actor=request.actor, reason=reason)
        return f"{found.name} is disabled. {delivered(number, 'wait')}."

    question = Question(
        question=f"Disable {found.name}?",
        text="Nothing is sent to it until somebody enables it. What it should be told of is kept and waits.",
        act=f"Disable {found.name}, hold {waits:,}" if waits else f"Disable {found.name}",
        keep="Keep it enabled",
        reason=WHO_READS,
        danger=True,
        back_url=url_of(request, found),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("pause")
def enable(request: Any, pk: int) -> HttpResponse:
    """Enable a subscription that was disabled, or disabled itself by answering 410."""
    found = find(request, pk, "pause")
    waits = held(found)

    def do(reason: str) -> str:
        number = engine.enable(found, actor=request.actor, reason=reason)
        return f"{found.name} is enabled. {delivered(number, 'continue')}."

    question = Question(
        question=f"Enable {found.name}?",
        text="What waited is sent now, in order per record. Make sure that the receiver wants it: it gets all of it.",
        act=f"Enable {found.name}, send {waits:,}" if waits else f"Enable {found.name}",
        keep="Keep it disabled",
        reason=WHO_READS,
        back_url=url_of(request, found),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("edit_settings")
def end(request: Any, pk: int) -> HttpResponse:
    """End a subscription for good; what waits is dismissed."""
    found = find(request, pk, "edit_settings")
    (row,) = page.rows_of([found])
    waits = row.waiting + row.parked

    def do(reason: str) -> str:
        number = engine.end(found, actor=request.actor, reason=reason)
        return f"{found.name} is ended. {count(number, 'delivery')} dismissed."

    question = Question(
        question=f"End {found.name} for good?",
        text="It is told nothing more, its secrets sign nothing more, and what waits for it is dismissed in your name. "
        "This cannot be undone; its past stays readable.",
        act=f"End {found.name}, dismiss {waits:,}" if waits else f"End {found.name}",
        keep="Keep it",
        reason=WHO_READS,
        danger=True,
        back_url=url_of(request, found),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("replay")
def replay(request: Any, pk: int) -> HttpResponse:
    """Replay what failed, all of it or since a time."""
    found = find(request, pk, "replay")
    form = SinceForm(filled(request))
    failed = redeliver.failed_of(found, None).count()

    def do(reason: str) -> str:
        since = form.cleaned_data["since"]
        number = redeliver.replay_failed(found, since=since, actor=request.actor, reason=reason)
        return f"{count(number, 'delivery')} to {found.name} sent again."

    question = Question(
        question=f"Replay what did not arrive at {found.name}?",
        text=(
            "Parked deliveries and those that wait for their next try leave now, under the same message ids and from "
            "the beginning of the schedule. A receiver that had taken one knows it by its id."
        ),
        act=f"Replay up to {count(failed, 'delivery')}",
        keep="Leave them as they are",
        reason=WHO_READS,
        form=form,
        back_url=url_of(request, found),
    )
    return ask(request, question, do)
