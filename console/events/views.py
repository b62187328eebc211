"""Events: the evidence, as a list and one by one."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET
from django_htmx.http import HttpResponseClientRefresh

from console.access import in_space, seen_records
from console.events import listing, page
from integrations.models import Event


@require_GET
@in_space()
def events(request: Any) -> HttpResponse:
    """Show the events that match, newest first: the page, or its results for htmx."""
    space = request.space
    visible = Event.objects.visible_to(request.user).filter(**space.here)
    asking = listing.Asking.read(request.GET, space.connections)
    context = {
        "asking": asking,
        "cut": listing.page(
            asking, visible.prefetch_related(seen_records(request.user)), space.connection_ids, request.GET
        ),
        "filters": asking.filters.values(),
        "keep": [("q", asking.asked.text)],
    }
    response = render(request, "events/_rows.html" if request.htmx else "events/events.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_GET
@in_space()
def event(request: Any, pk: int) -> HttpResponse:
    """Show one event: what came, what it was mapped to, what was decided, and what is in its way."""
    return render(request, "events/event.html", page.gather(request, page.find(request, pk)))


@require_GET
@in_space()
def progress(request: Any, pk: int) -> HttpResponse:
    """Answer whether a worker still has the event; the page comes anew once it is decided."""
    found = page.find(request, pk)
    if not page.is_under_way(found):
        return HttpResponseClientRefresh()
    return render(request, "events/_progress.html", {"event": found})
