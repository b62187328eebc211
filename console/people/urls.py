"""Addresses of the people pages."""

from django.urls import path

from console.people import views

urlpatterns = [
    path("", views.people, name="people"),
    path("give/", views.add, name="people_give"),
    path("grants/<int:pk>/take/", views.remove, name="people_take"),
    path("<int:pk>/link/", views.resend, name="people_link"),
    path("tokens/<int:pk>/revoke/", views.revoke_token, name="people_token"),
]
