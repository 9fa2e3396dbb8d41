"""Thin Celery entry points: a row says what is due, a task only looks sooner."""

import logging
from datetime import datetime

from celery import current_app, shared_task
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from kombu import Connection

from subscriptions import lifecycle
from subscriptions.mail import notices
from subscriptions.models import Suppression

log = logging.getLogger(__name__)

# Beat runs it every minute; who has just confirmed should not wait for that. By name: `digest` imports us.
COMPOSE_DUE = "digest.tasks.compose_due"
BROKER_SECONDS = 2


@shared_task(ignore_result=True)
def send_due(limit: int = 1000) -> None:
    """Hand out due notices. Beat runs it every few seconds; a view pokes it: `poke_notices()`."""
    now = timezone.now()
    notices.release_stuck(now)
    for notice_id in notices.due_ids(now, limit=limit):
        send_one.delay(notice_id)


@shared_task(ignore_result=True)
def send_one(notice_id: int) -> None:
    send_notice(notice_id, now=timezone.now())


@shared_task(ignore_result=True)
def tend() -> None:
    """What the calendar brings: pauses end, addresses that were never confirmed are forgotten."""
    now = timezone.now()
    lifecycle.resume_due(now=now)
    lifecycle.forget_unconfirmed(now=now)


def send_notice(notice_id: int, *, now: datetime) -> bool:
    """`notices.send`, with a mailbox that does not exist suppressed."""

    def suppress(address: str, evidence: str) -> None:
        lifecycle.suppress(address, reason=Suppression.Reason.HARD_BOUNCE, evidence=evidence, now=now)

    return notices.send(notice_id, now=now, suppress=suppress)


def poke_notices() -> None:
    """After the commit, look for due notices at once. Poked for every request alike, known address or not."""
    transaction.on_commit(lambda: _poke(send_due.name), robust=True)


def poke_editions() -> None:
    """After the commit, look who has no digest of the latest edition yet."""
    transaction.on_commit(lambda: _poke(COMPOSE_DUE), robust=True)


def _poke(task: str) -> None:
    # Somebody waits for a page, and beat finds the row a little later anyway: one short try on a connection
    # of its own. Celery's would wait minutes for a broker that takes connections and does not answer.
    options = {
        "socket_timeout": BROKER_SECONDS,
        "socket_connect_timeout": BROKER_SECONDS,
        "max_retries": 1,
        "interval_start": 0,
    }
    with Connection(settings.CELERY_BROKER_URL, transport_options=options) as broker:
        current_app.send_task(task, expires=60, connection=broker, retry=False)
