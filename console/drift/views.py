"""Drift: where we and a provider differ, what is at stake, and the checks that found it."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from console.access import get_visible, in_space
from console.context import may_here, where
from console.drift import checks, listing
from console.drift.stakes import open_stakes
from console.overview.waiting import open_drift
from integrations.models import DriftStatus, Run

SETTLED = (DriftStatus.ACCEPTED, DriftStatus.IGNORED, DriftStatus.GONE)


@require_GET
@vary_on_headers("HX-Request")
@in_space("see_drift")
def drift(request: Any) -> HttpResponse:
    """Show the differences that match, by record: the page, or its rows for htmx."""
    space, user, now = request.space, request.user, timezone.now()
    connections = listing.connections_of(request)
    filters = listing.chosen(request.GET, connections)
    status = listing.status_of(filters)
    rows = listing.visible(request)
    personal = where(user, space, "see_personal")
    page = listing.page(rows, listing.condition(filters), request.GET, personal=personal)
    may_push_at = where(user, space, "settle_drift") & where(user, space, "command")
    context: dict[str, Any] = {
        "now": now,
        "page": page,
        "status": status,
        "is_open": status == DriftStatus.OPEN,
        "filtered": any(filters[name].chosen for name in ("kind", "field", "connection", "run")),
        "may_settle": listing.may_settle(request) and status in ("", DriftStatus.OPEN),
        "may_push_at": may_push_at,
        "may_push": page.copies_at(may_push_at),
    }
    if request.htmx:
        return render(request, "drift/_rows.html", context)
    ids = [each.pk for each in connections]
    runs = checks.visible(request, ids)
    compared = checks.last_compared(runs)
    waiting = open_drift(space, ids)
    context |= {
        "filters": [filters[name] for name in ("kind", "field", "connection", "run")],
        "keep": [("status", filters["status"].value)],
        "tabs": _tabs(status, waiting.number, request),
        "waiting": waiting,
        "stakes": open_stakes(space, ids) if waiting.number else None,
        "compared": [(each, compared.get(each.pk)) for each in connections],
        "newest": max(compared.values(), default=None),
        "checks": checks.page(runs, request.GET.__class__(), now, size=5).checks,
        "may_check": may_here(user, space, "reconcile"),
        "may_export": may_here(user, space, "export"),
    }
    return render(request, "drift/drift.html", context)


def _tabs(status: str, number: int, request: Any) -> list[dict[str, Any]]:
    url = request.path
    tabs = [{"name": "Open", "url": url, "current": status == DriftStatus.OPEN, "count": number}]
    for word in SETTLED:
        name = str(word.label).capitalize()
        tabs.append({"name": name, "url": f"{url}?status={word.value}", "current": status == word, "count": None})
    return tabs


@require_GET
@vary_on_headers("HX-Request")
@in_space("see_drift")
def runs(request: Any) -> HttpResponse:
    """Show the checks, the newest first. While one is under way, htmx asks again every 2 seconds."""
    connections = listing.connections_of(request)
    rows = checks.visible(request, [each.pk for each in connections])
    page = checks.page(rows, request.GET, timezone.now())
    context = {
        "page": page,
        "may_check": may_here(request.user, request.space, "reconcile"),
        "compared": [(each, None) for each in connections],
    }
    return render(request, "drift/_runs.html" if request.htmx else "drift/runs.html", context)


def find_check(request: Any, pk: int) -> Run:
    """Return one check of the space; Http404 where it is hidden, absent, or another sort of run."""
    connections = listing.connections_of(request)
    rows = checks.visible(request, [each.pk for each in connections])
    return get_visible(rows.select_related("connection", "stream"), request.user, pk=pk)  # type: ignore[arg-type]
