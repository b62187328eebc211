"""Every address of the console. Pages of a space hold its tenant and environment."""

from django.urls import include, path

from console import home

SPACE = "<slug:tenant>/<slug:environment>/"

urlpatterns = [
    path("", home.home, name="home"),
    path("health/", home.health, name="health"),
    path("theme/", home.theme, name="theme"),
    # Roles are given by address, so nobody chooses an address for themselves.
    path("accounts/email/", home.closed),
    path("accounts/", include("allauth.urls")),
    path("api/v1/", include("console.api.urls")),
    path(SPACE, include("console.overview.urls")),
    path(f"{SPACE}records/", include("console.records.urls")),
    path(f"{SPACE}problems/", include("console.problems.urls")),
    path(f"{SPACE}events/", include("console.events.urls")),
    path(f"{SPACE}commands/", include("console.commands.urls")),
    path(f"{SPACE}drift/", include("console.drift.urls")),
    path(f"{SPACE}connections/", include("console.connections.urls")),
    path(f"{SPACE}mappings/", include("console.mappings.urls")),
    path(f"{SPACE}subscriptions/", include("console.subscriptions.urls")),
    path(f"{SPACE}audit/", include("console.audit.urls")),
    path(f"{SPACE}people/", include("console.people.urls")),
    path(f"{SPACE}tokens/", include("console.tokens.urls")),
]

handler400 = "console.home.bad_request"
handler403 = "console.home.forbidden"
handler404 = "console.home.not_found"
handler500 = "console.home.failed"
