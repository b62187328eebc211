"""Records: the list, and the page that explains one."""

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET

from console import values
from console.access import find_here, in_space
from console.records import asked, listing, page, search, sides, timeline
from integrations.models import Delivery, Event, JournalEntry, Record, WorkState


@require_GET
@in_space()
def records(request: Any) -> HttpResponse:
    """Show the records that match: the page, or its results for htmx."""
    space = request.space
    here = {"tenant": space.tenant, "environment": space.environment}
    visible = Record.objects.visible_to(request.user).filter(**here)
    asking = listing.Asking.read(request.GET, space.connections)
    cut = listing.page(asking, visible, space.connection_ids, timezone.now())
    evidence = []
    if asking.asked and not cut.rows:
        events = Event.objects.visible_to(request.user).filter(**here)
        evidence = search.evidence_without_record(asking.asked, events)
    context = {
        "asking": asking,
        "cut": cut,
        "rows": listing.rows_of(cut.rows),
        "evidence": evidence,
        "parked": all(event.state == WorkState.PARKED for event in evidence),
        "keep": [("q", asking.asked.text), ("sort", request.GET.get("sort", "") if asking.stuck_only else "")],
    }
    if not request.htmx:
        context |= {
            "filters": listing.shown_filters(asking, visible),
            "tabs": listing.tabs(asking, visible, reverse("records", args=space.args)),
        }
    response = render(request, "records/_rows.html" if request.htmx else "records/records.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_GET
@in_space()
def record(request: Any, pk: int) -> HttpResponse:
    """Answer on one page what we believe of a record, why, and what is in its way."""
    return render(request, "records/record.html", page.gather(request, page.find(request, pk)))


@require_GET
@in_space()
def timeline_more(request: Any, pk: int) -> HttpResponse:
    """Answer the entries that go on where the timeline ends; the whole page without htmx."""
    found = find_here(request, Record.objects.all(), pk)
    if not request.htmx:
        return render(request, "records/record.html", page.gather(request, page.find(request, pk)))
    stretch = page.timeline_of(request, found, timezone.now())
    return render(request, "records/_entries.html", {"record": found, "stretch": stretch, "more": True})


@require_GET
@in_space()
def entry(request: Any, pk: int, entry_pk: int) -> HttpResponse:
    """Show what lies behind one line of the timeline: the evidence, the change, the person."""
    found = find_here(request, Record.objects.all(), pk)
    line = timeline.entries_of(found, request.user).filter(pk=entry_pk).first()
    line = line or timeline.before_it_was(found, request.user).filter(pk=entry_pk).first()
    if line is None:
        raise Http404
    context = {"record": found, "entry": line, "line": timeline.line_of(line)}
    context |= _behind(request, found, line) | asked.behind(request, line)
    template = "records/_entry_evidence.html" if request.htmx else "records/entry.html"
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_GET
@in_space()
def sides_now(request: Any, pk: int) -> HttpResponse:
    """Answer "ours and theirs" while a check is under way, and what it touched once it is over."""
    found = page.find(request, pk)
    run = page.run_asked(request, found)
    if run and sides.is_under_way(run):
        return HttpResponse(status=204)  # Nothing to swap: htmx asks again
    return answer_sides(request, found)


def answer_sides(request: Any, found: Record, **more: Any) -> HttpResponse:
    """Return the panel alone; with the references and the timeline when a check has come to its end."""
    context = page.gather(request, found) | more
    context["swap"] = bool(context["sides"].finding)
    return render(request, "records/_sides.html", context)


def _behind(request: Any, found: Record, line: JournalEntry) -> dict[str, Any]:
    event = None
    if line.subject_type == "event" and line.subject_id:
        rows = Event.objects.visible_to(request.user).select_related("mapping", "connection")
        event = rows.filter(pk=line.subject_id).first()
    delivery = None
    if line.subject_type == "delivery" and line.subject_id:
        told = Delivery.objects.visible_to(request.user).filter(pk=line.subject_id)
        delivery = told.select_related("subscription", "message").prefetch_related("attempts").first()
    currency = found.data.get("currency") or ""
    changes = line.data.get("changes") or []
    return {
        "event": event,
        "delivery": delivery,
        # Personal values were left out when the line was written, so nothing is left to hide here.
        "changes": [
            (
                values.name_of(name),
                values.shown(found.kind, name, before, currency=currency, personal=True),
                values.shown(found.kind, name, after, currency=currency, personal=True),
            )
            for name, before, after in changes
        ],
        "fields": [values.name_of(name) for name in line.data.get("fields") or []],
    }
