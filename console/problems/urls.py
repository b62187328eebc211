"""Addresses of the problems pages."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
