"""Commands: what we asked a provider to do. Nothing is sent yet, and the page says so."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from console.access import in_space


@require_GET
@in_space()
def commands(request: Any) -> HttpResponse:
    """Say that nothing is sent, and what will stand here."""
    return render(request, "commands/commands.html")
