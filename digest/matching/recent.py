"""The papers of the last listing days, indexed and kept in memory: what the preview and the topic pages ask.

One index a process, about half a second for 300 papers, made again when something new was read. It is a
cache: any process may lose it at any time, and none holds a truth of its own.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache

from django.db.models import Count, Max

from digest.matching.documents import document
from digest.matching.explain import Reason
from digest.matching.index import DayIndex, Hits
from digest.models import Batch, Paper, Sighting
from digest.papers import trending
from subscriptions.filters import Filter, parse
from subscriptions.models import Topic

DAYS = 14
# Listing days are looked for this far back: 14 weekdays are three weeks, holidays more.
_LOOK_BACK = timedelta(days=45)
# The index remembers every atom it was ever asked, so it does not live long even where nothing changes.
_KEEP = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Match:
    """One paper that a filter, or several, found; `reasons` are the strongest first."""

    paper: Paper
    days: tuple[date, ...]  # its listing days among the recent ones, oldest first
    reasons: Sequence[Reason]


@dataclass(frozen=True)
class Recent:
    """The papers of the last listing days. Make it with `current`."""

    days: tuple[date, ...]  # at most DAYS, oldest first
    papers: tuple[Paper, ...]  # by trending score within their newest day, newest day first
    listed: tuple[tuple[date, ...], ...]  # for each paper its days, oldest first
    _index: DayIndex
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _hits: dict[str, Hits] = field(default_factory=dict)

    def find(self, *filters: Filter) -> "Found":
        """The papers that at least one of the filters finds."""
        with self._lock:
            return Found(self, tuple(self._evaluate(filter) for filter in filters))

    def find_canonical(self, *canonical: str) -> "Found":
        """As `find`, for filters stored in canonical form."""
        return self.find(*map(parsed, canonical))

    def listed_on(self, day: date) -> int:
        """How many papers the day has."""
        return sum(day in days for days in self.listed)

    def _evaluate(self, filter: Filter) -> Hits:
        hits = self._hits.get(filter.canonical)
        if hits is None:
            hits = self._hits[filter.canonical] = self._index.evaluate(filter)
        return hits


@dataclass(frozen=True)
class Found:
    """What one or several filters find among the recent papers, each paper once."""

    recent: Recent
    hits: tuple[Hits, ...]

    def __len__(self) -> int:
        return self._bits.bit_count()

    def __contains__(self, position: int) -> bool:
        return bool(self._bits >> position & 1)

    def on(self, day: date) -> int:
        """How many of the papers were listed on this day."""
        return sum(day in self.recent.listed[position] for position in self._positions())

    def per_day(self) -> list[tuple[date, int]]:
        """Every recent listing day, oldest first, with the number of papers found; zero is a number too."""
        counts = dict.fromkeys(self.recent.days, 0)
        for position in self._positions():
            for day in self.recent.listed[position]:
                counts[day] += 1
        return list(counts.items())

    def a_day(self) -> float:
        """Papers a listing day, on the average."""
        return len(self) / len(self.recent.days) if self.recent.days else 0.0

    def matches(self, day: date | None = None) -> list[Match]:
        """The papers with their reasons, newest day first and best first; with `day`, those it lists."""
        return [
            Match(
                self.recent.papers[position],
                self.recent.listed[position],
                [reason for hits in self.hits for reason in hits.reasons(position)],
            )
            for position in self._positions()
            if day is None or day in self.recent.listed[position]
        ]

    def which(self, paper: Paper) -> list[int]:
        """The places, in the order of the filters asked, of those that find this paper."""
        position = self.recent.papers.index(paper)
        return [place for place, hits in enumerate(self.hits) if position in hits]

    @property
    def _bits(self) -> int:
        bits = 0
        for hits in self.hits:
            bits |= hits.bits
        return bits

    def _positions(self) -> Iterable[int]:
        bits = self._bits
        return (position for position in range(bits.bit_length()) if bits >> position & 1)


@dataclass(frozen=True)
class _Kept:
    version: tuple[object, ...]
    made_at: datetime
    recent: Recent


_kept: _Kept | None = None
_making = threading.Lock()


def current(*, now: datetime) -> Recent:
    """The recent papers as stored now. Two small queries when nothing was read since the last call."""
    global _kept
    kept, version = _kept, _version()
    if kept is None or kept.version != version or not timedelta(0) <= now - kept.made_at < _KEEP:
        with _making:
            kept = _kept
            if kept is None or kept.version != version or not timedelta(0) <= now - kept.made_at < _KEEP:
                kept = _kept = _Kept(version, now, _made())
    return kept.recent


def matching_topics(
    paper: Paper, topics: Iterable[Topic], sources: Iterable[str] = ()
) -> list[tuple[Topic, list[Reason]]]:
    """The topics whose filter finds this one paper, whatever its age, with the reasons."""
    index = DayIndex([document(paper, sources)])
    found = []
    for topic in topics:
        hits = index.evaluate(parsed(topic.filter.canonical))
        if hits:
            found.append((topic, hits.reasons(0)))
    return found


@lru_cache(maxsize=1024)
def parsed(canonical: str) -> Filter:
    """A stored filter, read once a process."""
    return parse(canonical)


def _version() -> tuple[object, ...]:
    """Changes whenever a list was read, or a batch came or went."""
    batches = Batch.objects.aggregate(read=Max("fetched_at"), number=Count("pk"))
    newest = Sighting.objects.aggregate(newest=Max("pk"))
    return (batches["read"], batches["number"], newest["newest"])


def _made() -> Recent:
    valid = Sighting.objects.filter(paper__canonical=None, paper__withdrawn_at=None)
    newest = valid.aggregate(newest=Max("listing_day"))["newest"]
    if newest is None:
        return Recent((), (), (), DayIndex([]))
    days = sorted(
        valid.filter(listing_day__gt=newest - _LOOK_BACK)
        .order_by("-listing_day")
        .values_list("listing_day", flat=True)
        .distinct()[:DAYS]
    )
    listed: dict[int, set[date]] = {}
    sources: dict[int, set[str]] = {}
    seen = valid.filter(listing_day__range=(days[0], days[-1]))
    for paper_id, day, slug in seen.values_list("paper_id", "listing_day", "source__slug").distinct():
        listed.setdefault(paper_id, set()).add(day)
        sources.setdefault(paper_id, set()).add(slug)
    papers = sorted(
        Paper.objects.filter(pk__in=listed),
        key=lambda paper: (-max(listed[paper.pk]).toordinal(), -_liveliness(paper), paper.pk),
    )
    return Recent(
        tuple(days),
        tuple(papers),
        tuple(tuple(sorted(listed[paper.pk])) for paper in papers),
        DayIndex([document(paper, sources[paper.pk]) for paper in papers]),
    )


def _liveliness(paper: Paper) -> float:
    return trending.score(votes=paper.votes, comments=paper.comments, age_hours=0)
