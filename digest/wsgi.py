"""What gunicorn serves."""

import logging
import os
import threading
import time

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digest.settings")

application = get_wsgi_application()

# Only now: these need the settings, which the line above has read.
from django.db import DatabaseError, connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from digest.matching import recent  # noqa: E402

_LOOK_EVERY = 30  # seconds; two small queries where nothing has changed


def _keep_warm() -> None:
    """Index the recent papers before a visitor asks: with a thousand papers a day that takes seconds.

    Not only at the start: whoever comes meanwhile is answered with what was.
    """
    while True:
        try:
            recent.current(now=timezone.now()).get_ready()
        except DatabaseError as error:
            logging.getLogger("digest.web").warning("The recent papers are not indexed yet: %s", error)
        finally:
            connection.close()
        time.sleep(_LOOK_EVERY)


threading.Thread(target=_keep_warm, name="keep-warm", daemon=True).start()
