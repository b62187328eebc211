"""Addresses of the REST API."""

from django.urls import path

from console.api import views

urlpatterns = [
    path("schema/", views.Schema.as_view(), name="api_schema"),
    path("commands/", views.Commands.as_view(), name="api_commands"),
    path("commands/<path:key>/", views.OneCommand.as_view(), name="api_command"),
]
