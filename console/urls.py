"""Every address of the console. Pages of a space hold its tenant and environment."""

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("allauth.urls")),
]
