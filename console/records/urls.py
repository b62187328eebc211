"""Addresses of the records pages."""

from django.urls import URLPattern, path

from console.records import views

urlpatterns: list[URLPattern] = [
    path("", views.records, name="records"),
]
