"""Problems: what fails in the same way, whose it is, and what comes next."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from console.access import find_here, in_space, people_with
from console.context import may_here
from console.keyset import Place
from console.models import User
from console.overview.words import asked
from console.problems import listing, page
from console.problems.forms import AssignForm, NameForm
from console.questions import GET_OR_POST, Question, ask, filled
from integrations.failures import grouping, triage
from integrations.failures.categories import POLICIES, Category, next_step
from integrations.failures.trend import trends_of
from integrations.models import Problem


def _visible(request: Any) -> "QuerySet[Problem]":
    space = request.space
    return Problem.objects.visible_to(request.user).filter(**space.here)


@require_GET
@vary_on_headers("HX-Request")
@in_space()
def problems(request: Any) -> HttpResponse:
    """Show the problems that match: the page, or its rows for htmx."""
    space, now, visible = request.space, timezone.now(), _visible(request)
    filters = listing.chosen(request.GET, space.connections)
    cut = listing.page(listing.narrowed(filters, visible, request.user), Place.read(request.GET))
    context = {
        "now": now,
        "cut": cut,
        "lines": listing.lines(cut.rows, now),
        "filters": [filters[name] for name in ("connection", "category", "assigned")],
        "filtered": any(filters[name].chosen for name in ("connection", "category", "assigned")),
        "resolved": listing.resolved(filters),
        "keep": [(name, value) for name in ("owner", "state") for value in filters[name].chosen],
        "tabs": listing.tabs(filters, visible, space),
        "may_assign": may_here(request.user, space, "annotate"),
        "may_name": may_here(request.user, space, "name_failure"),
    }
    return render(request, "problems/_list.html" if request.htmx else "problems/problems.html", context)


@require_GET
@vary_on_headers("HX-Request")
@in_space()
def problem(request: Any, pk: int) -> HttpResponse:
    """Show one problem: what to do, samples, what it affects, and what people did about it."""
    found, now = _problem(request, pk), timezone.now()
    cut = page.affected(found, request.GET, request.user)
    if request.htmx:
        return render(request, "problems/_affected.html", {"problem": found, "cut": cut, "now": now})
    powers, where = request.user.powers, {"tenant_id": found.tenant_id, "connection_id": found.connection_id}
    trend = trends_of([found.pk], now)[found.pk]
    samples = page.samples(found, request.user, personal=powers.may("see_personal", **where))
    context = {
        "now": now,
        "problem": found,
        "rules": page.rules_of(found, samples),
        "trend": trend,
        "sentence": page.sentence(found, trend, now),
        "samples": samples,
        "cut": cut,
        "history": page.history(found),
        "may_assign": powers.may("annotate", **where),
        "may_name": powers.may("name_failure", **where) and triage.can_be_named(found),
        "may_replay": powers.may("replay", **where),
    }
    return render(request, "problems/problem.html", context)


@GET_OR_POST
@in_space("annotate")
def assign(request: Any, pk: int) -> HttpResponse:
    """Hand a problem to somebody, or take it on."""
    found = _problem(request, pk, "annotate")
    me = str(found.assigned_to_id or request.user.pk)
    form = AssignForm(filled(request), initial={"person": me}, people=_people(request, found), me=request.user)

    def do(reason: str) -> str:
        whom = form.chosen
        triage.assign(found, user=whom, actor=request.actor)
        return f"{whom.name} takes care of {found}." if whom else f"Nobody has {found}; it waits for {found.owner}."

    question = Question(
        question=f"Who takes care of {found}?",
        text=f"“{found.title}” asks {asked(found.owner)}. A name says who does it, so that nobody starts twice.",
        act=f"Hand over {found}",
        form=form,
        back_url=_url(request, found),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("name_failure")
def name(request: Any, pk: int) -> HttpResponse:
    """Give an unknown failure its category."""
    found = _problem(request, pk, "name_failure")
    form = NameForm(filled(request), initial={} if found.category == Category.UNKNOWN else {"category": found.category})

    def do(reason: str) -> str:
        category = form.cleaned_data["category"]
        triage.name(found, category=category, actor=request.actor, reason=reason)
        owner = POLICIES[Category(category)].owner
        whom = "nobody is asked, the engine goes on" if owner == "nobody" else f"it asks {asked(owner)}"
        return f"{found} is called {category} now: {whom}."

    question = Question(
        question=f"What is “{found.title}”?",
        text="All failures of this kind, waiting and to come, get the category, its owner and its next step.",
        act=f"Name {found}",
        keep="Leave it unknown" if found.category == Category.UNKNOWN else "Leave it as it is",
        reason="Shown in the problem's history, to whoever meets this failure next.",
        form=form,
        template="problems/name.html",
        more={"policies": _policies(found)},
        back_url=_url(request, found),
    )
    return ask(request, question, do)


def _policies(problem: Problem) -> list[tuple[str, str, str]]:
    """Return each name that may be given, with who is asked then, and for what."""
    work = grouping.work_of(problem)
    named = [each for each in Category if each != Category.UNKNOWN]
    return [(each.value, POLICIES[each].owner, next_step(each, work)) for each in named]


def _problem(request: Any, pk: int, action: str = "") -> Problem:
    """Return one problem of the space: Http404 where it is hidden, `Forbidden` without `action` at its connection."""
    return find_here(request, Problem.objects.select_related("connection__tenant", "assigned_to"), pk, action)


def _people(request: Any, found: Problem) -> list[User]:
    """Return who may take care of it: those who may annotate there; the one who asks comes first."""
    people = people_with("annotate", found.connection.tenant, found.connection)
    return sorted(people, key=lambda person: (person.pk != request.user.pk, person.name))


def _url(request: Any, found: Problem) -> str:
    return reverse("problem", args=[*request.space.args, found.pk])
