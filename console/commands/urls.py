"""Addresses of the commands pages."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
