from django.apps import AppConfig
from django.core.checks import register

from digest import celery, checks

__all__ = ["DigestConfig", "celery"]  # tasks that the web process pokes need the Celery application


class DigestConfig(AppConfig):
    name = "digest"
    verbose_name = "Papers and digests"

    def ready(self) -> None:
        # Here and not above: models cannot be imported before the apps are.
        from digest.editions import personal
        from subscriptions import privacy

        register(checks.meaningful_settings)
        register(checks.production_settings)
        privacy.register("digests", personal.export, personal.forget)
        privacy.register("opinions", personal.export_opinions, personal.forget_opinions)
