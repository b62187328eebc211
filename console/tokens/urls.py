"""Addresses of the pages about API tokens."""

from django.urls import path

from console.tokens import views

urlpatterns = [
    path("", views.tokens, name="tokens"),
    path("new/", views.new, name="token_new"),
    path("<int:pk>/revoke/", views.revoke, name="token_revoke"),
]
