"""Addresses of connections, their streams, runs and secrets."""

from django.urls import path

from console.connections import actions, adding, restraint, routes, schedules, secrets, views

urlpatterns = [
    path("", views.connections, name="connections"),
    path("new/", adding.choose, name="connection_new"),
    path("new/<slug:provider>/", adding.add, name="connection_add"),
    path("<int:pk>/", views.connection, name="connection"),
    path("<int:pk>/streams/", views.streams, name="connection_streams"),
    path("<int:pk>/secrets/", views.secrets, name="connection_secrets"),
    path("<int:pk>/breaker/", views.breaker, name="connection_breaker"),
    path("<int:pk>/pause/", actions.pause, name="connection_pause"),
    path("<int:pk>/resume/", actions.resume, name="connection_resume"),
    path("<int:pk>/disable/", actions.disable, name="connection_disable"),
    path("<int:pk>/enable/", actions.enable, name="connection_enable"),
    path("<int:pk>/run/", actions.run_all, name="connection_run"),
    path("<int:pk>/settings/", actions.edit_settings, name="connection_settings"),
    path("<int:pk>/limits/", restraint.edit_limits, name="connection_limits"),
    path("<int:pk>/breaker/probe/", restraint.probe, name="breaker_probe"),
    path("<int:pk>/breaker/open/", restraint.open_breaker, name="breaker_open"),
    path("<int:pk>/breaker/close/", restraint.close_breaker, name="breaker_close"),
    path("<int:pk>/windows/", schedules.edit_windows, name="connection_windows"),
    path("<int:pk>/routes/new/", routes.make, name="route_new"),
    path("routes/<int:pk>/", routes.route, name="route"),
    path("routes/<int:pk>/edit/", routes.edit, name="route_edit"),
    path("routes/<int:pk>/pause/", routes.pause, name="route_pause"),
    path("routes/<int:pk>/resume/", routes.resume, name="route_resume"),
    path("routes/<int:pk>/export/", routes.export_all, name="route_export"),
    path("<int:pk>/secrets/<slug:purpose>/rotate/", secrets.rotate, name="credential_rotate"),
    path("secrets/<int:pk>/cancel/", secrets.cancel, name="credential_cancel"),
    path("secrets/<int:pk>/revoke/", secrets.revoke, name="credential_revoke"),
    path("streams/<int:pk>/run/", actions.run_stream, name="stream_run"),
    path("streams/<int:pk>/pause/", actions.pause_stream, name="stream_pause"),
    path("streams/<int:pk>/resume/", actions.resume_stream, name="stream_resume"),
    path("streams/<int:pk>/schedule/", schedules.edit_schedule, name="stream_schedule"),
    path("streams/<int:pk>/scan/", schedules.scan_stream, name="stream_scan"),
    path("runs/<int:pk>/release/", schedules.release_scan, name="scan_release"),
    path("runs/<int:pk>/dismiss/", schedules.dismiss_scan, name="scan_dismiss"),
    path("runs/<int:pk>/cancel/", actions.cancel_run, name="run_cancel"),
]
