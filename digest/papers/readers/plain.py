"""Every kind of source that needs no more than a parser: one address, one request, its records stored.

Feeds above all. They are asked hourly at most, and conditionally: a feed that has not changed costs its
server a line. One that says it is gone for good (410) is switched off, with an alarm; one that has moved for
good (301, 308) is asked at its new address from then on.
"""

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus

from django.db import transaction

from digest.models import Alarm, Batch, Paper, Sighting, Source
from digest.papers import alarms, mentions, merging
from digest.papers.identity import NoIdentity, identify
from digest.papers.ingest import Ingested, ingest, ingest_all_days, read_again, settle
from digest.sources import plaintext, posts
from digest.sources.http import Answer, Client, SourceError
from digest.sources.records import NotAList, PaperRecord, Parsed
from digest.sources.registry import KINDS
from digest.sources.request import Request

EVERY = timedelta(hours=1)
REREAD_DAYS = 2  # of kinds that are asked by day: today, and days whose last entries came late
LONGEST_ADDRESS = 500  # of the source's row


def days_to_read(source: Source, *, now: datetime) -> list[date | None]:
    """Everything at once; of kinds that are asked by day today and the two days before it."""
    if not KINDS[source.kind].by_day:
        return [None]
    today = now.astimezone(UTC).date()
    return [today - timedelta(days=age) for age in range(REREAD_DAYS + 1)]


def next_fetch_at(source: Source, *, now: datetime) -> datetime:
    return now + EVERY


def read(source: Source, day: date | None, *, now: datetime, client: Client) -> Ingested:
    """Read what the source has, of `day` where it is asked by day, and store it. Raises SourceError."""
    kind = KINDS[source.kind]
    assert kind.parse is not None, f"{source.kind} has a reader of its own"
    today = now.astimezone(UTC).date()
    asked_day = day or today
    before = _last_answer(source, asked_day)
    request = kind.request(source.url, asked_day)
    asking = client.public_only() if kind.is_typed else client
    try:
        answer = asking.get(
            request.url,
            params=request.params,
            accept=request.accept,
            etag=before.etag if before else "",
            last_modified=before.last_modified if before else "",
            largest=request.largest,
        )
    except SourceError as error:
        if error.status == HTTPStatus.GONE:
            _switch_off(source, error, now=now)
        raise
    digest = hashlib.sha256(answer.body).hexdigest()
    is_same = answer.is_unchanged or (before is not None and before.payload_sha256 == digest)
    with transaction.atomic():
        merging.lock()  # before any row, as every run does: two of them never wait for each other in a circle
        if is_same:
            ingested = _unchanged(source, asked_day, now=now)
        else:
            ingested = _store(source, asked_day, answer, digest, now=now)
        _remember(source, request, answer, digest if answer.body else "")
    alarms.clear(_gone(source), now=now)
    return ingested


# --- what was answered last time ----------------------------------------------------------------------------


def _last_answer(source: Source, day: date) -> Source | Batch | None:
    """Where the last answer's marks are kept; None where nothing was ever read."""
    if not KINDS[source.kind].by_day:
        was_read = source.batches.filter(fetched_at__isnull=False).exists()
        return source if was_read and source.payload_sha256 else None
    return source.batches.filter(category="", listing_day=day, fetched_at__isnull=False).first()


def _unchanged(source: Source, day: date, *, now: datetime) -> Ingested:
    """The same answer again: nothing to store but when it came."""
    lists = source.batches.filter(category="", fetched_at__isnull=False)
    if KINDS[source.kind].by_day:
        lists = lists.filter(listing_day=day)
    batch = lists.order_by("-fetched_at", "-listing_day")[0]
    if not KINDS[source.kind].by_day:
        settle(source, now=now)
        batch.refresh_from_db()
    return read_again(batch, now=now)


def _remember(source: Source, request: Request, answer: Answer, digest: str) -> None:
    """The marks for the next conditional request, and the address if it has moved for good."""
    changes = {}
    if not KINDS[source.kind].by_day and digest:
        changes = {
            "etag": answer.etag if len(answer.etag) <= 250 else "",  # half a mark matches nothing
            "last_modified": answer.last_modified[:100],
            "payload_sha256": digest,
        }
    # Where the kind makes the request's address out of the source's, the new one is not the source's.
    is_own = request.url == source.url and not request.params
    if is_own and answer.moved_to and len(answer.moved_to) <= LONGEST_ADDRESS:
        changes["url"] = answer.moved_to
    if changes:
        Source.objects.filter(pk=source.pk).update(**changes)


def _switch_off(source: Source, error: SourceError, *, now: datetime) -> None:
    Source.objects.filter(pk=source.pk).update(enabled=False)
    alarms.raise_(
        _gone(source),
        kind=Alarm.Kind.GONE,
        source=source,
        message=f"{source.name} says that it is gone for good (410) and was switched off. Its papers stay. "
        f"If it lives on at another address, write that into its row and switch it on again. {error}",
        now=now,
    )


def _gone(source: Source) -> str:
    return f"gone:{source.slug}"


# --- storing ------------------------------------------------------------------------------------------------


def _store(source: Source, day: date, answer: Answer, digest: str, *, now: datetime) -> Ingested:
    kind = KINDS[source.kind]
    assert kind.parse is not None
    try:
        parsed = kind.parse(answer.body, day)
    except NotAList as error:
        raise SourceError(
            f"The answer is {error} (GET {answer.url}). Check the source's address in the admin."
        ) from error
    records = tuple(_of_source(record, source, answer) for record in parsed.records)
    parsed = _without_old_news(replace(parsed, records=records), source)
    if kind.by_day:
        ingested = ingest(
            parsed,
            source=source,
            listing_day=day,
            now=now,
            door=source.kind,
            etag=answer.etag,
            last_modified=answer.last_modified,
            payload_sha256=digest,
        )
    else:
        ingested = ingest_all_days(parsed, source=source, now=now, door=source.kind)
    mentions.note(records, source=source, now=now)
    return ingested


def _of_source(record: PaperRecord, source: Source, answer: Answer) -> PaperRecord:
    """The record with what only we know: what the source gives, and where a relative address begins.

    An entry whose own address is that of a paper is that paper.
    """
    url = plaintext.absolute(record.url, base=answer.final_url) if record.url else ""
    page = plaintext.absolute(record.source_url, base=answer.final_url) if record.source_url else url
    scheme, _, value = mentions.key_of(url).partition(":")
    arxiv_id = record.arxiv_id or (value if scheme == "arxiv" else "")
    doi = record.doi or (value if scheme == "doi" else "")
    says_kind = record.kind != Paper.Kind.PAPER
    return replace(
        record,
        url=url,
        source_url=page,
        arxiv_id=arxiv_id,
        doi=doi,
        kind=Paper.Kind.PAPER if arxiv_id or doi else record.kind if says_kind else source.gives,
    )


def _without_old_news(parsed: Parsed, source: Source) -> Parsed:
    """Without notes that were told at an earlier reading: a day is not incomplete because of them."""
    if not source.payload_sha256:
        return parsed
    notes = [note for note in parsed.notes if not posts.is_lasting(note)]
    if any(map(posts.is_about_dates, notes)):
        keys = set()
        for record in parsed.records:
            if record.published_at is None:
                try:
                    keys.add(identify(arxiv_id=record.arxiv_id, doi=record.doi, url=record.url).key)
                except NoIdentity:
                    continue
        known = Sighting.objects.filter(source=source, paper__key__in=keys).values("paper").distinct().count()
        if known == len(keys):
            notes = [note for note in notes if not posts.is_about_dates(note)]
    return replace(parsed, notes=tuple(notes))
