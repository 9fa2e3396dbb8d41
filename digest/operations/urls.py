"""Addresses for operators and for the machines that watch: not part of the public site."""

from django.urls import URLPattern, URLResolver, path

from digest.operations import health, metrics

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
]
