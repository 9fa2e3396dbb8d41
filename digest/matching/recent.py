"""The papers of the last listing days, indexed and kept in memory: what the preview and the topic pages ask.

In parts, by listing day: about 0.7 ms for each paper, but what did not change since the last time is not made
again, so that the votes of an hour cost a day's list of Hugging Face and not the thousand papers of arXiv
beside it. It is a cache: any process may lose it at any time, and none holds a truth of its own.
"""

import threading
from bisect import bisect_right
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from django.db.models import Count, Max, QuerySet
from django.db.models.functions import Coalesce

from digest.matching import profiles, spaces
from digest.matching.calibration import LOWEST_SHOWN, shown_percent
from digest.matching.documents import document
from digest.matching.explain import Reason
from digest.matching.features import Prepared
from digest.matching.index import DayIndex, Hits
from digest.matching.pool import Measured, Pool
from digest.matching.rank import Calibration, Ranker, explained
from digest.matching.space import Space
from digest.models import Batch, Paper, Sighting
from digest.papers import categories, trending
from subscriptions.filters import Filter, parse
from subscriptions.models import Topic

DAYS = 30
# Where the days are full, fewer of them: the first question after a start waits for all to be indexed.
MOST_PAPERS = 5_000
# Listing days are looked for this far back: 30 weekdays are six weeks, holidays more.
_LOOK_BACK = timedelta(days=75)
# Interests whose relevance is kept, 20 KB each over 5,000 papers: all topics, and what visitors try out.
_MOST_SCORED = 600
# An index remembers every atom it was ever asked, so it forgets now and then even where nothing changes.
_KEEP = timedelta(minutes=5)


class Match:
    """One paper that a filter, or several, found. `days` are its listing days, oldest first."""

    def __init__(self, found: "Found", position: int) -> None:
        self.paper: Paper = found.recent.papers[position]
        self.days: tuple[date, ...] = found.recent.listed[position]
        self.position = position
        self._found = found

    @cached_property
    def reasons(self) -> Sequence[Reason]:
        """Why, the strongest first. Worked out when somebody asks: most pages show few of many matches."""
        return [reason for hits in self._found.hits for reason in hits.reasons(self.position)]


@dataclass(frozen=True)
class _Part:
    """Papers that are indexed together. `version` changes with them."""

    version: tuple[object, ...]
    papers: tuple[Paper, ...]
    index: DayIndex
    _measured: list[Measured] = field(default_factory=list)  # the last one; made where somebody asks

    def measured(self, space: Space) -> Measured:
        if not self._measured or self._measured[0].space is not space:
            self._measured[:] = [Measured.of(self.index, space)]
        return self._measured[0]


class Finding(Protocol):
    """Some of the recent papers, each with why."""

    @property
    def bits(self) -> int: ...
    def __contains__(self, position: int) -> bool: ...
    def reasons(self, position: int) -> Sequence[Reason]: ...


@dataclass(frozen=True)
class PartHits:
    """What one filter finds, over all parts. Positions are those in `Recent.papers`."""

    starts: tuple[int, ...]
    hits: tuple[Hits, ...]

    @cached_property
    def bits(self) -> int:
        bits = 0
        for start, hits in zip(self.starts, self.hits, strict=True):
            bits |= hits.bits << start
        return bits

    def __contains__(self, position: int) -> bool:
        return bool(self.bits >> position & 1)

    def reasons(self, position: int) -> list[Reason]:
        part = bisect_right(self.starts, position) - 1
        return self.hits[part].reasons(position - self.starts[part])


class Relevance(Mapping[int, tuple[float, Sequence[Reason]]]):
    """How relevant some of the recent papers are: position → probability, and why, worked out when asked."""

    def __init__(self, scored: "Scored | None", positions: Sequence[int]) -> None:
        self._scored = scored
        self._positions = dict.fromkeys(positions)

    def __getitem__(self, position: int) -> tuple[float, Sequence[Reason]]:
        if self._scored is None or position not in self._positions:
            raise KeyError(position)
        return float(self._scored.probabilities[position]), self._scored.reasons(position)

    def probability(self, position: int) -> float | None:
        """Without the reasons, which take longer."""
        is_one = self._scored is not None and position in self._positions
        return float(self._scored.probabilities[position]) if self._scored and is_one else None

    def __iter__(self) -> Iterator[int]:
        return iter(self._positions)

    def __len__(self) -> int:
        return len(self._positions)


_NOTHING = Relevance(None, ())


@dataclass(frozen=True, eq=False)
class Scored:
    """One interest over all recent papers. `probabilities`: how likely each is relevant, by position."""

    probabilities: npt.NDArray[np.float32]
    _prepared: Prepared
    _pool: Pool
    _reasons: dict[int, Sequence[Reason]] = field(default_factory=dict)

    def at_least(self, percent: int) -> int:
        """One bit a paper, by position: those that are shown with this relevance or more."""
        bits = 0
        for position in np.flatnonzero(self.probabilities >= LOWEST_SHOWN).tolist():
            if (shown_percent(float(self.probabilities[position])) or 0) >= percent:
                bits |= 1 << position
        return bits

    def reasons(self, position: int) -> Sequence[Reason]:
        """Why, the strongest first: see rank.Ranker.explain. About a millisecond, once."""
        reasons = self._reasons.get(position)
        if reasons is None:
            reasons = self._reasons[position] = explained(self._prepared, self._pool, position)
        return reasons


@dataclass(frozen=True)
class Recent:
    """The papers of the last listing days. Make it with `current`."""

    days: tuple[date, ...]  # at most DAYS, oldest first
    papers: tuple[Paper, ...]  # newest day first, within a day by trending score
    listed: tuple[tuple[date, ...], ...]  # for each paper its days, oldest first
    _parts: tuple[_Part, ...] = ()
    _space: Space | None = None  # in which relevance is measured; None without papers
    _calibration: Calibration = field(default_factory=Calibration)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _hits: dict[str, PartHits] = field(default_factory=dict)
    _scored: "OrderedDict[tuple[object, ...], Scored | None]" = field(default_factory=OrderedDict)

    def find(self, *filters: Filter) -> "Found":
        """The papers that at least one of the filters finds."""
        with self._lock:
            return Found(self, tuple(self._evaluate(filter) for filter in filters))

    def find_canonical(self, *canonical: str) -> "Found":
        """As `find`, for filters stored in canonical form."""
        return self.find(*map(parsed, canonical))

    def relevance(self, topic: Topic) -> Relevance:
        """Of the papers that a topic's filter finds; empty for a topic that is a pure filter."""
        scored = self.score_of(topic)
        if scored is None:
            return _NOTHING
        return Relevance(scored, list(self.find_canonical(topic.filter.canonical).positions()))

    def score_of(self, topic: Topic) -> Scored | None:
        """Of all papers, whether its filter finds them or not; None for a pure filter."""
        return self.score(profiles.of_topic(topic))

    def score(self, profile: Mapping[str, Any]) -> Scored | None:
        """A profile as rank.Ranker reads it, over all papers. Some 20 ms, then kept.

        None where it says nothing that can be read, and for a single liked paper.
        """
        if not profile or not self.papers:
            return None
        key = (
            profile.get("name", ""),
            tuple(profile.get("keywords", ())),
            profile.get("sentence", ""),
            tuple(paper["id"] for paper in profile.get("liked", ())),
            tuple(paper["id"] for paper in profile.get("disliked", ())),
        )
        with self._lock:
            if key not in self._scored:
                self._scored[key] = self._score(profile)
                while len(self._scored) > _MOST_SCORED:
                    self._scored.popitem(last=False)
            self._scored.move_to_end(key)
            return self._scored[key]

    def _score(self, profile: Mapping[str, Any]) -> Scored | None:
        prepared = self._ranker.prepare(profile)
        probabilities = self._ranker.relevance(prepared)
        if prepared is None or probabilities is None:
            return None
        return Scored(np.asarray(probabilities, np.float32), prepared, self._pool)

    @cached_property
    def _ranker(self) -> Ranker:
        ranker = Ranker(calibration=self._calibration)
        ranker.papers = self._pool
        return ranker

    @cached_property
    def _pool(self) -> Pool:
        assert self._space is not None
        return Pool(self._space, [part.measured(self._space) for part in self._parts])

    def get_ready(self) -> "Recent":
        """Measure all papers and sort their words, so that nobody who asks waits for it."""
        if self.papers:
            with self._lock:
                self._ranker.relevance({"name": self.papers[0].title})
                self._evaluate(parsed("paper*"))
        return self

    def count(self, filter: Filter) -> int:
        """How many papers a filter finds."""
        return len(self.find(filter))

    def listed_on(self, day: date) -> int:
        """How many papers the day has."""
        return self._numbers[day]

    @cached_property
    def _numbers(self) -> Counter[date]:
        return Counter(day for days in self.listed for day in days)

    @cached_property
    def _positions(self) -> dict[int, int]:
        return {paper.pk: position for position, paper in enumerate(self.papers)}

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        starts, at = [], 0
        for part in self._parts:
            starts.append(at)
            at += len(part.papers)
        return tuple(starts)

    def _evaluate(self, filter: Filter) -> PartHits:
        hits = self._hits.get(filter.canonical)
        if hits is None:
            found = tuple(part.index.evaluate(filter) for part in self._parts)
            hits = self._hits[filter.canonical] = PartHits(self._starts, found)
        return hits


@dataclass(frozen=True)
class Found:
    """What one or several filters find among the recent papers, each paper once."""

    recent: Recent
    hits: tuple[Finding, ...]

    def __len__(self) -> int:
        return self.bits.bit_count()

    def __contains__(self, position: int) -> bool:
        return bool(self.bits >> position & 1)

    def on(self, day: date) -> int:
        """How many of the papers were listed on this day."""
        return sum(day in self.recent.listed[position] for position in self.positions())

    def per_day(self) -> list[tuple[date, int]]:
        """Every recent listing day, oldest first, with the number of papers found; zero is a number too."""
        counts = dict.fromkeys(self.recent.days, 0)
        for position in self.positions():
            for day in self.recent.listed[position]:
                counts[day] += 1
        return list(counts.items())

    def a_day(self) -> float:
        """Papers a listing day, on the average."""
        return len(self) / len(self.recent.days) if self.recent.days else 0.0

    def matches(self, day: date | None = None) -> list[Match]:
        """The papers, newest day first and best first; with `day`, those it lists."""
        return [
            Match(self, position)
            for position in self.positions()
            if day is None or day in self.recent.listed[position]
        ]

    def which(self, paper: Paper) -> list[int]:
        """The places, in the order of the filters asked, of those that find this paper."""
        position = self.recent._positions[paper.pk]
        return [place for place, hits in enumerate(self.hits) if position in hits]

    @cached_property
    def bits(self) -> int:
        bits = 0
        for hits in self.hits:
            bits |= hits.bits
        return bits

    def positions(self) -> Iterator[int]:
        """In `Recent.papers`, ascending: the newest day first, the best of each first."""
        bits = self.bits
        while bits:
            lowest = bits & -bits
            yield lowest.bit_length() - 1
            bits ^= lowest


@dataclass(frozen=True)
class _Kept:
    version: tuple[object, ...]
    made_at: datetime
    forgot_at: datetime
    recent: Recent


_kept: _Kept | None = None
_making = threading.Lock()


def current(*, now: datetime) -> Recent:
    """The recent papers as stored now. Two small queries when nothing was read since the last call."""
    global _kept
    kept, version = _kept, _version()
    if kept is None or kept.version != version or not timedelta(0) <= now - kept.made_at < _KEEP:
        # While one thread makes the new, which can take seconds, the others answer with what was.
        if not _making.acquire(blocking=kept is None):
            return kept.recent  # type: ignore[union-attr]
        try:
            kept = _kept
            if kept is None or kept.version != version or not timedelta(0) <= now - kept.made_at < _KEEP:
                parts = kept.recent._parts if kept else ()
                is_old = kept is None or not timedelta(0) <= now - kept.forgot_at < _KEEP
                for part in parts if is_old else ():
                    part.index.forget()
                forgot_at = now if kept is None or is_old else kept.forgot_at
                kept = _kept = _Kept(version, now, forgot_at, _made(parts))
        finally:
            _making.release()
    return kept.recent


def at_hand(*, now: datetime) -> Recent | None:
    """As `current`, if this process has it; None where it would have to be made, which can take seconds."""
    kept = _kept
    is_current = kept is not None and timedelta(0) <= now - kept.made_at < _KEEP
    return kept.recent if kept and is_current and kept.version == _version() else None


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


# --- made from what is stored -------------------------------------------------------------------------------


def _version() -> tuple[object, ...]:
    """Changes whenever a list was read, or a batch came or went."""
    batches = Batch.objects.aggregate(read=Max("fetched_at"), number=Count("pk"))
    newest = Sighting.objects.aggregate(newest=Max("pk"))
    return (batches["read"], batches["number"], newest["newest"])


def _listed() -> "QuerySet[Any]":
    """Sightings that put papers on lists, with the `original` of a merged row, for which they count."""
    sightings = Sighting.objects.filter(is_listing=True, paper__withdrawn_at=None)
    return sightings.annotate(original=Coalesce("paper__canonical_id", "paper_id"))


def _days() -> list[date]:
    """The newest listing days, oldest first: DAYS of them, or as many as have MOST_PAPERS."""
    newest = _listed().aggregate(newest=Max("listing_day"))["newest"]
    if newest is None:
        return []
    counted = (
        _listed()
        .filter(listing_day__gt=newest - _LOOK_BACK)
        .values("listing_day")
        .annotate(papers=Count("original", distinct=True))
        .order_by("-listing_day")[:DAYS]
    )
    days: list[date] = []
    papers = 0
    for row in counted:
        papers += row["papers"]
        if days and papers > MOST_PAPERS:
            break
        days.append(row["listing_day"])
    return days[::-1]


def _made(earlier: Sequence[_Part]) -> Recent:
    """The papers as stored now; parts of which nothing changed are taken over."""
    days = _days()
    if not days:
        return Recent((), (), ())
    listed: dict[int, set[date]] = defaultdict(set)
    sources: dict[int, set[str]] = defaultdict(set)
    rows = _listed().filter(listing_day__range=(days[0], days[-1]))
    for paper_id, day, slug in rows.values_list("original", "listing_day", "source__slug").distinct():
        listed[paper_id].add(day)
        sources[paper_id].add(slug)
    # Votes change by the hour, and the papers without any do not: they are parts of their own.
    members: dict[tuple[date, bool], dict[int, tuple[object, ...]]] = defaultdict(dict)
    stored = Paper.objects.filter(pk__in=listed, withdrawn_at=None).order_by("pk")
    for pk, updated_at, counted_at, votes in stored.values_list("pk", "updated_at", "counted_at", "votes"):
        key = (max(listed[pk]), votes is not None)
        members[key][pk] = (updated_at, counted_at, tuple(sorted(sources[pk])))
    known = {part.version: part for part in earlier}
    parts = []
    for key in sorted(members, reverse=True):
        version = (key, *members[key].items())
        parts.append(known.get(version) or _part(version, list(members[key]), sources))
    papers = tuple(paper for part in parts for paper in part.papers)
    return Recent(
        tuple(days),
        papers,
        tuple(tuple(sorted(listed[paper.pk])) for paper in papers),
        tuple(parts),
        spaces.current().space,
        spaces.scale(),
    )


def _part(version: tuple[object, ...], ids: Sequence[int], sources: dict[int, set[str]]) -> _Part:
    stored = Paper.objects.in_bulk(ids)
    by_key = {paper.key: paper for paper in stored.values()}
    ranked = trending.ranked(
        trending.Signs(
            key=paper.key,
            category=categories.canonical(paper.primary_category),
            votes=paper.votes,
            comments=paper.comments,
            stars=paper.stars,
        )
        for paper in by_key.values()
    )
    papers = tuple(by_key[one.key] for one, _score in ranked)
    return _Part(version, papers, DayIndex([document(paper, sources[paper.pk]) for paper in papers]))
