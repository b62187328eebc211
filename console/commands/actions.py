"""What people do with a command: each asks once, says what it will do, and is done by the engine."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from console.access import in_space, require
from console.commands import page
from console.questions import LONGEST, reason_of
from integrations.journal import notes
from integrations.models import Command
from integrations.workflow.errors import Refusal

GET_OR_POST = require_http_methods(["GET", "POST"])


@never_cache
@GET_OR_POST
@in_space("reveal")
def reveal(request: Any, pk: int) -> HttpResponse:
    """Ask for a reason, and show what was sent and came back with its personal data: this once, journaled."""
    found = _find(request, pk, "reveal")
    reason, problem = reason_of(request)[:LONGEST], ""
    if request.method == "POST":
        try:
            notes.reveal(found, actor=request.actor, reason=reason)
        except Refusal as refusal:
            problem = str(refusal)
        else:
            shown = page.gather(request, found, revealed=True) | {"revealed": True}
            return render(request, "commands/command.html", shown)
    context = {
        "question": "Reveal personal data in what was sent and came back?",
        "text": "It is shown once, on the page that follows, and not kept. Secrets stay hidden.",
        "reason": "Kept in the journal with your name. Auditors and the people of this tenant read it.",
        "act": "Reveal 1 command",
        "keep": "Leave it hidden",
        "back_url": _url(request, found),
        "reason_value": reason,
        "reason_error": problem,
    }
    return render(request, "_parts/ask.html", context, status=422 if problem else 200)


def _find(request: Any, pk: int, action: str) -> Command:
    """Return the command, or raise 404 where it is hidden and 403 where this may not be done to it."""
    found = page.find(request, pk)
    require(request.user, action, tenant_id=found.tenant_id, connection_id=found.connection_id)
    return found


def _url(request: Any, command: Command) -> str:
    return reverse("command", args=(*request.space.args, command.pk))
