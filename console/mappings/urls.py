"""Addresses of the mappings pages."""

from django.urls import path

from console.mappings import views

urlpatterns = [
    path("", views.mappings, name="mappings"),
    path("<int:pk>/", views.mapping, name="mapping"),
    path("<int:pk>/edit/", views.edit, name="mapping_edit"),
]
