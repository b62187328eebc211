"""Subscriptions: who is told downstream, as a list and one by one."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET

from console.access import find_here, in_space
from console.keyset import Order, Place, cut
from console.subscriptions import page
from integrations.boundary.destination import outline
from integrations.models import Subscription

SIZE = 50
ORDER = Order("created_at")


def find(request: Any, pk: int, action: str = "") -> Subscription:
    """Return a subscription of the space: Http404 where it is hidden, `Forbidden` without `action`."""
    return find_here(request, Subscription.objects.all(), pk, action)


def url_of(request: Any, subscription: Subscription, part: str = "") -> str:
    """Return the address of a subscription's page, or of a part of it."""
    return reverse("subscription", args=[*request.space.args, subscription.pk]) + (f"#{part}" if part else "")


def may(request: Any, *actions: str) -> dict[str, bool]:
    """Return which of some actions the person may do at the whole tenant."""
    return {action: request.user.powers.may(action, tenant_id=request.space.tenant.pk) for action in actions}


@require_GET
@in_space()
def subscriptions(request: Any) -> HttpResponse:
    """Show the subscriptions of the space, the newest first; ended ones only when asked for."""
    space, ended = request.space, request.GET.get("ended") == "1"
    visible = Subscription.objects.visible_to(request.user).filter(**space.here)
    shown = visible.filter(ended_at__isnull=not ended)
    place = Place.read(request.GET)
    found = cut(list(place.narrow(shown, ORDER)[: SIZE + 1]), place, ORDER, SIZE)
    context = {
        "cut": found,
        "rows": page.rows_of(found.rows),
        "ended": ended,
        "any_ended": ended or visible.filter(ended_at__isnull=False).exists(),
        "may": may(request, "edit_settings"),
    }
    response = render(request, "subscriptions/subscriptions.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_GET
@in_space()
def subscription(request: Any, pk: int) -> HttpResponse:
    """Show one subscription: how it stands, its deliveries, its secrets, and who changed what."""
    found = find(request, pk)
    edits = request.user.powers.may("edit_settings", tenant_id=found.tenant_id)
    context = page.gather(found) | {
        "address": found.url if edits else outline(found.url),
        "secret": page.take_secret(request, found),
        "may": may(request, "edit_settings", "rotate", "pause", "replay"),
    }
    return render(request, "subscriptions/subscription.html", context)
