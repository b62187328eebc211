"""Addresses of the records pages."""

from django.urls import URLPattern, path

from console.records import actions, views

urlpatterns: list[URLPattern] = [
    path("", views.records, name="records"),
    path("<int:pk>/", views.record, name="record"),
    path("<int:pk>/timeline/", views.timeline_more, name="record_timeline"),
    path("<int:pk>/entries/<int:entry_pk>/", views.entry, name="record_entry"),
    path("<int:pk>/sides/", views.sides_now, name="record_sides"),
    path("<int:pk>/check/", actions.check, name="record_check"),
    path("<int:pk>/exports/<int:connection_pk>/again/", actions.export_again, name="record_export"),
    path("<int:pk>/exports/<int:connection_pk>/leave/", actions.leave_out, name="record_leave_out"),
    path("<int:pk>/note/", actions.note, name="record_note"),
]
