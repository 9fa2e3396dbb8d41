"""Hugging Face Daily Papers, a day at a time: which days, all pages of one, and an empty list's meaning.

A day's list is filled and voted on while the day lasts and gains votes for some days more, so days are read
again:

- today and yesterday at every run: hourly, and three minutes after midnight UTC, so that the day that just
  ended is settled before its edition opens at half past;
- the two days before those every six hours;
- days of the last fortnight that were never read (a new installation, or one that was switched off): once.
"""

import hashlib
from dataclasses import replace
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
OLDEST_EVERY = timedelta(hours=24)  # of the days that are filled: votes of papers that rise late
AFTER_MIDNIGHT = timedelta(minutes=3)

_LIMIT = 100  # entries a page; the server's default of 50 has cut days off
_HIGHER_LIMIT = 500
_MOST_PAGES = 20


def days_to_read(source: Source, *, now: datetime) -> list[date | None]:
    """The listing days that a run at `now` reads, newest first."""
    today = now.astimezone(UTC).date()
    read_at: dict[date, datetime | None] = dict(
        source.batches.filter(listing_day__gt=today - timedelta(days=FILL_DAYS), is_sample=False).values_list(
            "listing_day", "fetched_at"
        )
    )
    days: list[date | None] = []
    for age in range(FILL_DAYS):
        day = today - timedelta(days=age)
        last = read_at.get(day)
        every = OLDER_EVERY if age <= REREAD_DAYS else OLDEST_EVERY
        if age <= 1 or last is None or now - last >= every:
            days.append(day)
    return days


def next_fetch_at(source: Source, *, now: datetime) -> datetime:
    midnight = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), tzinfo=UTC)
    return min(now + EVERY, midnight + AFTER_MIDNIGHT)


def read(source: Source, day: date | None, *, now: datetime, client: Client) -> Ingested:
    """Read the list of one day and store it. The first one with papers replaces the bundled sample.

    Raises SourceError.
    """
    assert day is not None, "Hugging Face is asked by day"
    # The settings are trusted; what stands in the source's row was typed in the admin.
    client = client.public_only() if source.url else client
    address = (source.url or settings.HUGGINGFACE_URL).rstrip("/") + huggingface.PATH
    batch = Batch.objects.filter(source=source, category="", listing_day=day, is_sample=False).first()
    has_list = batch is not None and batch.fetched_at is not None
    try:
        first = client.get(
            address,
            params={"date": day.isoformat(), "limit": _LIMIT, "p": 0},
            etag=batch.etag if batch and has_list else "",
            last_modified=batch.last_modified if batch and has_list else "",
            largest=huggingface.LARGEST,
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
            door="api",
            etag=first.etag if is_single else "",
            last_modified=first.last_modified if is_single else "",
            payload_sha256=digest,
        )


def _nothing_in_place_of(stand_in: Batch, parsed: Parsed) -> Ingested:
    """A source that answers without papers has nothing to put in the sample's place, so the sample stays."""
    return Ingested(
        batches=(stand_in,),
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
        params: dict[str, str | int] = {"date": day.isoformat(), "limit": limit, "p": number}
        answer = client.get(address, params=params, largest=huggingface.LARGEST)
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
