"""What people do to a record: ask for a check, have it exported again or left out, leave a note."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from console.access import find_here, in_space, require
from console.newest import id_of
from console.questions import GET_OR_POST, Question, ask
from console.records import page, views
from integrations.journal import notes
from integrations.models import Copy, Record
from integrations.reconciliation import leaving_out, pushing
from integrations.reconciliation.check import check_record
from integrations.workflow.errors import Refusal


@require_POST
@in_space("reconcile")
def check(request: Any, pk: int) -> HttpResponse:
    """Ask the provider how a record stands now; the answer shows itself when it has come."""
    found = page.find(request, pk)
    named = request.POST.get("at", "")
    at = request.space.connection(id_of(named)) if named else None
    place = at.pk if at else found.connection_id
    require(request.user, "reconcile", tenant_id=found.tenant_id, connection_id=place)
    try:
        run = check_record(found, at=at, actor=request.actor)
    except Refusal as refusal:
        if request.htmx:
            return views.answer_sides(request, found, refusal=str(refusal))
        messages.error(request, str(refusal))
        return redirect(_url(request, found))
    if request.htmx:
        request.GET = request.GET.copy()
        request.GET["check"] = str(run.pk)
        return views.answer_sides(request, found)
    return redirect(f"{_url(request, found)}?check={run.pk}#sides")


@GET_OR_POST
@in_space("command")
def export_again(request: Any, pk: int, connection_pk: int) -> HttpResponse:
    """Have a record exported once more to one connection."""
    found, copy = _copy_of(request, pk, connection_pk, "command")
    target = copy.connection

    def do(reason: str) -> str:
        pushing.export_again(copy, actor=request.actor, reason=reason)
        return f"{found.label} is exported to {target.name} again."

    question = Question(
        question=f"Export {found.label} to {target.name} again?",
        text=(
            f"What is missing at {target.name}, or stands there otherwise than here, is asked for under a new "
            "operation id. What is there already is not made twice."
        ),
        act=f"Export 1 {found.kind} again",
        keep="Leave it as it is",
        reason="Shown in the record’s timeline and in the journal.",
        back_url=f"{_url(request, found)}#exports",
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("settle_drift")
def leave_out(request: Any, pk: int, connection_pk: int) -> HttpResponse:
    """Export nothing more of a record to one connection."""
    found, copy = _copy_of(request, pk, connection_pk, "settle_drift")
    target = copy.connection

    def do(reason: str) -> str:
        leaving_out.leave_out(copy, actor=request.actor, reason=reason)
        return f"{found.label} is left out of the export to {target.name}."

    where = f"at {target.name}"
    stays = f"What is {where} stays there as it is" if copy.external_id else f"Nothing of it is {where}"
    question = Question(
        question=f"Leave {found.label} out of the export to {target.name}?",
        text=(
            f"{stays}, and no change of it goes there any more. A command that was refused is cancelled. "
            "“Export again” takes it in again."
        ),
        act=f"Leave 1 {found.kind} out",
        keep="Keep exporting it",
        reason="Such as “entered by hand as INV-77”. Shown in the record’s timeline and in the journal.",
        back_url=f"{_url(request, found)}#exports",
    )
    return ask(request, question, do)


def _copy_of(request: Any, pk: int, connection_pk: int, action: str) -> tuple[Record, Copy]:
    """Return a record and its copy at a connection: Http404 where either is hidden, `Forbidden` without `action`."""
    found = find_here(request, Record.objects.all(), pk)
    target = request.space.connection(connection_pk)
    require(request.user, action, tenant_id=found.tenant_id, connection_id=target.pk)
    copies = Copy.objects.visible_to(request.user).select_related("connection")
    return found, get_object_or_404(copies, record=found, connection=target)


@GET_OR_POST
@in_space("annotate")
def note(request: Any, pk: int) -> HttpResponse:
    """Ask for a note, and write it into the record's timeline."""
    found = find_here(request, Record.objects.all(), pk, "annotate")
    text, problem = request.POST.get("text", ""), ""
    if request.method == "POST":
        try:
            notes.note(found, text=text, actor=request.actor)
        except Refusal as refusal:
            problem = str(refusal)
        else:
            messages.success(request, f"Noted on {found.label}")
            return redirect(f"{_url(request, found)}#timeline")
    context = {
        "record": found,
        "question": f"Note on {found.label}",
        "text_value": text,
        "text_error": problem,
        "longest": notes.LONGEST,
        "back_url": _url(request, found),
    }
    return render(request, "records/note.html", context, status=422 if problem else 200)


def _url(request: Any, found: Record) -> str:
    return reverse("record", args=(*request.space.args, found.pk))
