"""What people do to an event: replay it as planned, dismiss it, reveal what is hidden in it."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from console import revealing, values
from console.access import in_space, seen
from console.events import page
from console.questions import GET_OR_POST, LONGEST, Question, ask, reason_of
from integrations.models import Event, Mapping
from integrations.workflow import replay as replays
from integrations.workflow.dismiss import dismiss as dismiss_work
from integrations.workflow.errors import Refusal


@GET_OR_POST
@in_space("replay")
def replay(request: Any, pk: int) -> HttpResponse:
    """Show what a replay would do; done only as shown, with a reason."""
    found = page.find(request, pk, "replay")
    chosen = page.mapping_asked(request, found)
    if request.method != "POST":
        return _show_plan(request, found, chosen, replays.plan(found, mapping=chosen))
    reason = reason_of(request)[:LONGEST]
    try:
        replays.execute(found, token=request.POST.get("token", ""), mapping=chosen, actor=request.actor, reason=reason)
    except replays.PlanChanged as changed:
        return _show_plan(request, found, chosen, changed.plan, reason_value=reason, plan_changed=True, status=409)
    except Refusal as refusal:
        problem = {"reason_error" if not reason.strip() else "error": str(refusal)}
        plan = replays.plan(found, mapping=chosen)
        return _show_plan(request, found, chosen, plan, reason_value=reason, status=422, **problem)
    messages.success(request, "Replay of 1 event asked for")
    return redirect(_url(request, found))


def _show_plan(
    request: Any, event: Event, chosen: Mapping | None, plan: replays.Plan, *, status: int = 200, **more: Any
) -> HttpResponse:
    mappings = [
        (mapping, words, is_chosen, plan if is_chosen else replays.plan(event, mapping=mapping))
        for mapping, words, is_chosen in page.mappings_of(event, _used(event, chosen), chosen)
    ]
    context = {
        "event": event,
        "record": seen(event.record, request.user),
        "plan": plan,
        "chosen": chosen,
        "mappings": mappings,
        "rules": page.rules_in_force(event) if plan.fault else None,
        "changes": _changes(request, event, plan),
        "refused": page.is_check(event) or event.state not in page.REPLAYABLE,
        "is_check": page.is_check(event),
    }
    return render(request, "events/replay.html", context | more, status=status)


def _used(event: Event, chosen: Mapping | None) -> int | None:
    if chosen is not None:
        return chosen.pk
    published = Mapping.objects.filter(connection_id=event.connection_id, resource=event.resource, state="published")
    return published.values_list("pk", flat=True).first()


def _changes(request: Any, event: Event, plan: replays.Plan) -> list[tuple[str, str, str]]:
    """Return the planned changes of belief in words; personal values only for who may see them."""
    kind = page.kind_of(event)
    currency = next((new for name, _, new in plan.changes if name == "currency"), None)
    currency = currency or (event.record.data.get("currency") if event.record else "") or ""
    personal = request.user.powers.may("see_personal", tenant_id=event.tenant_id, connection_id=event.connection_id)
    return [
        (
            values.name_of(name),
            values.shown(kind, name, before, currency=currency, personal=personal),
            values.shown(kind, name, after, currency=currency, personal=personal),
        )
        for name, before, after in plan.changes
    ]


@GET_OR_POST
@in_space("dismiss")
def dismiss(request: Any, pk: int) -> HttpResponse:
    """Ask for a reason, and close an event without doing it; its evidence stays."""
    found = page.find(request, pk, "dismiss")

    def do(reason: str) -> str:
        dismiss_work(found, actor=request.actor, reason=reason)
        return "Dismissed; the evidence stays"

    question = Question(
        question=f"Dismiss {found.event_type}?",
        text="It is closed without being done. Belief stays, the evidence is kept, and it can be replayed later.",
        act="Dismiss 1 event",
        keep=f"Leave it {found.state}",
        reason="Kept in the journal with your name, on the timeline of its record.",
        danger=True,
        back_url=_url(request, found),
    )
    return ask(request, question, do)


@never_cache
@GET_OR_POST
@in_space("reveal")
def reveal(request: Any, pk: int) -> HttpResponse:
    """Ask for a reason, and show an event's payload with its personal data: this once, and in the journal."""
    found = page.find(request, pk, "reveal")

    def show() -> HttpResponse:
        return render(request, "events/event.html", page.gather(request, found, revealed=True) | {"revealed": True})

    return revealing.reveal(
        request, found, what="in this payload", act="Reveal 1 payload", back_url=_url(request, found), show=show
    )


def _url(request: Any, event: Event) -> str:
    return reverse("event", args=(*request.space.args, event.pk))
