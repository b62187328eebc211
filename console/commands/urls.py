"""Addresses of the commands pages."""

from django.urls import path

from console.commands import views

urlpatterns = [
    path("", views.commands, name="commands"),
]
