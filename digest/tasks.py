"""Thin: what beat pokes. Rows decide what is due, so any task may be lost, late or run twice."""

import multiprocessing
import time

from celery import shared_task
from celery.signals import worker_shutting_down
from django.conf import settings
from django.utils import timezone

from digest.editions import ai_wishes, compose, reader_models, schedule, send
from digest.matching import extras, spaces
from digest.models import Edition
from digest.operations import health
from digest.papers import ai, citations, fetch, lookups
from subscriptions.mail import outbox, smtp
from subscriptions.models import Mailing

# A message that begins at the last moment ends before the task's time limit.
DELIVER_SECONDS = settings.CELERY_TASK_SOFT_TIME_LIMIT - smtp.MESSAGE_SECONDS - 15
ENRICH_SECONDS = 90.0  # of asking; what is left is taken up by the next poke
LEARN_SECONDS = 60.0
# Deliveries are poked more often than this; a poke that found no free worker is not kept for later.
POKE_EXPIRES = 20

# Shared with the pool's children, which are forked after this module is imported: SIGTERM reaches the
# parent only, and a child that delivers should stop between two messages.
_draining = multiprocessing.RawValue("b", 0)


@worker_shutting_down.connect
def _drain(**kwargs: object) -> None:
    _draining.value = 1


def _is_draining() -> bool:
    return bool(_draining.value)


@shared_task(ignore_result=True)
def fetch_due() -> None:
    """Ask the sources whose hour has come."""
    now = timezone.now()
    health.beat_seen(now)
    fetch.fetch_due(now=now)


@shared_task(ignore_result=True)
def look_up_due() -> None:
    """Ask arXiv for what other sources do not say of its papers."""
    lookups.fill(now=timezone.now())


@shared_task(ignore_result=True)
def compose_due() -> None:
    """Open the editions whose hour has come, and give a row to every reader who should have one."""
    now = timezone.now()
    for kind in Edition.Kind.values:
        edition = schedule.current(kind, now=now)
        if edition is not None and compose.compose(edition, now=now):
            deliver.apply_async((edition.pk,), expires=POKE_EXPIRES)


@shared_task(ignore_result=True)
def deliver_due() -> None:
    """Nudge a worker for each edition that is under way."""
    running = Edition.objects.filter(mailing__status=Mailing.Status.OPEN)
    for edition_id in running.values_list("pk", flat=True):
        deliver.apply_async((edition_id,), expires=POKE_EXPIRES)


@shared_task(ignore_result=True)
def deliver(edition_id: int) -> None:
    """Hand over what is due in one edition, for a while; the next poke goes on."""
    edition = Edition.objects.select_related("mailing").get(pk=edition_id)
    send.send_due(edition, seconds=DELIVER_SECONDS, stop=_is_draining)


@shared_task(ignore_result=True)
def write_ai_texts() -> None:
    """Note which papers readers will want in a model's words, and ask for some. Nothing waits for it."""
    now = timezone.now()
    began = time.monotonic()
    ai_wishes.note(now=now)
    left = ENRICH_SECONDS - (time.monotonic() - began)
    ai.write_due(now=now, seconds=left, stop=_is_draining)


@shared_task(ignore_result=True)
def refresh_citations() -> None:
    """Ask for the citations that are due."""
    citations.refresh_due(now=timezone.now(), seconds=ENRICH_SECONDS)


@shared_task(ignore_result=True)
def encode_papers() -> None:
    """Make the vectors of recent papers with the model that SEMANTIC_MODEL names."""
    extras.encode_recent(now=timezone.now(), seconds=ENRICH_SECONDS, stop=_is_draining)


@shared_task(ignore_result=True)
def judge_papers() -> None:
    """Let the language model grade the best of the newest papers."""
    extras.judge_recent(now=timezone.now(), seconds=ENRICH_SECONDS, stop=_is_draining)


@shared_task(ignore_result=True)
def learn_from_opinions() -> None:
    """Make models of readers who have said something else since, and weekly the scale of the relevance."""
    now = timezone.now()
    reader_models.learn_due(now=now, seconds=LEARN_SECONDS, stop=_is_draining)
    reader_models.refit_calibration(now=now)


@shared_task(ignore_result=True)
def tend_space() -> None:
    """Train a space of words on this installation's papers once a week, and bring it into use."""
    spaces.tend(now=timezone.now(), seconds=ENRICH_SECONDS)


@shared_task(ignore_result=True)
def sweep() -> None:
    """Heal, expire and complete."""
    outbox.sweep()
