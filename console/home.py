"""Pages outside any space: the way in, the person's theme, health, and what went wrong."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from console.access import Forbidden
from console.models import Theme, User
from console.spaces import spaces_of


@login_required
@require_GET
def home(request: Any) -> HttpResponse:
    """Lead to the first space that the person may see."""
    spaces = spaces_of(request.user)
    return redirect(spaces[0].url) if spaces else render(request, "no_access.html", status=200)


@login_required
@require_POST
def theme(request: Any) -> HttpResponse:
    """Keep the person's choice of light, dark, or as the system."""
    chosen = request.POST.get("theme", "")
    if chosen in Theme.values:
        User.objects.filter(pk=request.user.pk).update(theme=chosen)
    back = request.POST.get("next", "/")
    if request.htmx or not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}):
        return HttpResponse(status=204)
    return redirect(back)


@require_GET
def health(request: HttpRequest) -> JsonResponse:
    """Say whether this process reaches its database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"ok": True})


def closed(request: HttpRequest) -> HttpResponse:
    """Stand where a library has a page that this console does not offer."""
    raise Http404


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    # Without the request, which may be bad by the very host that a context processor asks for.
    return HttpResponse(render_to_string("400.html"), status=400)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    who_may = exception.who_may if isinstance(exception, Forbidden) else ""
    return render(request, "403.html", {"who_may": who_may}, status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "404.html", status=404)


def failed(request: HttpRequest) -> HttpResponse:
    # Without the request, whose context processors may need what has just failed.
    return HttpResponse(render_to_string("500.html", {"request_id": getattr(request, "request_id", "")}), status=500)
