"""Addresses of the commands pages."""

from django.urls import URLPattern, path

from console.commands import actions, views

urlpatterns: list[URLPattern] = [
    path("", views.commands, name="commands"),
    path("<int:pk>/", views.command, name="command"),
    path("<int:pk>/progress/", views.progress, name="command_progress"),
    path("<int:pk>/reveal/", actions.reveal, name="command_reveal"),
    path("<int:pk>/retry/", actions.retry, name="command_retry"),
    path("<int:pk>/look/", actions.look, name="command_look"),
    path("<int:pk>/send/", actions.send, name="command_send"),
    path("<int:pk>/cancel/", actions.cancel, name="command_cancel"),
    path("<int:pk>/resolve/", actions.resolve, name="command_resolve"),
]
