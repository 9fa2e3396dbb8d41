"""How close our order of a day comes to the one that the source itself shows.

The source's own order is that of its list as it was read. A difference is no fault: the source counts votes
alone, and Paperboy comments, stars, posts and the paper's field besides. It shows how much those weigh.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from math import fsum, sqrt

from digest.models import Sighting, Source
from digest.papers import categories, mentions, rankings, trending

FIRST = 5  # how many of the first are compared by name

# By name: what a day could be ordered by. Ours as it is; ours with all papers in one field; single counts.
ORDERS = ("ours", "one field", "votes", "comments", "stars")


@dataclass(frozen=True)
class Day:
    """One day's list. Correlations by the name of the order, from -1 to 1; None where all papers are equal.

    `first` counts papers that stand among the first five of both lists.
    """

    date: date
    papers: int
    spearman: dict[str, float | None]
    kendall: dict[str, float | None]
    first: int


def days_of(source: Source, *, until: date, limit: int) -> list[date]:
    """The last days, oldest first, of which the source's list was stored with votes."""
    listed = Sighting.objects.filter(source=source, is_listing=True, listing_day__lte=until)
    newest = listed.exclude(votes=None).order_by("-listing_day").values_list("listing_day", flat=True)
    return sorted(newest.distinct()[:limit])


def replayed(source: Source, day: date) -> Day:
    """The day as the source listed it, against each of our orders. Three queries."""
    shown = _as_shown(source, day)
    signs = _signs(shown, day)
    keys = [one.key for one in signs]
    site = [-place for place in range(len(shown))]  # higher is better, as for all below
    orders: dict[str, Callable[[], list[float]]] = {
        "ours": lambda: trending.scores(signs),
        "one field": lambda: trending.scores([replace(one, category="") for one in signs]),
        "votes": lambda: [_known(one.votes) for one in signs],
        "comments": lambda: [_known(one.comments) for one in signs],
        "stars": lambda: [_known(one.stars) for one in signs],
    }
    values = {name: order() for name, order in orders.items()}
    ours = [one.key for one, _score in trending.ranked(signs)]
    return Day(
        date=day,
        papers=len(shown),
        spearman={name: spearman(site, found) for name, found in values.items()},
        kendall={name: kendall(site, found) for name, found in values.items()},
        first=len(set(ours[:FIRST]) & set(keys[:FIRST])),
    )


def mean(values: Sequence[float | None]) -> float | None:
    """Of those that are known."""
    known = [value for value in values if value is not None]
    return fsum(known) / len(known) if known else None


def _known(count: int | None) -> float:
    return -1.0 if count is None else float(count)


def _as_shown(source: Source, day: date) -> list[Sighting]:
    """The newest word on each paper of the list, in the list's order.

    A list that was read once is stored in its order. Of one that was read again only what changed is stored
    again; then the rule of the source holds: the most votes first (so came all of 580 recorded days).
    """
    newest = list(
        Sighting.objects.filter(source=source, listing_day=day, is_listing=True)
        .select_related("paper", "paper__canonical")
        .order_by("paper", "-seen_at", "-pk")
        .distinct("paper")
    )
    if len({one.seen_at for one in newest}) == 1:
        return sorted(newest, key=lambda one: one.pk)
    return sorted(newest, key=lambda one: (-_known(one.votes), one.pk))


def _signs(shown: Sequence[Sighting], day: date) -> list[trending.Signs]:
    papers = [one.paper.canonical or one.paper for one in shown]
    since = datetime.combine(day, time(), tzinfo=UTC)
    gained = rankings.gains([paper.pk for paper in papers], since=since, until=since + timedelta(days=1))
    posts = mentions.posts([paper.pk for paper in papers])
    return [
        trending.Signs(
            key=paper.key,
            category=categories.canonical(paper.primary_category),
            votes=said.votes,
            gained=gained.get(paper.pk),
            comments=said.comments,
            stars=said.stars,
            posts=posts.get(paper.pk, 0),
        )
        for said, paper in zip(shown, papers, strict=True)
    ]


# --- rank correlation ---------------------------------------------------------------------------------------


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rho: Pearson's correlation of the ranks, equal values sharing their mean rank.

    None where one side has only equal values. Source: Kendall and Gibbons, Rank Correlation Methods, ch. 3.
    """
    ours, theirs = _ranks(first), _ranks(second)
    middle = (len(ours) + 1) / 2
    product = fsum((a - middle) * (b - middle) for a, b in zip(ours, theirs, strict=True))
    spread = sqrt(fsum((a - middle) ** 2 for a in ours) * fsum((b - middle) ** 2 for b in theirs))
    return max(-1.0, min(1.0, product / spread)) if spread else None


def kendall(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kendall's tau-b: pairs in the same order less pairs in the other, pairs of equals taken out.

    None where one side has only equal values. Quadratic: for lists of hundreds.
    """
    agree = tied_first = tied_second = pairs = 0
    values = list(zip(first, second, strict=True))
    for at, (a, b) in enumerate(values):
        for c, d in values[:at]:
            pairs += 1
            tied_first += a == c
            tied_second += b == d
            agree += ((a > c) - (a < c)) * ((b > d) - (b < d))
    spread = sqrt((pairs - tied_first) * (pairs - tied_second))
    return agree / spread if spread else None


def _ranks(values: Sequence[float]) -> list[float]:
    """From 1, smallest first; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end + 1 < len(order) and values[order[end + 1]] == values[order[begin]]:
            end += 1
        for place in range(begin, end + 1):
            ranks[order[place]] = (begin + end) / 2 + 1
        begin = end + 1
    return ranks
