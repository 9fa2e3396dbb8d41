"""What gunicorn serves."""

import gc
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
    is_first = True
    while True:
        try:
            recent.current(now=timezone.now()).get_ready()
            if is_first:
                # What is there by now stays: nothing that the garbage collector needs to look at for 0.2 s
                # in the middle of somebody's question.
                gc.collect()
                gc.freeze()
                is_first = False
        except DatabaseError as error:
            logging.getLogger("digest.web").warning("The recent papers are not indexed yet: %s", error)
        finally:
            connection.close()
        time.sleep(_LOOK_EVERY)


threading.Thread(target=_keep_warm, name="keep-warm", daemon=True).start()
