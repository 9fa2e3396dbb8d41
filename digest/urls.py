"""All addresses. design.md lists those that other programs rely on."""

from django.contrib import admin
from django.urls import include, path

from digest.operations import inbox

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("subscriptions.web.urls")),
    path("", include("digest.web.urls")),
    path("", include("digest.operations.urls")),
    *inbox.urlpatterns,
]
