"""Questions before an act: one view asks, takes the answer, does it once, and says what became of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from integrations.workflow.errors import Refusal

#: A view that asks, and takes the answer.
GET_OR_POST = require_http_methods(["GET", "HEAD", "POST"])
#: What a reason may be long.
LONGEST = 500


@dataclass
class Question:
    """What `_parts/ask.html` asks. `reason` is the hint of the box, "" leaves the box out."""

    question: str
    act: str
    back_url: str
    text: str = ""
    keep: str = "Leave it as it is"
    reason: str = ""
    form: forms.Form | None = None
    danger: bool = False
    template: str = "_parts/ask.html"
    more: dict[str, Any] = field(default_factory=dict)

    def shown(self, request: Any, *, error: str = "", reason: str = "", reason_error: str = "") -> HttpResponse:
        """Return the question: a dialog for htmx, else a page; 422 when an answer came back."""
        context = {
            "question": self.question,
            "text": self.text,
            "act": self.act,
            "keep": self.keep,
            "reason": self.reason,
            "reason_value": reason,
            "reason_error": reason_error,
            "form": self.form,
            "danger": self.danger,
            "back_url": self.back_url,
            "error": error,
            **self.more,
        }
        return render(request, self.template, context, status=422 if request.method == "POST" else 200)


def ask(request: Any, question: Question, do: Callable[[str], str]) -> HttpResponse:
    """Ask, or with a sound answer call `do(reason)`, say what it returns, and lead back.

    A `Refusal` of `do` is shown above the question; nothing was done then.
    """
    if request.method != "POST":
        return question.shown(request)
    reason = reason_of(request)
    fault = _fault(reason, question)
    if fault or (question.form is not None and not question.form.is_valid()):
        return question.shown(request, reason=reason, reason_error=fault)
    try:
        said = do(reason)
    except Refusal as refusal:
        return question.shown(request, error=str(refusal), reason=reason)
    messages.success(request, said)
    return redirect(question.back_url)


def filled(request: Any) -> QueryDict | None:
    """Return what was filled in, None where the form is only shown."""
    return request.POST if request.method == "POST" else None


def reason_of(request: Any) -> str:
    """Return the reason that was given, without what no text holds."""
    return str(request.POST.get("reason", "")).replace("\x00", "").strip()


def _fault(reason: str, question: Question) -> str:
    if len(reason) > LONGEST:
        return f"At most {LONGEST} characters; these are {len(reason):,}."
    if question.reason and not reason:
        return "Give a reason."
    return ""
