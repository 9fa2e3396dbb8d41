"""What the sources listed on which day, and how completely it was read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from statistics import median

from django.db.models import Count, F, Max, Min, QuerySet

from digest.models import Batch, Paper, Sighting

# Where days are looked for: 25 weekdays are five weeks; the rest is room for holidays.
_LOOK_BACK = timedelta(days=60)


@dataclass(frozen=True)
class Day:
    """One listing day with the number of its papers, each counted once."""

    date: date
    papers: int


class State(StrEnum):
    """How completely one source's list of one day was read."""

    COMPLETE = "complete"
    GROWING = "growing"  # all of it was read, but the day is not over for the source
    PARTIAL = "partial"  # entries were set aside, or the last reading had errors
    UNREAD = "unread"  # the source has not answered for this day


@dataclass(frozen=True)
class Reading:
    """One source's list of one day: `read` of `declared` entries."""

    batch: Batch
    state: State
    read: int
    declared: int


@dataclass(frozen=True)
class Bloomer:
    """A paper that was listed again: its votes at the first and the last sighting of the span."""

    paper: Paper
    first: Sighting
    last: Sighting

    @property
    def gained(self) -> int:
        return (self.last.votes or 0) - (self.first.votes or 0)


def papers_of(day: date) -> QuerySet[Paper]:
    """The day's papers by votes, the most first; those with unknown votes last."""
    return Paper.objects.listed_on(day).order_by(
        F("votes").desc(nulls_last=True), F("comments").desc(nulls_last=True), "pk"
    )


def rank(paper: Paper, day: date) -> tuple[int, int] | None:
    """The paper's place by votes among the day's papers, and their number; None if it is not among them."""
    ids = list(papers_of(day).values_list("pk", flat=True))
    return (ids.index(paper.pk) + 1, len(ids)) if paper.pk in ids else None


def latest_day() -> date | None:
    """The newest listing day that has papers."""
    return _listed().aggregate(newest=Max("listing_day"))["newest"]


def last_days(*, until: date, limit: int = 25) -> list[Day]:
    """Up to `limit` days with papers, oldest first, the last of them not after `until`."""
    rows = (
        _listed()
        .filter(listing_day__lte=until, listing_day__gt=until - _LOOK_BACK)
        .values("listing_day")
        .annotate(papers=Count("paper", distinct=True))
        .order_by("-listing_day")[:limit]
    )
    return [Day(row["listing_day"], row["papers"]) for row in reversed(rows)]


def neighbours(day: date) -> tuple[date | None, date | None]:
    """The nearest days with papers before and after."""
    before = _listed().filter(listing_day__lt=day).aggregate(found=Max("listing_day"))["found"]
    after = _listed().filter(listing_day__gt=day).aggregate(found=Min("listing_day"))["found"]
    return before, after


def ordinary(days: Sequence[Day]) -> int | None:
    """The median number of papers a day; None for fewer than five days, which are no basis for "ordinary"."""
    return round(median(day.papers for day in days)) if len(days) >= 5 else None


def readings(day: date) -> list[Reading]:
    """How each source's list of the day was read, in the order of the sources' names."""
    batches = (
        Batch.objects.filter(listing_day=day).select_related("source").order_by("source__name", "category")
    )
    return [_reading(batch) for batch in batches]


def _reading(batch: Batch) -> Reading:
    if batch.fetched_at is None:
        state = State.UNREAD
    elif batch.rejected or batch.errors:
        state = State.PARTIAL
    else:
        state = State.COMPLETE if batch.settled_at else State.GROWING
    return Reading(batch, state, read=max(batch.declared - batch.rejected, 0), declared=batch.declared)


def late_bloomers(day: date, *, span_days: int = 14, limit: int = 3) -> list[Bloomer]:
    """Papers listed on more than one day of the span that ends with `day`, the most votes gained first.

    Momentum needs two sightings with known votes; papers that gained nothing are left out.
    """
    span = _listed().filter(
        listing_day__range=(day - timedelta(days=span_days - 1), day), votes__isnull=False
    )
    again = (
        span.values("paper")
        .annotate(days=Count("listing_day", distinct=True))
        .filter(days__gt=1)
        .values("paper")
    )
    sightings: dict[int, list[Sighting]] = {}
    for sighting in span.filter(paper__in=again).order_by("seen_at", "pk").select_related("paper"):
        sightings.setdefault(sighting.paper_id, []).append(sighting)
    bloomers = [Bloomer(seen[0].paper, seen[0], seen[-1]) for seen in sightings.values()]
    rising = [bloomer for bloomer in bloomers if bloomer.gained > 0]
    return sorted(rising, key=lambda bloomer: (-bloomer.gained, bloomer.paper.pk))[:limit]


def _listed() -> QuerySet[Sighting]:
    """Sightings that count for a day: of papers that are neither merged into another nor withdrawn."""
    return Sighting.objects.filter(paper__canonical=None, paper__withdrawn_at=None)
