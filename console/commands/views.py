"""Commands: the intent, as a list and one by one."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET
from django_htmx.http import HttpResponseClientRefresh

from console.access import in_space, seen_records
from console.commands import listing, page
from integrations.models import Command


@require_GET
@in_space()
def commands(request: Any) -> HttpResponse:
    """Show the commands that match, newest first: the page, or its results for htmx."""
    space = request.space
    visible = Command.objects.visible_to(request.user).filter(**space.here)
    asking = listing.Asking.read(request.GET, space.connections)
    context: dict[str, Any] = {
        "asking": asking,
        "cut": listing.page(
            asking, visible.prefetch_related(seen_records(request.user)), space.connections, request.GET
        ),
        "filters": listing.shown_filters(asking),
        "may_be_asked": listing.may_be_asked(space.connections),
    }
    if not request.htmx:
        context["tabs"] = listing.tabs(asking, visible, reverse("commands", args=space.args))
    response = render(request, "commands/_rows.html" if request.htmx else "commands/commands.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_GET
@in_space()
def command(request: Any, pk: int) -> HttpResponse:
    """Show one command: what is believed of its effect and why, what was sent, and what came back."""
    return render(request, "commands/command.html", page.gather(request, page.find(request, pk)))


@require_GET
@in_space()
def progress(request: Any, pk: int) -> HttpResponse:
    """Answer whether a worker still has the command; the page comes anew once it has not."""
    found = page.find(request, pk)
    if not page.is_under_way(found):
        return HttpResponseClientRefresh()
    return render(request, "commands/_progress.html", {"command": found})
