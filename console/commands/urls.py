"""Addresses of the commands pages."""

from django.urls import URLPattern, path

from console.commands import actions, views

urlpatterns: list[URLPattern] = [
    path("", views.commands, name="commands"),
    path("<int:pk>/", views.command, name="command"),
    path("<int:pk>/progress/", views.progress, name="command_progress"),
    path("<int:pk>/reveal/", actions.reveal, name="command_reveal"),
]
