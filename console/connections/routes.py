"""What of one connection is exported to another: making, changing, pausing and ending routes, and the first export."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET

from console import newest
from console.access import find_here, in_space, require
from console.connections.actions import WHO_READS, url_of
from console.connections.exports import row_of, targets_for
from console.connections.views import connection_of
from console.questions import GET_OR_POST, Question, ask, filled
from console.records.exports import WORDS
from console.wording import count
from integrations.canonical import KINDS
from integrations.models import Connection, Copy, CopyState, Route
from integrations.reconciliation.totals import missing
from integrations.workflow import routes

SIZE = 50
#: What of "not exported" the books are to know.
MISSING = "missing"


class RouteForm(forms.Form):
    """What goes over a route."""

    kinds = forms.MultipleChoiceField(
        label="Kinds",
        widget=forms.CheckboxSelectMultiple,
        help_text="What one refers to goes along: an invoice needs its customer there.",
        error_messages={"required": "Choose at least one kind."},
    )
    since = forms.DateTimeField(
        label="Since, UTC",
        required=False,
        help_text="Records that came to be before are exported only where others need them. Empty: all.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"invalid": "Give a date and a time, such as 2026-11-20 18:00."},
    )

    def __init__(self, data: Any, *, kinds: Iterable[str], route: Route | None = None) -> None:
        names = list(kinds)
        held = {"kinds": route.kinds, "since": route.since} if route else {"kinds": names}
        super().__init__(data, initial=held)
        field: Any = self.fields["kinds"]
        field.choices = [(name, KINDS[name].plural) for name in names]


class NewRouteForm(RouteForm):
    """Where a route leads, and what goes over it."""

    target = forms.ChoiceField(label="To")
    field_order = ("target", "kinds", "since")

    def __init__(self, data: Any, targets: list[Connection]) -> None:
        kinds = dict.fromkeys(kind for target in targets for kind in routes.kinds_for(target))
        super().__init__(data, kinds=kinds)
        field: Any = self.fields["target"]
        field.choices = [(str(target.pk), target.name) for target in targets]


@GET_OR_POST
@in_space("edit_settings")
def make(request: Any, pk: int) -> HttpResponse:
    """Make a route from a connection to another one."""
    source = connection_of(request, pk, "edit_settings")
    targets = targets_for(request, source)
    form = NewRouteForm(filled(request), targets)

    def do(reason: str) -> str:
        target = next(each for each in targets if str(each.pk) == form.cleaned_data["target"])
        made = routes.make(
            source, target, kinds=form.cleaned_data["kinds"], since=form.cleaned_data["since"], actor=request.actor,
            reason=reason,
        )  # fmt: skip
        return f"What changes at {source.name} goes to {target.name} from now on ({', '.join(made.kinds)})."

    question = Question(
        question=f"Export from {source.name}",
        text=(
            "What changes from now on is exported by itself. What is there already is exported once you ask for it, "
            "with its count. Nothing of the target is written over that was changed there."
        ),
        act=f"Export from {source.name} from now on",
        keep="Export nothing",
        reason=WHO_READS,
        form=form,
        back_url=url_of(request, source, "routes"),
    )
    if not targets:
        question.text = "There is no other connection here that takes records. Connect one first."
        question.form = None
        return question.shown(request)
    return ask(request, question, do)


@GET_OR_POST
@in_space("edit_settings")
def edit(request: Any, pk: int) -> HttpResponse:
    """Change what goes over a route."""
    found = route_of(request, pk, "edit_settings")
    form = RouteForm(filled(request), kinds=routes.kinds_for(found.target), route=found)

    def do(reason: str) -> str:
        made = routes.change(
            found, kinds=form.cleaned_data["kinds"], since=form.cleaned_data["since"], actor=request.actor,
            reason=reason,
        )  # fmt: skip
        return f"{found}: {', '.join(KINDS[kind].plural.lower() for kind in made.kinds)} are exported."

    question = Question(
        question=f"What goes from {found.source.name} to {found.target.name}",
        text=f"What is at {found.target.name} already stays there.",
        act=f"Change what goes to {found.target.name}",
        reason=WHO_READS,
        form=form,
        back_url=url_of(request, found.source, "routes"),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("pause")
def pause(request: Any, pk: int) -> HttpResponse:
    """Let exports over a route wait."""
    found = route_of(request, pk, "pause")

    def do(reason: str) -> str:
        routes.pause(found, actor=request.actor, reason=reason)
        return f"{found} is paused. What changes waits."

    question = Question(
        question=f"Pause the route {found}?",
        text="What changes is noted and waits; nothing is dropped. Commands that were submitted already go on.",
        act=f"Pause the export to {found.target.name}",
        keep="Let it go on",
        reason=WHO_READS,
        back_url=url_of(request, found.source, "routes"),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("pause")
def resume(request: Any, pk: int) -> HttpResponse:
    """Let exports over a route go on."""
    found = route_of(request, pk, "pause")
    waiting = Copy.objects.filter(route=found, state=CopyState.DUE).count()

    def do(reason: str) -> str:
        routes.resume(found, actor=request.actor, reason=reason)
        return f"{found} goes on with {count(waiting, 'record')}."

    question = Question(
        question=f"Let the route {found} go on?",
        text=f"{count(waiting, 'record')} wait to be exported.",
        act=f"Export {count(waiting, 'record')} to {found.target.name}",
        keep="Keep it paused",
        back_url=url_of(request, found.source, "routes"),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("edit_settings")
def end(request: Any, pk: int) -> HttpResponse:
    """Export nothing more over a route."""
    found = route_of(request, pk, "edit_settings")
    stake, target = routes.ending_of(found), found.target.name

    def do(reason: str) -> str:
        done = routes.end(found, actor=request.actor, reason=reason)
        return f"{found} is ended. At {target} nothing was deleted: {count(done.there, 'record')} there."

    question = Question(
        question=f"End the route {found}?",
        text=_ending_told(found, stake),
        act=f"End the export to {target}, keep {count(stake.there, 'record')} there",
        keep="Let it go on",
        reason=WHO_READS,
        danger=True,
        back_url=reverse("route", args=[*request.space.args, found.pk]),
    )
    if found.ended_at:
        return question.shown(request, error=f"{found} was ended already, by {found.ended_by}.")
    return ask(request, question, do)


def _ending_told(found: Route, stake: routes.Ending) -> str:
    target = found.target.name
    stay, one = "stays" if stake.there == 1 else "stay", stake.ahead == 1
    told = [
        f"Nothing is deleted at {target}: {count(stake.there, 'record')} {stay} there unchanged, and what changes from "
        "now on does not follow."
    ]
    if stake.ahead:
        told.append(f"{count(stake.ahead, 'record')} that {'waits is' if one else 'wait are'} not exported.")
    if stake.under_way:
        told.append(
            f"{count(stake.under_way, 'command')} submitted already: each comes to its end by itself, and may be "
            "cancelled on its page as long as it had no effect."
        )
    if stake.run:
        told.append(f"The export of everything, R-{stake.run.pk}, is cancelled.")
    told.append("It can be started again; what changed meanwhile is then exported.")
    return " ".join(told)


@GET_OR_POST
@in_space("edit_settings")
def start_again(request: Any, pk: int) -> HttpResponse:
    """Export over a route again that was ended."""
    found = route_of(request, pk, "edit_settings")
    kinds = routes.kinds_for(found.target)
    form = RouteForm(filled(request), kinds=kinds, route=found)

    def do(reason: str) -> str:
        routes.start_again(
            found, kinds=form.cleaned_data["kinds"], since=form.cleaned_data["since"], actor=request.actor,
            reason=reason,
        )  # fmt: skip
        return f"{found} goes on. What changed meanwhile is exported."

    question = Question(
        question=f"Start the route {found} again?",
        text=(
            "What changed since it was ended is exported, and what changes from now on. What came to be meanwhile "
            "goes once you ask for everything that is there."
        ),
        act=f"Export to {found.target.name} again",
        keep="Leave it ended",
        reason=WHO_READS,
        form=form,
        back_url=reverse("route", args=[*request.space.args, found.pk]),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("command")
def export_all(request: Any, pk: int) -> HttpResponse:
    """Have everything exported that is there already."""
    found = route_of(request, pk, "command")
    many = count(routes.not_exported(found).count(), "record")

    def do(reason: str) -> str:
        run = routes.export_all(found, actor=request.actor, reason=reason)
        return f"R-{run.pk} exports {count(run.held, 'record')} to {found.target.name}."

    question = Question(
        question=f"Export everything to {found.target.name}?",
        text=(
            f"{many} of {found.source.name} were never exported. Drafts, failed payments and the like stay out, each "
            "with its reason. It keeps to the off-peak windows and the allowed rate, and can be cancelled."
        ),
        act=f"Export {many} to {found.target.name}",
        keep="Export only what changes",
        reason="Shown with the run and in the journal.",
        back_url=url_of(request, found.source, "routes"),
    )
    return ask(request, question, do)


@require_GET
@in_space()
def route(request: Any, pk: int) -> HttpResponse:
    """Show one route: how many records stand how, and each of them."""
    found = route_of(request, pk)
    counts = routes.counts_of([found])[found.pk]
    asked = request.GET.get("state", "")
    state = asked if asked in (*CopyState.values, MISSING) else ""
    rows = Copy.objects.filter(route=found).select_related("record")
    beside = missing(rows, found.kinds)
    rows = beside if state == MISSING else rows.filter(state=state) if state else rows
    context = {
        "row": row_of(request, found, counts, routes.open_runs([found]).get(found.pk)),
        "route": found,
        "state": state,
        "tabs": _tabs(request, found, counts, state, beside=beside.count()),
        "page": newest.page(rows, request.GET, SIZE),
        "words": WORDS,
    }
    response = render(request, "connections/_copies.html" if request.htmx else "connections/route.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _tabs(request: Any, found: Route, counts: dict[str, int], state: str, *, beside: int) -> list[dict[str, Any]]:
    base = reverse("route", args=[*request.space.args, found.pk])
    order = (CopyState.STOPPED, CopyState.WAITING, CopyState.DUE, CopyState.EXPORTED, CopyState.NOT_NEEDED)
    whole = {"name": "All", "url": base, "current": not state, "count": sum(counts.values())}
    money = {"name": "Money not there", "url": f"{base}?state={MISSING}", "current": state == MISSING, "count": beside}
    return [
        whole,
        *(
            {
                "name": WORDS[each].capitalize(),
                "url": f"{base}?state={each.value.replace(' ', '+')}",
                "current": each == state,
                "count": counts.get(each, 0),
            }
            for each in order
        ),
        money,
    ]


def route_of(request: Any, pk: int, action: str = "") -> Route:
    """Return a route of the space: Http404 where an end is hidden, `Forbidden` without `action` at both."""
    found = find_here(request, Route.objects.select_related("source", "target"), pk)
    for end in (found.source_id, found.target_id):
        if action:
            require(request.user, action, tenant_id=found.tenant_id, connection_id=end)
    return found
