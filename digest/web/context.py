"""What every page's template may use."""

from django.conf import settings
from django.http import HttpRequest

from digest.models import Batch


def site(request: HttpRequest) -> dict[str, object]:
    return {
        "site_url": settings.SITE_URL,
        "has_inbox": not settings.EMAIL_URL and settings.ENVIRONMENT == "development",
        # A callable, so that pages which do not ask (the admin, health) cause no query.
        "sample_data": Batch.objects.filter(is_sample=True).exists,
    }
