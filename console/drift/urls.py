"""Addresses of the drift pages."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
