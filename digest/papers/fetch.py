"""From a source to stored papers: which days to ask for, asking, parsing, ingesting, and when to ask next.

A day's list is filled and voted on while the day lasts and gains votes for some days more, so days are read
again:

- today and yesterday at every run: hourly, and three minutes after midnight UTC, so that the day that just
  ended is settled before its edition opens at half past;
- the two days before those every six hours;
- days of the last fortnight that were never read (a new installation, or one that was switched off): once.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from django.conf import settings
from django.db import transaction

from digest.models import Batch, Source
from digest.papers import sample
from digest.papers.ingest import Ingested, ingest, read_again
from digest.sources import huggingface
from digest.sources.http import Answer, Client, SourceError
from digest.sources.records import NotAList, Parsed, joined, same_entry

REREAD_DAYS = 3  # days before today that are read again
FILL_DAYS = 14
EVERY = timedelta(hours=1)
OLDER_EVERY = timedelta(hours=6)
AFTER_MIDNIGHT = timedelta(minutes=3)
AFTER_FAILURE = (5, 10, 20, 40, 60)  # minutes, by the number of failures in a row
CLAIM = timedelta(minutes=10)  # a run that was killed is taken up again after this
TASK_BUDGET_SECONDS = 50.0  # of waiting; with one more attempt it stays under a task's two minutes
START_BUDGET_SECONDS = 30.0  # what a starting service spends on reading days from a source that answers

_LIMIT = 100  # entries a page; the server's default of 50 has cut days off
_HIGHER_LIMIT = 500
_MOST_PAGES = 20
_LONGEST_ERROR = 1_000

logger = logging.getLogger(__name__)


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
    able = Source.objects.filter(kind__in=_READERS).order_by("slug")
    if name is None:
        return list(able.filter(enabled=True))
    if found := able.filter(slug=name).first():
        return [found]
    names = ", ".join(able.values_list("slug", flat=True)) or "none"
    raise UnknownSource(f"There is no source {name!r} that can be fetched. There are: {names}.")


# --- one day ------------------------------------------------------------------------------------------------


def fetch_day(source: Source, day: date, *, now: datetime, client: Client | None = None) -> Ingested:
    """Read the source's list of one day and store it. Twice is safe; the second time only votes may change.

    The first list that a source really gives replaces the bundled sample.
    Raises SourceError, after writing it down in the batch and the source.
    """
    read = _READERS[Source.Kind(source.kind)]
    try:
        ingested = read(source, day, now=now, client=client or Client())
    except SourceError as error:
        _note_failure(source, day, error, now=now)
        raise
    Source.objects.filter(pk=source.pk).update(last_success_at=now, last_error="", consecutive_failures=0)
    return ingested


def _fetch_huggingface_day(source: Source, day: date, *, now: datetime, client: Client) -> Ingested:
    address = (source.url or settings.HUGGINGFACE_URL).rstrip("/") + huggingface.PATH
    batch = Batch.objects.filter(source=source, category="", listing_day=day, is_sample=False).first()
    has_list = batch is not None and batch.fetched_at is not None
    try:
        first = client.get(
            address,
            params={"date": day.isoformat(), "limit": _LIMIT, "p": 0},
            etag=batch.etag if batch and has_list else "",
            last_modified=batch.last_modified if batch and has_list else "",
        )
    except SourceError as error:
        # What it answers for a day without papers is not documented; 400 and 404 may be it.
        if error.status not in (400, 404) or not _may_be_empty(day, now):
            raise
        first = Answer(url=address, status=200, body=b"[]")
    if batch and first.is_unchanged:
        return read_again(batch, now=now)
    pages = _pages(address, day, first, client)
    digest = hashlib.sha256(b"\n".join(answer.body for answer, _page in pages)).hexdigest()
    if batch and has_list and batch.payload_sha256 == digest:
        return read_again(batch, now=now)
    parsed = joined([page for _answer, page in pages])
    if not parsed.declared and not _may_be_empty(day, now):
        note = f"{day:%A} {day} is over and its list is empty: a holiday, or trouble at the source."
        parsed = replace(parsed, notes=(*parsed.notes, note))
    # With more than one page the first one's ETag does not speak for the others.
    is_single = len(pages) == 1
    with transaction.atomic():
        if parsed.records:
            sample.discard()
        elif stand_in := Batch.objects.filter(source=source, listing_day=day, is_sample=True).first():
            return _nothing_in_place_of(stand_in, parsed)
        return ingest(
            parsed,
            source=source,
            listing_day=day,
            now=now,
            etag=first.etag if is_single else "",
            last_modified=first.last_modified if is_single else "",
            payload_sha256=digest,
        )


def _nothing_in_place_of(stand_in: Batch, parsed: Parsed) -> Ingested:
    """A source that answers without papers has nothing to put in the sample's place, so the sample stays."""
    return Ingested(
        batch=stand_in,
        declared=parsed.declared,
        parsed=0,
        new=0,
        updated=0,
        rejected=len(parsed.rejected),
        errors=(*(one.problem for one in parsed.rejected), *parsed.notes),
    )


def _pages(address: str, day: date, first: Answer, client: Client) -> list[tuple[Answer, Parsed]]:
    """The pages of a day's list that brought something, from the first one on.

    Asks on until a page brings nothing new: how long a page is says nothing about the end. A server that
    stops at its default of 50 and knows no `p` is asked for more at once.
    """
    page = _parsed(first, day)
    pages = [(first, page)]
    seen = {same_entry(record) for record in page.records}

    def ask(limit: int, number: int) -> bool:
        answer = client.get(address, params={"date": day.isoformat(), "limit": limit, "p": number})
        further = _parsed(answer, day)
        fresh = {same_entry(record) for record in further.records} - seen
        if fresh:
            seen.update(fresh)
            pages.append((answer, further))
        return bool(fresh)

    if page.declared:
        number = 1
        while number < _MOST_PAGES and ask(_LIMIT, number):
            number += 1
        if page.declared == huggingface.DEFAULT_LIMIT and len(pages) == 1:
            ask(_HIGHER_LIMIT, 0)
    return pages


def _parsed(answer: Answer, day: date) -> Parsed:
    try:
        return huggingface.parse(answer.body, day)
    except NotAList as error:
        raise SourceError(
            f"The answer is {error} (GET {answer.url}). Check HUGGINGFACE_URL: it is the root of "
            "the address, without the path."
        ) from error


def _may_be_empty(day: date, now: datetime) -> bool:
    """Nobody can submit papers on weekends (huggingface_hub issue 2745), nor on a day that hardly began."""
    return day.weekday() >= 5 or day >= now.astimezone(UTC).date()


def _note_failure(source: Source, day: date, error: SourceError, *, now: datetime) -> None:
    message = str(error)[:_LONGEST_ERROR]
    batch, _created = Batch.objects.get_or_create(source=source, category="", listing_day=day)
    if (
        batch.fetched_at is None
    ):  # a list that was read once keeps its own account; the source has the message
        Batch.objects.filter(pk=batch.pk).update(errors=[message])
    source.consecutive_failures += 1
    Source.objects.filter(pk=source.pk).update(
        last_failure_at=now, last_error=message, consecutive_failures=source.consecutive_failures
    )
    logger.warning("%s, %s: %s", source, day, message)


_READERS: dict[Source.Kind, Callable[..., Ingested]] = {Source.Kind.HUGGINGFACE: _fetch_huggingface_day}


# --- what is due --------------------------------------------------------------------------------------------


def fetch_due(*, now: datetime, client: Client | None = None) -> list[Ingested]:
    """Read every source whose time has come, and note when each is next. Beat pokes this every minute.

    One conditional UPDATE claims a source, so two workers never read it at once. A source that fails is asked
    again after 5, 10, 20, 40, then 60 minutes, or when it says; the others are not affected.
    """
    done: list[Ingested] = []
    for source in Source.objects.due(now).filter(kind__in=_READERS).order_by("next_fetch_at", "pk"):
        claim = Source.objects.due(now).filter(pk=source.pk, next_fetch_at=source.next_fetch_at)
        if claim.update(next_fetch_at=now + CLAIM):
            own = client or Client(budget_seconds=TASK_BUDGET_SECONDS)
            done += _fetch_source(source, now=now, client=own)
    return done


def _fetch_source(source: Source, *, now: datetime, client: Client) -> list[Ingested]:
    done: list[Ingested] = []
    next_fetch_at = _next_after_success(now)
    for day in days_to_read(source, now=now):
        try:
            done.append(fetch_day(source, day, now=now, client=client))
        except SourceError as error:
            next_fetch_at = _next_after_failure(source, error, now=now)
            break
        if client.is_spent:
            next_fetch_at = now  # the rest of the days a minute later
            break
    Source.objects.filter(pk=source.pk).update(next_fetch_at=next_fetch_at)
    return done


def days_to_read(source: Source, *, now: datetime) -> list[date]:
    """The listing days that a run at `now` reads, newest first."""
    today = now.astimezone(UTC).date()
    read_at: dict[date, datetime | None] = dict(
        source.batches.filter(listing_day__gt=today - timedelta(days=FILL_DAYS), is_sample=False).values_list(
            "listing_day", "fetched_at"
        )
    )
    days = []
    for age in range(FILL_DAYS):
        day = today - timedelta(days=age)
        last = read_at.get(day)
        is_due = age <= 1 or last is None or (age <= REREAD_DAYS and now - last >= OLDER_EVERY)
        if is_due:
            days.append(day)
    return days


def _next_after_success(now: datetime) -> datetime:
    midnight = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), tzinfo=UTC)
    return min(now + EVERY, midnight + AFTER_MIDNIGHT)


def _next_after_failure(source: Source, error: SourceError, *, now: datetime) -> datetime:
    minutes = AFTER_FAILURE[min(source.consecutive_failures, len(AFTER_FAILURE)) - 1]
    own = now + timedelta(minutes=minutes)
    return max(own, error.retry_at) if error.retry_at else own


# --- at the start -------------------------------------------------------------------------------------------


def first_fill(*, now: datetime, days: int = FILL_DAYS, client: Client | None = None) -> Filled:
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
