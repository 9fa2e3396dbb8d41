"""What the sources listed on which day, and how completely it was read.

A merged row counts as its original everywhere: each paper once, whatever the number of rows that mean it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from enum import StrEnum
from statistics import median

from django.db.models import Count, F, Max, Min, Q, QuerySet
from django.db.models.functions import Coalesce

from digest.models import Batch, Paper, SetAside, Sighting, Source
from digest.sources.arxiv import calendar

# The door of batches that hold single records, asked for by id. No source uses it for a list: Hugging Face's
# come by "api".
LOOK_UP = "look-up"

# Where days are looked for: 25 weekdays are five weeks; the rest is room for holidays.
_LOOK_BACK = timedelta(days=60)

_ORIGINAL = Coalesce("paper__canonical_id", "paper_id")  # the paper that a sighting counts for


@dataclass(frozen=True)
class Day:
    """One listing day with the number of its papers, each counted once."""

    date: date
    papers: int


class State(StrEnum):
    """How completely one source's list of one day was read."""

    COMPLETE = "complete"
    GROWING = "growing"  # all of it was read, but the day is not over for the source
    PARTIAL = "partial"  # entries were set aside, or a list that should hold some came empty
    UNREAD = "unread"  # the source has not answered for this day


@dataclass(frozen=True)
class Reading:
    """One source's list of one day, of one category where it has them: `read` of `declared` entries.

    The batch of a list that was expected and never asked for is not stored.
    """

    batch: Batch
    state: State
    read: int
    declared: int

    @property
    def name(self) -> str:
        """ "arXiv cs.CL", or the source's name alone."""
        return f"{self.batch.source.name} {self.batch.category}".rstrip()


@dataclass(frozen=True)
class Account:
    """What was announced on a day, and whether Paperboy saw it all.

    `announced` counts distinct papers that some list holds, `updated` those of which a new version was
    announced besides; `categories` are those of which a list was read, `sources` the names of all that were.
    `missing` says in sentences why the day is not complete.
    """

    day: date
    announced: int
    updated: int
    categories: int
    sources: tuple[str, ...]
    is_complete: bool
    missing: tuple[str, ...]


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
        .annotate(papers=Count(_ORIGINAL, distinct=True))
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


# --- the ledger ---------------------------------------------------------------------------------------------


def readings(day: date) -> list[Reading]:
    """How each list of the day was read, by the names of sources and categories.

    A list that is expected and was never asked for is there as unread: of a switched-on source that was read
    for an earlier day, on a day when it announces.
    """
    # Look-ups of single papers are nobody's list.
    batches = list(Batch.objects.filter(listing_day=day).exclude(door=LOOK_UP).select_related("source"))
    known = {(batch.source_id, batch.category) for batch in batches}
    batches += [batch for batch in _expected(day) if (batch.source_id, batch.category) not in known]
    batches.sort(key=lambda one: (one.source.name.casefold(), one.category))
    return [_reading(batch) for batch in batches]


def accounts(day: date) -> Account:
    """What the sources announced on this day, and what of it is missing."""
    lists = readings(day)
    read = [one for one in lists if one.state is not State.UNREAD]
    missing = tuple(_missing(day, lists))
    return Account(
        day=day,
        announced=announced(day, day),
        updated=_standing()
        .filter(listing_day=day, announce_type__startswith="replace")
        .aggregate(papers=Count(_ORIGINAL, distinct=True))["papers"],
        categories=len({one.batch.category for one in read if one.batch.category}),
        sources=tuple(dict.fromkeys(one.batch.source.name for one in read)),
        is_complete=bool(lists) and not missing,
        missing=missing,
    )


def announced(first: date, last: date) -> int:
    """How many papers some list of these days holds, each counted once; withdrawn ones left out."""
    listed = _listed().filter(listing_day__range=(first, last))
    return listed.aggregate(papers=Count(_ORIGINAL, distinct=True))["papers"]


def _expected(day: date) -> Iterator[Batch]:
    """The lists, not stored, that switched-on sources must have for this day."""
    sources = Source.objects.filter(enabled=True, kind__in=(Source.Kind.HUGGINGFACE, Source.Kind.ARXIV))
    was_read = Batch.objects.filter(
        source__in=sources, listing_day__lt=day, fetched_at__isnull=False, is_sample=False
    )
    read_before = set(was_read.values_list("source_id", "category").distinct())
    for source in sources:
        is_arxiv = source.kind == Source.Kind.ARXIV
        if calendar.is_expected(day) if is_arxiv else not calendar.is_weekend(day):
            for category in source.categories if is_arxiv else [""]:
                if (source.pk, category) in read_before:
                    yield Batch(source=source, category=category, listing_day=day)


def _reading(batch: Batch) -> Reading:
    if batch.fetched_at is None:
        state = State.UNREAD
    elif batch.rejected or (batch.errors and not batch.declared):
        state = State.PARTIAL
    else:
        state = State.COMPLETE if batch.settled_at else State.GROWING
    return Reading(batch, state, read=max(batch.declared - batch.rejected, 0), declared=batch.declared)


def _missing(day: date, lists: Sequence[Reading]) -> Iterator[str]:
    by_source: dict[str, list[Reading]] = {}
    for one in lists:
        by_source.setdefault(one.batch.source.name, []).append(one)
    # An entry of several categories is set aside once, though it counts in the batch of each.
    aside = dict(
        SetAside.objects.filter(batch__listing_day=day)
        .values_list("batch__source__name")
        .annotate(entries=Count("pk"))
    )
    for name, own in by_source.items():
        if unread := [one for one in own if one.state is State.UNREAD]:
            yield f"Not read: {_named(name, unread, of=own)}."
        if empty := [one for one in own if one.state is State.PARTIAL and not one.batch.rejected]:
            yield f"Empty, on a day that should have papers: {_named(name, empty, of=own)}."
        if entries := aside.get(name):
            yield f"{entries} {'entry' if entries == 1 else 'entries'} of {name} could not be read."
        if growing := [one for one in own if one.state is State.GROWING]:
            last = min(one.batch.fetched_at for one in growing if one.batch.fetched_at).astimezone(UTC)
            when = f"{last:%-d %B at %H:%M} UTC"
            yield f"Last read on {when}, before the day was over: {_named(name, growing, of=own)}."


def _named(name: str, some: Sequence[Reading], *, of: Sequence[Reading]) -> str:
    """ "arXiv", or which of its categories where it is not all of them."""
    if len(some) == len(of):
        return name
    return f"{name} {', '.join(one.batch.category for one in some)}"


# --- papers that came again ---------------------------------------------------------------------------------


def late_bloomers(day: date, *, span_days: int = 14, limit: int = 3) -> list[Bloomer]:
    """Papers listed on more than one day of the span that ends with `day`, the most votes gained first.

    Momentum needs two sightings with known votes; papers that gained nothing are left out.
    """
    first_day = day - timedelta(days=span_days - 1)
    votes_known = _listed().filter(listing_day__range=(first_day, day), votes__isnull=False)
    span = votes_known.annotate(original=_ORIGINAL)
    again = (
        span.values("original")
        .annotate(days=Count("listing_day", distinct=True))
        .filter(days__gt=1)
        .values_list("original", flat=True)
    )
    sightings: dict[int, list[Sighting]] = {}
    papers: dict[int, Paper] = {}
    seen_again = span.filter(original__in=again).order_by("seen_at", "pk")
    for sighting in seen_again.select_related("paper", "paper__canonical"):
        original = sighting.paper.canonical or sighting.paper
        sightings.setdefault(original.pk, []).append(sighting)
        papers[original.pk] = original
    bloomers = [Bloomer(papers[pk], seen[0], seen[-1]) for pk, seen in sightings.items()]
    rising = [bloomer for bloomer in bloomers if bloomer.gained > 0]
    return sorted(rising, key=lambda bloomer: (-bloomer.gained, bloomer.paper.pk))[:limit]


def _listed() -> QuerySet[Sighting]:
    """Sightings that put a paper on a day's list."""
    return _standing().filter(is_listing=True)


def _standing() -> QuerySet[Sighting]:
    """Sightings of papers that are not withdrawn."""
    return Sighting.objects.filter(
        Q(paper__canonical=None, paper__withdrawn_at=None)
        | Q(paper__canonical__isnull=False, paper__canonical__withdrawn_at=None)
    )
