"""Showing personal data once: a reason first, then the page itself, uncovered and never cached."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse

from console.questions import LONGEST, Question, reason_of
from integrations.journal import notes
from integrations.models import Command, Event
from integrations.workflow.errors import Refusal

TEXT = "It is shown once, on the page that follows, and not kept. Secrets stay hidden."
WHO_READS = "Kept in the journal with your name. Auditors and the people of this tenant read it."


def reveal(
    request: Any, found: Event | Command, *, what: str, act: str, back_url: str, show: Callable[[], HttpResponse]
) -> HttpResponse:
    """Ask for a reason; with one, note the reveal in the journal and answer with what `show` returns.

    `what` ends the question ("in this payload").
    """
    question = Question(
        question=f"Reveal personal data {what}?", text=TEXT, reason=WHO_READS, act=act, keep="Leave it hidden",
        back_url=back_url,
    )  # fmt: skip
    if request.method != "POST":
        return question.shown(request)
    reason = reason_of(request)[:LONGEST]
    try:
        notes.reveal(found, actor=request.actor, reason=reason)
    except Refusal as refusal:
        return question.shown(request, reason=reason, reason_error=str(refusal))
    return show()
