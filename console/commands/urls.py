"""Addresses of the commands pages."""

from django.urls import URLPattern, path

from console.commands import actions, asking, views

urlpatterns: list[URLPattern] = [
    path("", views.commands, name="commands"),
    path("new/<int:pk>/<str:action>/", asking.begin, name="command_begin"),
    path("new/<int:pk>/<str:action>/<slug:operation>/", asking.new, name="command_new"),
    path("<int:pk>/", views.command, name="command"),
    path("<int:pk>/progress/", views.progress, name="command_progress"),
    path("<int:pk>/reveal/", actions.reveal, name="command_reveal"),
    path("<int:pk>/retry/", actions.retry, name="command_retry"),
    path("<int:pk>/look/", actions.look, name="command_look"),
    path("<int:pk>/send/", actions.send, name="command_send"),
    path("<int:pk>/cancel/", actions.cancel, name="command_cancel"),
    path("<int:pk>/resolve/", actions.resolve, name="command_resolve"),
]
