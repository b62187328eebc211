"""Addresses of subscriptions, their secrets and their deliveries."""

from django.urls import path

from console.subscriptions import actions, deliveries, making, views

urlpatterns = [
    path("", views.subscriptions, name="subscriptions"),
    path("new/", making.add, name="subscription_add"),
    path("<int:pk>/", views.subscription, name="subscription"),
    path("<int:pk>/edit/", making.edit, name="subscription_edit"),
    path("<int:pk>/rotate/", making.rotate, name="subscription_rotate"),
    path("<int:pk>/pause/", actions.pause, name="subscription_pause"),
    path("<int:pk>/resume/", actions.resume, name="subscription_resume"),
    path("<int:pk>/disable/", actions.disable, name="subscription_disable"),
    path("<int:pk>/enable/", actions.enable, name="subscription_enable"),
    path("<int:pk>/end/", actions.end, name="subscription_end"),
    path("<int:pk>/replay/", actions.replay, name="subscription_replay"),
    path("secrets/<int:pk>/end/", making.revoke, name="subscription_secret_end"),
    path("deliveries/", deliveries.deliveries, name="subscription_deliveries"),
    path("deliveries/<int:pk>/", deliveries.delivery, name="subscription_delivery"),
    path("deliveries/<int:pk>/replay/", deliveries.replay, name="subscription_delivery_replay"),
    path("deliveries/<int:pk>/dismiss/", deliveries.dismiss, name="subscription_delivery_dismiss"),
]
