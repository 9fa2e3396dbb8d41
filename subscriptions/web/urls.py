from django.urls import URLPattern, URLResolver, path

from subscriptions.tokens import Fresh
from subscriptions.web import views

app_name = "subscriptions"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.sign_up, name="sign-up"),
    path("subscribe/", views.subscribe, name="subscribe"),
    path("subscribe/again/", views.ask_again, name="ask-again"),
    path("subscribe/filter/", views.echo_filter, name="echo-filter"),
    path("confirm/<str:token>/", views.confirm, name="confirm"),
    path("preferences/<str:token>/", views.preferences, name="preferences"),
    path("preferences/<str:token>/pause/", views.pause, name="pause"),
    path("preferences/<str:token>/link/", views.ask_for_link, name="ask-for-link"),
    path("unsubscribe/<str:token>/", views.unsubscribe, name="unsubscribe"),
    path("unsubscribe/<str:token>/undo/", views.undo_unsubscribe, name="undo-unsubscribe"),
    path(f"{Fresh.EXPORT}/<str:token>/", views.export, name="export"),
    path(f"{Fresh.ERASE}/<str:token>/", views.erase, name="erase"),
    path(f"{Fresh.CHANGE_ADDRESS}/<str:token>/", views.change_address, name="change-address"),
]
