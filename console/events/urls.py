"""Addresses of the events pages."""

from django.urls import URLPattern, path

from console.events import actions, views

urlpatterns: list[URLPattern] = [
    path("", views.events, name="events"),
    path("<int:pk>/", views.event, name="event"),
    path("<int:pk>/progress/", views.progress, name="event_progress"),
    path("<int:pk>/replay/", actions.replay, name="event_replay"),
    path("<int:pk>/dismiss/", actions.dismiss, name="event_dismiss"),
    path("<int:pk>/reveal/", actions.reveal, name="event_reveal"),
]
