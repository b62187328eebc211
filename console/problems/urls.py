"""Addresses of the problems pages."""

from django.urls import path

from console.problems import views

urlpatterns = [
    path("", views.problems, name="problems"),
    path("<int:pk>/", views.problem, name="problem"),
    path("<int:pk>/assign/", views.assign, name="problem_assign"),
    path("<int:pk>/name/", views.name, name="problem_name"),
]
