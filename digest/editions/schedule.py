"""When an edition opens, what belongs to it, and when each reader's digest is due.

Calendar decisions take `now`; design.md, "Editions and time", is the specification.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import transaction
from django.db.models import Max, Q
from django.db.models.functions import Coalesce

from digest.editions.digests import add_digest_partition
from digest.models import Batch, Edition, EditionPaper, Paper, Sighting
from digest.papers import categories, mentions, rankings, standing, trending
from subscriptions.mail import ledger
from subscriptions.models import Subscriber

log = logging.getLogger(__name__)

OPENS_AT = time(0, 30)  # UTC, of the day after: sources have finished the day by then
OPEN_FOR = timedelta(hours=24)
LATE_DAYS = 3  # papers that missed their own edition still join one of the next three


class Wishes(Protocol):
    """What `due_at` reads of a subscriber."""

    timezone: str
    hour: int
    weekday: int
    frequency: str


@dataclass(frozen=True, slots=True)
class Span:
    """The listing days of an edition: its first day (its date) and its last."""

    first: date
    last: date


def span(kind: str, day: date) -> Span:
    """The edition that holds `day`: that day itself, or the ISO week around it, dated by its Monday."""
    if kind == Edition.Kind.WEEKLY:
        monday = day - timedelta(days=day.weekday())
        return Span(monday, monday + timedelta(days=6))
    return Span(day, day)


def opening(kind: str, day: date) -> datetime:
    """When the edition opens at the latest: 00:30 UTC after its last day."""
    return datetime.combine(span(kind, day).last + timedelta(days=1), OPENS_AT, tzinfo=UTC)


def may_open(kind: str, day: date, *, now: datetime) -> bool:
    """At its hour; or before, once its last day is over in UTC and every batch of its days is settled."""
    if now >= opening(kind, day):
        return True
    days = span(kind, day)
    batches = Batch.objects.filter(listing_day__range=(days.first, days.last))
    return (
        now.date() > days.last and batches.exists() and not batches.filter(settled_at__isnull=True).exists()
    )


def latest_day(*, before: date | None = None) -> date | None:
    """The latest listing day that has papers, as commands take it by default; None without papers."""
    sightings = Sighting.objects.filter(is_listing=True)
    if before is not None:
        sightings = sightings.filter(listing_day__lt=before)
    return sightings.aggregate(latest=Max("listing_day"))["latest"]


def current(kind: str, *, now: datetime) -> Edition | None:
    """The newest edition that has opened or may open now; opened here if need be. None without papers."""
    day = latest_day(before=now.date())
    if day is None:
        return None
    if kind == Edition.Kind.WEEKLY and span(kind, day).last >= now.date():
        day = latest_day(before=span(kind, day).first)  # this week is not over
        if day is None:
            return None
    if may_open(kind, day, now=now):
        return open_edition(kind, day, now=now)
    return Edition.objects.filter(kind=kind, date__lt=day).order_by("-date").first()


def open_edition(kind: str, day: date, *, now: datetime) -> Edition | None:
    """The edition of this day, its papers frozen at the first call; None when the day has no papers.

    Two callers at once get the same edition: the second waits for the first's transaction.
    """
    days = span(kind, day)
    if edition := Edition.objects.filter(kind=kind, date=days.first).first():
        return edition
    with transaction.atomic():
        ledger.lock(f"edition {kind} {days.first}")
        if edition := Edition.objects.filter(kind=kind, date=days.first).first():
            return edition
        members = _members(kind, days)
        if not members:
            return None
        mailing = ledger.open_mailing(
            kind=kind,
            label=f"{kind} {days.first}",
            opened_at=now,
            closes_at=min(now, opening(kind, day)) + OPEN_FOR,
        )
        add_digest_partition(mailing.pk)
        edition = Edition.objects.create(
            kind=kind,
            date=days.first,
            mailing=mailing,
            opened_at=now,
            is_sample=Batch.objects.filter(
                listing_day__range=(days.first, days.last), is_sample=True
            ).exists(),
        )
        _freeze(edition, members, days)
    return edition


@dataclass(frozen=True, slots=True)
class _Member:
    listing_day: date
    announced: str
    version: int | None = None


def _members(kind: str, days: Span) -> dict[int, _Member]:
    """By paper: what is listed or revised in the span, and what came too late for its own edition.

    A merged paper's sightings count for its original. Being listed goes before being revised: a paper that is
    new to the list is not "updated".
    """
    late_from = days.first - timedelta(days=LATE_DAYS if kind == Edition.Kind.DAILY else 0)
    rows: Any = (
        Sighting.objects.filter(listing_day__range=(late_from, days.last))
        .filter(Q(is_listing=True) | Q(announce_type__startswith="replace"))
        .annotate(original=Coalesce("paper__canonical_id", "paper_id"))
        .values("original", "listing_day", "is_listing", "announce_type")
        .annotate(last_seen_at=Max("seen_at"), newest=Max("version"))
        .order_by("listing_day")
    )
    said: list[dict[str, Any]] = list(rows)
    gone = set(
        Paper.objects.filter(pk__in={row["original"] for row in said})
        .exclude(withdrawn_at=None)
        .values_list("pk", flat=True)
    )
    lateness = _Lateness(kind, days, {row["original"] for row in said})
    listed: dict[int, list[dict[str, Any]]] = {}
    revised: dict[int, list[dict[str, Any]]] = {}
    for row in said:
        if row["original"] in gone or (row["listing_day"] < days.first and not lateness.of(row)):
            continue
        (listed if row["is_listing"] else revised).setdefault(row["original"], []).append(row)
    members = {pk: _Member(_listed_on(rows, days), _announced(rows)) for pk, rows in listed.items()}
    for pk, rows in revised.items():
        version = max((row["newest"] for row in rows if row["newest"]), default=None)
        if pk in members:  # the version is news for those who had the paper before
            members[pk] = replace(members[pk], version=version)
        else:
            members[pk] = _Member(rows[-1]["listing_day"], EditionPaper.Announced.UPDATED, version)
    return members


def _listed_on(rows: list[dict[str, Any]], days: Span) -> date:
    """The first day of the span under which it is listed; a paper that is late only has one before."""
    own: list[date] = [row["listing_day"] for row in rows]
    return next((day for day in own if day >= days.first), own[0])


def _announced(rows: list[dict[str, Any]]) -> str:
    """Cross-listed where no source of the span says anything better."""
    is_cross = all(row["announce_type"] == "cross" for row in rows)
    return EditionPaper.Announced.CROSS if is_cross else EditionPaper.Announced.NEW


class _Lateness:
    """Whether a sighting of an earlier day missed the edition of its own day."""

    def __init__(self, kind: str, days: Span, paper_ids: Collection[int]) -> None:
        earlier = Edition.objects.filter(kind=kind, date__lt=days.first).order_by("date")
        self._opened = list(earlier.values_list("date", "opened_at"))
        rows = EditionPaper.objects.filter(edition__kind=kind, folded_in=False).annotate(
            original=Coalesce("paper__canonical_id", "paper_id")
        )
        self._been = set(rows.filter(original__in=paper_ids).values_list("original", "announced", "version"))
        self._been_listed = {pk for pk, announced, _ in self._been if announced != _UPDATED}

    def of(self, row: dict[str, Any]) -> bool:
        """Came in after its own edition froze; or, where its day had no edition since it had no papers, after
        the one before had opened. A first fill of many days is not late."""
        pk = row["original"]
        if row["is_listing"] and pk in self._been_listed:
            return False
        if not row["is_listing"] and (pk, _UPDATED, row["newest"]) in self._been:
            return False
        return any(
            day <= row["listing_day"] and opened_at < row["last_seen_at"] for day, opened_at in self._opened
        )


_UPDATED = EditionPaper.Announced.UPDATED.value


def _freeze(edition: Edition, members: dict[int, _Member], days: Span) -> None:
    papers = Paper.objects.in_bulk(members)
    end = datetime.combine(days.last + timedelta(days=1), time(), tzinfo=UTC)
    # An edition that is opened months later speaks of its own day all the same.
    until = min(edition.opened_at, opening(edition.kind, days.last))
    since = until - ((days.last - days.first) + timedelta(days=1))
    gained = rankings.gains(papers, since=since, until=until)
    posts = mentions.posts(papers, until=until)
    tops = standing.top_percents(days.last)
    by_key = {paper.key: paper for paper in papers.values()}
    ranked = trending.ranked(
        trending.Signs(
            key=paper.key,
            category=categories.canonical(paper.primary_category),
            votes=paper.votes,
            gained=gained.get(pk),
            comments=paper.comments,
            stars=paper.stars,
            posts=posts.get(pk, 0),
            age_hours=_age_hours(members[pk].listing_day, end),
        )
        for pk, paper in papers.items()
    )
    EditionPaper.objects.bulk_create(
        EditionPaper(
            edition=edition,
            paper=(paper := by_key[signs.key]),
            listing_day=members[paper.pk].listing_day,
            announced=members[paper.pk].announced,
            version=members[paper.pk].version,
            position=position,
            score=score,
            votes=paper.votes,
            comments=paper.comments,
            stars=paper.stars,
            counted_at=paper.counted_at,
            gained=gained.get(paper.pk),
            top_percent=tops.get(paper.pk),
        )
        for position, (signs, score) in enumerate(ranked, start=1)
    )


def _age_hours(listed_on: date, end: datetime) -> float:
    return max(0.0, (end - datetime.combine(listed_on, time(), tzinfo=UTC)).total_seconds() / 3600)


# --- each reader's hour ---------------------------------------------------------------------------


def due_at(reader: Wishes, edition: Edition) -> datetime:
    """The later of the opening and the reader's hour on their local date after the edition's last day.

    Weekday readers' Saturdays and Sundays roll to Monday; weekly readers have their day of the week that
    follows. An hour that the clocks leave out is the first instant after the gap; one that comes twice is
    the first.
    """
    on = span(edition.kind, edition.date).last + timedelta(days=1)
    if edition.kind == Edition.Kind.WEEKLY:
        on += timedelta(days=(reader.weekday - on.weekday()) % 7)
    elif reader.frequency == Subscriber.Frequency.WEEKDAYS and on.weekday() >= 5:
        on += timedelta(days=7 - on.weekday())
    return max(edition.opened_at, local_instant(reader.timezone, on, reader.hour))


@lru_cache(maxsize=20_000)
def local_instant(zone: str, day: date, hour: int) -> datetime:
    """The UTC instant of an hour on a local date, whatever the clocks do that day.

    A zone that this machine's data does not know (any more) is taken as UTC: one reader's zone must not
    keep the edition from all others.
    """
    try:
        tzinfo = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        log.error("There is no time zone %r on this machine; its readers' hours are taken as UTC.", zone)
        tzinfo = ZoneInfo("UTC")
    local = datetime.combine(day, time(hour), tzinfo=tzinfo)  # fold=0: the first of two
    instant = local.astimezone(UTC)
    while instant.astimezone(local.tzinfo).replace(tzinfo=None) != local.replace(tzinfo=None):
        local += timedelta(minutes=1)  # in a gap; gaps are minutes to a day long
        instant = local.astimezone(UTC)
    return instant
