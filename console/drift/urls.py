"""Addresses of the drift pages."""

from django.urls import path

from console.drift import actions, views

urlpatterns = [
    path("", views.drift, name="drift"),
    path("accept/", actions.accept, name="drift_accept"),
    path("ignore/", actions.ignore, name="drift_ignore"),
    path("push/", actions.push, name="drift_push"),
    path("report/", actions.export, name="drift_report"),
    path("checks/", views.runs, name="drift_runs"),
    path("checks/<int:pk>/cancel/", actions.cancel, name="drift_cancel"),
    path("check/<int:pk>/", actions.check, name="drift_check"),
]
