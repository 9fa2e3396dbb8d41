"""Whether this installation works: what `/healthz` and `/readyz` answer and the dashboard shows."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import redis
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu import Connection
from kombu.exceptions import OperationalError

BEAT_KEY = "paperboy:beat"
BEAT_KEPT = timedelta(minutes=10)
BEAT_LATE = timedelta(minutes=3)  # beat pokes at least once a minute
_BROKER_SECONDS = 2


@dataclass(frozen=True)
class Probe:
    """One service asked one small question. `problem` is empty when it answered."""

    milliseconds: float
    problem: str = ""
    waiting: int | None = None  # the broker's: tasks in the queue

    @property
    def answers(self) -> bool:
        return not self.problem


def beat_seen(now: datetime) -> None:
    """Note that a task which beat asked for is running: beat, broker and a worker are alive.

    Kept in the cache for ten minutes. A cache that does not answer is no reason for a task to fail: the mark
    then grows old, which is what the dashboard and `/metrics` show.
    """
    try:
        cache.set(BEAT_KEY, now.timestamp(), timeout=BEAT_KEPT.total_seconds())
    except redis.RedisError:
        return


def beat_age(now: datetime) -> timedelta | None:
    """How long ago a worker last carried out something for beat; None if not within ten minutes."""
    try:
        seen = cache.get(BEAT_KEY)
    except redis.RedisError:
        return None
    return None if seen is None else timedelta(seconds=max(0.0, now.timestamp() - seen))


def database() -> Probe:
    """Ask the database for 1."""
    return _ask(_select_one, DatabaseError)


def broker() -> Probe:
    """Ask the broker how many tasks wait; at most about two seconds."""
    return _ask(_queue_length, OSError, OperationalError, redis.RedisError)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """The process is up. Asks nothing else, so a database at rest does not restart the web server."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database and broker answer, else 503; which one does not stands in the JSON.

    No reason is given to strangers: the text of an error may name hosts and users. `manage.py doctor` has it.
    """
    probes = {"database": database(), "broker": broker()}
    failing = [name for name, probe in probes.items() if not probe.answers]
    body = {
        "ready": not failing,
        "failing": failing,
        "milliseconds": {name: round(probe.milliseconds, 1) for name, probe in probes.items()},
    }
    return JsonResponse(body, status=HTTPStatus.SERVICE_UNAVAILABLE if failing else HTTPStatus.OK)


def _ask(question: Callable[[], int | None], *troubles: type[Exception]) -> Probe:
    started = time.perf_counter()
    waiting, problem = None, ""
    try:
        waiting = question()
    except troubles as error:
        problem = " ".join(str(error).split()) or type(error).__name__
    return Probe((time.perf_counter() - started) * 1000, problem, waiting)


def _select_one() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _queue_length() -> int:
    # A connection of its own: Celery's would wait half a minute for a broker that does not answer.
    options = {"socket_timeout": _BROKER_SECONDS, "socket_connect_timeout": _BROKER_SECONDS}
    with Connection(settings.CELERY_BROKER_URL, transport_options=options) as broker_connection:
        broker_connection.ensure_connection(max_retries=0, timeout=_BROKER_SECONDS)
        # Declared, not asked for: on Redis an empty queue does not exist.
        channel = broker_connection.default_channel
        declared: list[Any] = [queue(channel).queue_declare() for queue in settings.CELERY_TASK_QUEUES]
    return sum(int(queue.message_count) for queue in declared)
