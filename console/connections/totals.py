"""Whether everything is in the books: a route's control totals, and the report of its records."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from console.access import in_space
from console.audit.download import answer_report
from console.connections.routes import route_of
from console.questions import GET_OR_POST, reason_of
from integrations.reconciliation import copy_report, report
from integrations.reconciliation.totals import totals_of
from integrations.workflow.errors import Refusal


@require_GET
@in_space()
def totals(request: Any, pk: int) -> HttpResponse:
    """Show what the books are to know, by kind and currency, and how much of it is there."""
    found = route_of(request, pk)
    lines = totals_of(found)
    ends = (found.source_id, found.target_id)
    may = (request.user.powers.may("export", tenant_id=found.tenant_id, connection_id=end) for end in ends)
    context = {
        "route": found,
        "lines": lines,
        "complete": all(line.complete for line in lines),
        "may_export": all(may),
    }
    return render(request, "connections/totals.html", context)


@GET_OR_POST
@in_space("export")
def download_report(request: Any, pk: int) -> Any:
    """Ask what the report is for, then answer with the file: the records that were looked at for export."""
    found = route_of(request, pk, "export")
    context = {
        "title": f"Report of the export to {found.target.name}",
        "lead": (
            "One line a record that was looked at for export, with its ids at both ends, its amount, and whether it "
            "is there or why not."
        ),
        "told": {"route": str(found)},
        "error": "",
        "back_url": reverse("route_totals", args=[*request.space.args, found.pk]),
        "back": "Back to the totals",
    }
    if request.method != "POST":
        return render(request, "reports/report.html", context)
    try:
        made = report.make(
            request.space.tenant,
            request.space.environment,
            copy_report.table_of(found),
            told={"route": str(found)},
            actor=request.actor,
            reason=reason_of(request)[:500],
        )
    except Refusal as refusal:
        return render(request, "reports/report.html", context | {"error": str(refusal)}, status=422)
    name = f"export-{request.space.tenant.slug}-{request.space.environment}-{timezone.now():%Y%m%d-%H%M%S}.csv"
    return answer_report(request, made, name)
