"""arXiv, a listing day at a time: through the announcement feed while it shows the day, else through OAI-PMH.

The feed is the daily door: one request for all categories. It shows one day only, from midnight in New York
on, and is asked from 05:30 UTC. What can go wrong with it, and what is done then:

- It shows an older day (a cache that is stale, or arXiv is late): nothing is stored as the day that was asked
  for; the older day is stored as itself if it was never read. Asked again after half an hour; from noon UTC
  on OAI-PMH is asked instead.
- arXiv does not take one of the categories, or cuts the list at 2,000 entries, or its markup breaks: each
  category is asked for alone. One that fails fails alone; one that is cut itself is read through OAI-PMH.
- It shows no entries on a day that should have some: stored as empty, but not as complete; the next run asks
  again, and after the day OAI-PMH has the last word.

A day that is gone from the feed is a gap: OAI-PMH is harvested for it, category by category. It knows records
by their last change, so a paper that was revised since is found under the later day: the sooner a gap is
filled the better. If that fails too, an alarm says which door failed why.
"""

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from weakref import WeakKeyDictionary

from django.db import transaction
from django.db.models import Count

from digest.models import Alarm, Batch, Sighting, Source
from digest.papers import alarms, merging, sample
from digest.papers.ingest import Ingested, ingest
from digest.sources.arxiv import calendar, doors, rss, taxonomy
from digest.sources.http import Client, SourceError
from digest.sources.records import PaperRecord, Parsed

FILL_DAYS = 14
EVERY = timedelta(hours=1)
STALE_AGAIN = timedelta(minutes=30)
LONGEST_RUN_SECONDS = 60.0  # then what was read is stored, and the next run goes on

_TIME_IS_OVER = "The time of this run was over; the next one reads it."
_NOT_WHOLE = "What could be had of the list is stored; the rest is asked for again."
_OUTWEIGHS = (rss.NEW, rss.CROSS, rss.REPLACE, rss.REPLACE_CROSS, "")

# The day that the feed showed to a run: a run that fills gaps need not ask it again for each of them.
_shown: WeakKeyDictionary[Client, date] = WeakKeyDictionary()


@dataclass(kw_only=True)
class _List:
    """What was read of one day, and of which categories; `failed` says of the others why not."""

    day: date
    door: str
    parsed: Parsed
    read: list[str]
    failed: dict[str, str] = field(default_factory=dict)
    is_whole: bool = True
    etag: str = ""
    payload_sha256: str = ""


# --- when ---------------------------------------------------------------------------------------------------


def days_to_read(source: Source, *, now: datetime) -> list[date | None]:
    """Today's list once it is due, and the weekdays of the last fortnight that were not read completely.

    Today is New York's. A category that is not known here makes no day incomplete: it may be a mistake.
    """
    today = calendar.today(now)
    asked = _categories(source)
    wanted = [code for code in asked if code in taxonomy.CATEGORIES or taxonomy.is_archive(code)] or asked
    settled = set(
        source.batches.filter(
            listing_day__gt=today - timedelta(days=FILL_DAYS), settled_at__isnull=False, is_sample=False
        ).values_list("category", "listing_day")
    )
    days = (today - timedelta(days=age) for age in range(FILL_DAYS))
    return [
        day
        for day in days
        if not calendar.is_weekend(day)
        and now >= calendar.due_at(day)
        and any((category, day) not in settled for category in wanted)
    ]


def next_fetch_at(source: Source, *, now: datetime) -> datetime:
    """In an hour while something is missing, else when the next list is due."""
    if days_to_read(source, now=now):
        return now + EVERY
    day = calendar.today(now)
    while calendar.is_weekend(day) or calendar.due_at(day) <= now:
        day += timedelta(days=1)
    return calendar.due_at(day)


# --- one day ------------------------------------------------------------------------------------------------


def read(source: Source, day: date | None, *, now: datetime, client: Client) -> Ingested:
    """Read and store the list of one day, by whatever door has it. Twice is safe.

    A day whose list is not due yet is no failure: nothing is stored and `errors` says when it comes. Raises
    SourceError, with `retry_at` where the feed is stale or arXiv wants to be left alone.
    """
    assert day is not None, "arXiv is asked by day"
    asked = _categories(source)
    if not asked:
        raise SourceError(
            f"{source.name} has no categories to read. Choose some in the admin, such as cs.CL."
        )
    today = calendar.today(now)
    is_due = day < today or (day == today and now >= calendar.due_at(day))
    problems = []
    if client not in _shown or day >= _shown[client]:
        try:
            feed = _feeds(source, asked, day, client=client)
        except SourceError as error:
            if not is_due:
                raise
            problems.append(f"The feed: {error}")
        else:
            _shown[client] = feed.day
            if feed.day == day:
                return _store_feed(source, feed, now=now)
            if feed.day < day:
                _store_older(source, feed, now=now)
                if not is_due:
                    return _not_yet(source, asked, day)
                problems.append(_stale(source, feed.day, day, now=now))
    if not is_due:
        return _not_yet(source, asked, day)
    if calendar.is_weekend(day):
        return _store(source, _List(day=day, door="", parsed=Parsed(declared=0), read=asked), now=now)
    return _fill(source, asked, day, problems, now=now, client=client)


def _categories(source: Source) -> list[str]:
    return list(dict.fromkeys(code for one in source.categories if (code := taxonomy.spelled(one))))


def _not_yet(source: Source, asked: Sequence[str], day: date) -> Ingested:
    said = (
        f"The list of {day:%A} {day} comes at {calendar.due_at(day):%H:%M} UTC of that day, if there is one."
    )
    batch = Batch(source=source, category=asked[0], listing_day=day)  # not stored: there is nothing to say
    return Ingested(batches=(batch,), declared=0, parsed=0, new=0, updated=0, rejected=0, errors=(said,))


def _stale(source: Source, shown: date, day: date, *, now: datetime) -> str:
    """The feed shows an older day than it should: an alarm; SourceError unless OAI-PMH's time has come."""
    message = f"{source.name}: the feed still shows {shown:%A} {shown} instead of {day:%A} {day}."
    if calendar.is_expected(day):
        alarms.raise_(
            _key(Alarm.Kind.STALE, source, day),
            kind=Alarm.Kind.STALE,
            source=source,
            listing_day=day,
            message=f"{message} It is asked again every half an hour, and OAI-PMH from "
            f"{calendar.given_up_at(day):%H:%M} UTC on. See https://status.arxiv.org.",
            now=now,
        )
    if day == calendar.today(now) and now < calendar.given_up_at(day) and not calendar.is_weekend(day):
        raise SourceError(f"{message} Nothing is stored for that day yet.", retry_at=now + STALE_AGAIN)
    return message


# --- the feed -----------------------------------------------------------------------------------------------


def _feeds(source: Source, asked: list[str], day: date, *, client: Client) -> _List:
    """The list that the feed shows, whatever its day: all categories at once, each alone where that fails."""
    failed = {code: _no_category(code) for code in asked if not _is_askable(code)}
    able = [code for code in asked if code not in failed]
    if not able:
        raise SourceError(" ".join(failed.values()))
    try:
        announced, answer = doors.announcement(client, able, address=source.url)
    except doors.Refused as error:
        if len(able) == 1:
            raise
        problem = str(error)
    else:
        if announced.is_whole and not announced.is_cut:
            return _List(
                day=announced.day,
                door="rss",
                parsed=announced.parsed,
                read=able,
                failed=failed,
                etag=answer.etag,
                payload_sha256=hashlib.sha256(answer.body).hexdigest(),
            )
        if len(able) == 1:
            return _through_oai(source, announced, able, asked, failed, client=client)
        problem = ""
    return _each_alone(source, able, asked, day, failed, problem, client=client)


def _each_alone(
    source: Source,
    able: list[str],
    asked: list[str],
    day: date,
    failed: dict[str, str],
    problem: str,
    *,
    client: Client,
) -> _List:
    lists: list[_List] = []
    settled = _settled(source, day)
    began = time.monotonic()
    for code in [code for code in able if code not in settled] or able:
        if lists and time.monotonic() - began > LONGEST_RUN_SECONDS:
            failed[code] = _TIME_IS_OVER
            continue
        try:
            announced, _answer = doors.announcement(client, [code], address=source.url)
            if announced.is_whole and not announced.is_cut:
                lists.append(_List(day=announced.day, door="rss", parsed=announced.parsed, read=[code]))
            else:
                lists.append(_through_oai(source, announced, [code], asked, {}, client=client))
        except SourceError as error:
            if error.retry_at is not None:  # arXiv wants to be left alone: the others would fare no better
                raise
            failed[code] = str(error)
    if not lists:
        raise SourceError(problem or " ".join(dict.fromkeys(failed.values())))
    days = {one.day for one in lists}
    shown = day if day in days else max(days)
    for one in lists:
        if one.day != shown:  # midnight passed while we asked
            failed[one.read[0]] = f"The feed of {one.read[0]} still shows {one.day}."
        else:
            failed |= one.failed
    same_day = [one for one in lists if one.day == shown]
    return _List(
        day=shown,
        door="rss+oai" if any(one.door != "rss" for one in same_day) else "rss",
        parsed=_merged([one.parsed for one in same_day]),
        read=[code for one in same_day for code in one.read],
        failed=failed,
        is_whole=all(one.is_whole for one in same_day),
    )


def _through_oai(
    source: Source,
    announced: rss.Announcement,
    codes: list[str],
    asked: list[str],
    failed: dict[str, str],
    *,
    client: Client,
) -> _List:
    """A feed that is cut at 2,000 entries, or breaks, with what OAI-PMH has of its category."""
    one = _List(day=announced.day, door="rss+oai", parsed=announced.parsed, read=codes, failed=dict(failed))
    try:
        harvested = doors.harvest(client, codes[0], announced.day, asked=asked)
    except SourceError as error:
        one.door, one.is_whole = "rss", False
        what = f"cut at {rss.CUT:,} entries" if announced.is_cut else "broken in the middle"
        note = f"The feed of {codes[0]} is {what}, and OAI-PMH failed: {error}"
        one.parsed = replace(announced.parsed, notes=(*announced.parsed.notes, note))
        return one
    readable = replace(announced.parsed, rejected=announced.parsed.rejected if announced.is_whole else ())
    readable = replace(readable, declared=len(readable.records) + len(readable.rejected))
    one.parsed = _merged([readable, _unlisted_before(source, harvested, announced.day)])
    return one


def _merged(lists: Sequence[Parsed]) -> Parsed:
    """Several feeds of one day as one list: of a paper that is in two, the word that makes it a new one."""
    records: dict[str, PaperRecord] = {}
    rejected = []
    declared = 0
    for one in lists:
        repeated = 0
        for record in one.records:
            here = replace(record, position=declared + record.position)
            other = records.get(record.arxiv_id)
            repeated += other is not None
            if other is None or _weight(here) < _weight(other):
                records[record.arxiv_id] = here
        rejected += [replace(entry, position=declared + entry.position) for entry in one.rejected]
        declared += one.declared - repeated
    notes = dict.fromkeys(note for one in lists for note in one.notes)
    return Parsed(
        declared=declared, records=tuple(records.values()), rejected=tuple(rejected), notes=tuple(notes)
    )


def _weight(record: PaperRecord) -> int:
    return _OUTWEIGHS.index(record.announce_type)


def _is_askable(code: str) -> bool:
    return taxonomy.is_category(code) or taxonomy.is_archive(code)


def _no_category(code: str) -> str:
    return f"{code!r} is no category of arXiv: choose others in the admin, such as cs.CL."


# --- OAI-PMH ------------------------------------------------------------------------------------------------


def _fill(
    source: Source, asked: list[str], day: date, problems: list[str], *, now: datetime, client: Client
) -> Ingested:
    """Read a day that the feed does not show. Categories that were read completely are left as they are."""
    settled = _settled(source, day)
    may_gain = [code for code, is_last_word in settled.items() if not is_last_word]
    pending = [code for code in asked if code not in settled] or [code for code in asked if code in may_gain]
    if not pending:
        return _complete(source, asked, day)
    failed: dict[str, str] = {}
    found: dict[str, Parsed] = {}
    retry_at = None
    began = time.monotonic()
    for code in pending:
        if not _is_askable(code):
            failed[code] = _no_category(code)
        elif retry_at is not None:
            failed[code] = f"OAI-PMH is not asked before {retry_at:%H:%M} UTC."
        elif found and time.monotonic() - began > LONGEST_RUN_SECONDS:
            failed[code] = _TIME_IS_OVER
        else:
            try:
                found[code] = doors.harvest(client, code, day, asked=asked)
            except SourceError as error:
                retry_at = error.retry_at
                failed[code] = f"OAI-PMH: {error}"
    if not found:
        _raise_gap(source, "", day, [*problems, *failed.values()], now=now)
        raise SourceError(" ".join(dict.fromkeys([*problems, *failed.values()])), retry_at=retry_at)
    parsed = _unlisted_before(source, _merged(list(found.values())), day)
    for code, problem in failed.items():
        _raise_gap(source, code, day, [*problems, problem], now=now)
    one = _List(day=day, door="oai", parsed=parsed, read=list(found), failed=failed)
    # While the day lasts, a late announcement may still come, and the feed may show it after all.
    return _store(source, one, now=now, is_final=day < calendar.today(now))


def _settled(source: Source, day: date) -> dict[str, bool]:
    """The categories of which the day's list was read to its end, and whether nothing better can be had.

    OAI-PMH forgets with time: of a list that the feed gave it can only know less. One that OAI-PMH itself
    gave, that was empty, or that had broken entries, may be worth asking for again.
    """
    batches = source.batches.filter(
        listing_day=day, settled_at__isnull=False, fetched_at__isnull=False, is_sample=False
    )
    return {
        batch.category: batch.door.startswith("rss") and batch.declared > 0 and not batch.rejected
        for batch in batches
    }


def _complete(source: Source, asked: Sequence[str], day: date) -> Ingested:
    """The account of a day that was read completely before, as it stands."""
    batches = tuple(source.batches.filter(listing_day=day, category__in=asked).order_by("category"))
    papers = Sighting.objects.filter(batch__in=batches).aggregate(papers=Count("paper", distinct=True))[
        "papers"
    ]
    return Ingested(batches=batches, declared=papers, parsed=papers, new=0, updated=0, rejected=0)


def _unlisted_before(source: Source, parsed: Parsed, day: date) -> Parsed:
    """Without papers that arXiv listed on an earlier day: OAI-PMH has them again after any small change."""
    ids = [record.arxiv_id for record in parsed.records if record.is_listing]
    listed = set(
        Sighting.objects.filter(
            source=source, is_listing=True, listing_day__lt=day, paper__arxiv_id__in=ids
        ).values_list("paper__arxiv_id", flat=True)
    )
    kept = tuple(
        record for record in parsed.records if not record.is_listing or record.arxiv_id not in listed
    )
    return replace(parsed, records=kept, declared=parsed.declared - (len(parsed.records) - len(kept)))


def _raise_gap(source: Source, category: str, day: date, problems: Iterable[str], *, now: datetime) -> None:
    if not calendar.is_expected(day) or now < calendar.given_up_at(day):
        return  # nothing is missing, or today's list may still come
    name = f"{source.name} {category}".rstrip()
    alarms.raise_(
        _key(Alarm.Kind.GAP, source, day, category=category),
        kind=Alarm.Kind.GAP,
        source=source,
        category=category,
        listing_day=day,
        message=f"{name}: the list of {day:%A} {day} could not be read. {' '.join(dict.fromkeys(problems))} "
        f"Read it again: manage.py fetch_papers --source {source.slug} --date {day}.",
        now=now,
    )


# --- storing ------------------------------------------------------------------------------------------------


def _store_feed(source: Source, feed: _List, *, now: datetime) -> Ingested:
    is_suspicious = not feed.parsed.declared and calendar.is_expected(feed.day)
    return _store(source, feed, now=now, is_final=feed.is_whole and not is_suspicious)


def _store_older(source: Source, feed: _List, *, now: datetime) -> None:
    """The feed shows an older day: keep it, if it was never read, while it can be had."""
    read_before = set(
        source.batches.filter(
            listing_day=feed.day, category__in=feed.read, fetched_at__isnull=False, is_sample=False
        ).values_list("category", flat=True)
    )
    if feed.parsed.records and not read_before.issuperset(feed.read):
        _store_feed(source, feed, now=now)


def _store(source: Source, one: _List, *, now: datetime, is_final: bool = True) -> Ingested:
    with transaction.atomic():
        merging.lock()  # before any row, as every run does: two of them never wait for each other in a circle
        if one.parsed.records:
            sample.discard()
        for code, problem in one.failed.items():
            batch, _created = Batch.objects.get_or_create(source=source, category=code, listing_day=one.day)
            # A list that was read once keeps its own account.
            Batch.objects.filter(pk=batch.pk, fetched_at=None).update(errors=[problem], door=one.door[:20])
        ingested = ingest(
            one.parsed,
            source=source,
            listing_day=one.day,
            now=now,
            categories=one.read,
            door=one.door,
            is_final=is_final,
            etag=one.etag,
            payload_sha256=one.payload_sha256,
        )
        _weigh(source, one, now=now)
    unread = [*one.failed.values(), *([] if one.is_whole else [_NOT_WHOLE])]
    return replace(ingested, unread=tuple(unread))


def _weigh(source: Source, one: _List, *, now: datetime) -> None:
    """Alarms that this reading ends, and the one that it may raise."""
    if one.parsed.declared or one.door == "rss" or not calendar.is_expected(one.day):
        alarms.clear(_key(Alarm.Kind.STALE, source, one.day), now=now)
    for category in ("", *one.read):
        if category or not one.failed:
            alarms.clear(_key(Alarm.Kind.GAP, source, one.day, category=category), now=now)
    key = _key(Alarm.Kind.EMPTY, source, one.day)
    if one.parsed.declared or not calendar.is_expected(one.day) or one.failed:
        alarms.clear(key, now=now)
        return
    alarms.raise_(
        key,
        kind=Alarm.Kind.EMPTY,
        source=source,
        listing_day=one.day,
        message=alarms.empty(source, one.day),
        now=now,
    )


def _key(kind: str, source: Source, day: date, *, category: str = "") -> str:
    return f"{kind}:{source.slug}:{category}:{day}"
