"""From sources to stored papers: who is asked, for which days, and when again.

How one list is read (its pages, its doors, its conditional requests) is the business of `readers`; here it is
only asked for, and what became of it is written down, so that each source fails alone: one that does not
answer, and one that we read wrongly.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from django.db import connection

from digest.models import Batch, Source
from digest.papers import alarms, mentions, sample
from digest.papers.ingest import Ingested
from digest.papers.readers import arxiv, huggingface, plain
from digest.papers.text import spelled_out
from digest.sources.http import Client, SourceError
from digest.sources.registry import KINDS

AFTER_FAILURE = (5, 10, 20, 40, 60)  # minutes, by the number of failures in a row
# A feed is polled hourly at most, whatever it answers, and a dead one ever more seldom.
AFTER_PLAIN_FAILURE = (60, 60, 120, 240, 480, 1440)
CLAIM = timedelta(minutes=10)  # a run that was killed is taken up again after this
# With one more attempt each of these stays under a task's two minutes.
TASK_BUDGET_SECONDS = 50.0  # of waiting, for one source
RUN_SECONDS = 80.0  # for all sources; what is left is the next poke's
FEED_BUDGET_SECONDS = 20.0  # for one of the many
LEAST_SECONDS = 30.0  # without these no further source is begun
START_BUDGET_SECONDS = 30.0  # what a starting service spends on reading days from a source that answers

_LONGEST_ERROR = 1_000
_LOCK = 0x66656564  # "feed": the advisory lock of reading feeds
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

logger = logging.getLogger(__name__)


class Reader(Protocol):
    """How the lists of one kind of source are read; a module of digest.papers.readers."""

    def read(self, source: Source, day: date | None, *, now: datetime, client: Client) -> Ingested:
        """Read and store one day's list, or with None everything that the source has. Raises SourceError."""

    def days_to_read(self, source: Source, *, now: datetime) -> list[date | None]:
        """What a scheduled run at `now` reads, newest first."""

    def next_fetch_at(self, source: Source, *, now: datetime) -> datetime:
        """When a run that went well at `now` is followed by the next."""


# Kinds with a parser need no more than that (digest.sources.registry): `plain` reads them.
READERS: dict[str, Reader] = {"arxiv": arxiv, "huggingface": huggingface}


class UnknownSource(ValueError):
    """No source of that name, or of a kind that cannot be fetched. The message lists those that can."""


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What a starting service has to show. `problem` says why the source gave nothing, when it did not."""

    is_sample: bool
    days: int  # listing days with papers, now
    papers: int
    problem: str = ""


def sources(name: str | None = None) -> list[Source]:
    """The enabled sources that can be fetched, or that one even if disabled. Raises UnknownSource."""
    _add_own()
    able = Source.objects.filter(kind__in=KINDS).order_by("slug")
    if name is None:
        return list(able.filter(enabled=True))
    if found := able.filter(slug=name).first():
        return [found]
    names = ", ".join(able.values_list("slug", flat=True)) or "none"
    raise UnknownSource(f"There is no source {name!r} that can be fetched. There are: {names}.")


def _add_own() -> None:
    """The sources that are there by themselves, each made once: one that is switched off stays so."""
    for name, kind in KINDS.items():
        if kind.url and not Source.objects.filter(slug=name).exists():
            values = {"name": kind.label, "kind": name, "gives": kind.gives, "url": kind.url}
            Source.objects.get_or_create(slug=name, defaults={**values, "next_fetch_at": _LONG_AGO})


# --- one day ------------------------------------------------------------------------------------------------


def reader_of(source: Source) -> Reader:
    return READERS.get(source.kind, plain)


def fetch_day(source: Source, day: date | None, *, now: datetime, client: Client | None = None) -> Ingested:
    """Read the source's list of one day and store it. Twice is safe; the second time only votes may change.

    Sources that have one list for all days are read whole, whatever the day. The first list that a source
    really gives replaces the bundled sample. Whatever goes wrong is noted with the source, and raised:
    SourceError, or a mistake of our own.
    """
    try:
        ingested = reader_of(source).read(source, day, now=now, client=client or Client())
    except SourceError as error:
        _note_failure(source, day, str(error), now=now)
        raise
    except Exception as error:
        _note_failure(source, day, mistake(error), now=now)
        raise
    Source.objects.filter(pk=source.pk).update(last_success_at=now, last_error="", consecutive_failures=0)
    mentions.resolve(now=now)  # a paper that posts have waited for
    return ingested


def mistake(error: Exception) -> str:
    """What an operator is told when it was not the source that went wrong."""
    said = " ".join(str(error).split())[:300]
    return (
        f"Paperboy made a mistake in reading this source ({type(error).__name__}: {said}). "
        "It is asked again later; the log says more."
    )


def _note_failure(source: Source, day: date | None, problem: str, *, now: datetime) -> None:
    _reconnect()
    message = spelled_out(problem)[:_LONGEST_ERROR]  # it may quote what came
    if day is not None:
        for category in source.categories or [""]:
            batch, _created = Batch.objects.get_or_create(source=source, category=category, listing_day=day)
            # A list that was read once keeps its own account; the source has the message.
            Batch.objects.filter(pk=batch.pk, fetched_at=None).update(errors=[message])
    source.consecutive_failures += 1
    Source.objects.filter(pk=source.pk).update(
        last_failure_at=now, last_error=message, consecutive_failures=source.consecutive_failures
    )
    logger.warning("%s, %s: %s", source, day, message)


def _reconnect() -> None:
    """A connection that ended while a source was asked is no use any more, not even for saying so."""
    if not connection.in_atomic_block and not connection.is_usable():
        connection.close()  # the next query opens another


# --- what is due --------------------------------------------------------------------------------------------


def fetch_due(
    *, now: datetime, client: Client | None = None, clock: Callable[[], float] = time.monotonic
) -> list[Ingested]:
    """Read the sources whose time has come, and note when each is next. Beat pokes this every minute.

    One conditional UPDATE claims a source, so two workers never read it at once. Hugging Face and arXiv come
    first, then the others, those that waited longest first; when RUN_SECONDS are nearly over, the rest is
    left unclaimed to the next poke. A source that fails is asked again later (`AFTER_FAILURE`), or when it
    says; the others are not affected.

    Feeds are read by one worker at a time: hundreds that do not answer would keep all workers from the day's
    lists, and from sending.
    """
    _add_own()
    done: list[Ingested] = []
    ends_at = clock() + RUN_SECONDS
    due = list(Source.objects.due(now).filter(kind__in=KINDS).order_by("next_fetch_at", "pk"))
    due.sort(key=lambda source: reader_of(source) is plain)
    with _feeds_turn() as has_turn:
        for source in due:
            is_plain = reader_of(source) is plain
            if is_plain and not has_turn:
                break
            left = ends_at - clock()
            if left < LEAST_SECONDS:
                break
            claim = Source.objects.due(now).filter(pk=source.pk, next_fetch_at=source.next_fetch_at)
            if claim.update(next_fetch_at=now + CLAIM):
                budget = FEED_BUDGET_SECONDS if is_plain else TASK_BUDGET_SECONDS
                own = client or Client(budget_seconds=min(budget, left))
                done += _fetch_source(source, now=now, client=own)
    mentions.resolve(now=now)
    alarms.check(now=now)
    return done


@contextmanager
def _feeds_turn() -> Iterator[bool]:
    """Whether it is ours to read feeds; nobody waits for it. It ends with the connection, too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        (is_ours,) = cursor.fetchone()
    try:
        yield is_ours
    finally:
        if is_ours:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _fetch_source(source: Source, *, now: datetime, client: Client) -> list[Ingested]:
    done: list[Ingested] = []
    reader = reader_of(source)
    try:
        days = reader.days_to_read(source, now=now)
        for day in days:
            done.append(fetch_day(source, day, now=now, client=client))
            if client.is_spent and day != days[-1]:
                next_fetch_at = now  # the rest of the days a minute later
                break
        else:
            next_fetch_at = reader.next_fetch_at(source, now=now)
    except SourceError as error:
        next_fetch_at = _next_after_failure(source, error, now=now)
    except Exception:  # a mistake of ours with one source must not cost the others
        logger.exception("%s could not be read", source)
        next_fetch_at = _next_after_failure(source, None, now=now)
    Source.objects.filter(pk=source.pk).update(next_fetch_at=next_fetch_at)
    return done


def _next_after_failure(source: Source, error: SourceError | None, *, now: datetime) -> datetime:
    waits = AFTER_PLAIN_FAILURE if reader_of(source) is plain else AFTER_FAILURE
    own = now + timedelta(minutes=waits[min(max(source.consecutive_failures, 1), len(waits)) - 1])
    return max(own, error.retry_at) if error and error.retry_at else own


# --- at the start -------------------------------------------------------------------------------------------


def first_fill(*, now: datetime, days: int = huggingface.FILL_DAYS, client: Client | None = None) -> Filled:
    """Papers to show as soon as a service starts: from the source if it answers at once, else the sample.

    Never delays the start: one attempt of at most 5 s, then the sample. A source that answers is read for at
    most 30 s, newest day first; what is missing then is left to the worker (`fetch_due`). With papers already
    there nothing is asked: the worker refreshes them. Twice is safe; a sample that has aged is shifted to
    today again.
    """
    source = Source.objects.get(slug="huggingface")
    if source.batches.filter(is_sample=False, fetched_at__isnull=False, parsed__gt=0).exists():
        return _filled(source)
    starting = client or Client.for_start()
    began = datetime.now(UTC)
    today = now.astimezone(UTC).date()
    problem = ""
    for age in range(days):
        try:
            fetch_day(source, today - timedelta(days=age), now=now, client=starting)
        except SourceError as error:
            problem = str(error)
            break
        if (datetime.now(UTC) - began).total_seconds() > START_BUDGET_SECONDS:
            break
    Source.objects.filter(pk=source.pk).update(
        next_fetch_at=now + timedelta(minutes=AFTER_FAILURE[0]) if problem else now
    )
    if not source.batches.filter(is_sample=False, parsed__gt=0).exists():
        sample.load(now=now, days=days)
    return _filled(source, problem=problem)


def _filled(source: Source, *, problem: str = "") -> Filled:
    batches = list(source.batches.filter(parsed__gt=0).values_list("is_sample", "parsed"))
    return Filled(
        is_sample=any(is_sample for is_sample, _parsed in batches),
        days=len(batches),
        papers=sum(parsed for _is_sample, parsed in batches),
        problem=problem,
    )
