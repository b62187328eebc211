"""Addresses of the mappings pages."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
