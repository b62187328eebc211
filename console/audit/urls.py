"""Addresses of the audit pages."""

from django.urls import path

from console.audit import views

urlpatterns = [
    path("", views.audit, name="audit"),
    path("<int:pk>/", views.entry, name="audit_entry"),
    path("verify/", views.verify, name="audit_verify"),
    path("key/", views.public_key, name="audit_key"),
    path("exports/", views.exported, name="audit_exports"),
]
