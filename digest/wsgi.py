"""What gunicorn serves."""

import logging
import os
import threading

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digest.settings")

application = get_wsgi_application()

# Only now: these need the settings, which the line above has read.
from django.db import DatabaseError, connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from digest.matching import recent  # noqa: E402


def _warm_up() -> None:
    """Index the recent papers before a visitor asks: with a thousand papers a day that takes seconds."""
    try:
        recent.current(now=timezone.now())
    except DatabaseError as error:
        logging.getLogger("digest.web").warning("The recent papers are not indexed yet: %s", error)
    finally:
        connection.close()


threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
