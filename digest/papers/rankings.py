"""Papers in the order of how much they are talked about: of a day, a week, a month; and the late bloomers.

Made from what is stored whenever somebody asks: a handful of queries, whatever the number of papers.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from django.db import connection

from digest.models import Paper, Sighting
from digest.papers import categories, mentions, trending

# A paper that was listed before the period, and again in it, counts as this old. See trending.
_LISTED_AGAIN_HOURS = 48.0


class Order(StrEnum):
    TRENDING = "trending"
    VOTES = "votes"


@dataclass(frozen=True)
class Ranked:
    """One paper and its place, from 1. Votes are those of its newest reading, None where nobody counts.

    `gained` are the votes of the period, of a paper that was listed before it, where readings tell. Of one
    that is new there is nothing to tell: it gained what it has.
    """

    paper: Paper
    score: float
    gained: int | None
    votes: int | None
    place: int


@dataclass(frozen=True)
class Ranking:
    """A stretch of a ranking of `total` papers."""

    total: int
    ranked: tuple[Ranked, ...]


def of_day(day: date, *, limit: int | None = None) -> list[Ranked]:
    """The papers that some source lists under the day, the most talked about first."""
    return list(of_period(day, day, limit=limit).ranked)


def of_week(monday: date, *, limit: int | None = None) -> list[Ranked]:
    """The papers listed from this Monday to its Sunday."""
    return list(of_period(monday, monday + timedelta(days=6), limit=limit).ranked)


def of_month(first: date, *, limit: int | None = None) -> list[Ranked]:
    """The papers listed in the month that begins on `first`."""
    return list(of_period(first, last_of_month(first), limit=limit).ranked)


def last_of_month(first: date) -> date:
    return (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def of_period(
    first: date, last: date, *, order: Order = Order.TRENDING, start: int = 0, limit: int | None = None
) -> Ranking:
    """The papers listed under a day of the period, each once; posts, threads and news left out.

    Every paper has the same chance, on whichever day of the period it was listed: age plays no part but for
    papers that were listed before. `start` and `limit` choose a stretch of the ranking. Four queries.
    """
    known = {row.pk: row for row in _known(first, last)}
    since, until = _midnight(first), _midnight(last + timedelta(days=1))
    older = [row.pk for row in known.values() if row.first_listed_on < first]
    posts = mentions.posts(Paper.objects.listed_between(first, last).values("pk"))
    gained = gains(older, since=since, until=until)
    signs = {
        row.key: trending.Signs(
            key=row.key,
            category=categories.canonical(row.category),
            votes=row.votes,
            gained=gained.get(row.pk),
            comments=row.comments,
            stars=row.stars,
            posts=posts.get(row.pk, 0),
            age_hours=_LISTED_AGAIN_HOURS if row.first_listed_on < first else 0.0,
        )
        for row in known.values()
    }
    ids = {row.key: row.pk for row in known.values()}
    placed = [(ids[one.key], one.votes, score) for one, score in trending.ranked(signs.values())]
    if order == Order.VOTES:  # stable: equal votes stay in the order of the score
        placed.sort(key=lambda one: -1 if one[1] is None else one[1], reverse=True)
    shown = placed[start : None if limit is None else start + limit]
    papers = Paper.objects.in_bulk([pk for pk, _votes, _score in shown])
    return Ranking(
        total=len(placed),
        ranked=tuple(
            Ranked(papers[pk], score, gained.get(pk), votes, place)
            for place, (pk, votes, score) in enumerate(shown, start + 1)
            if pk in papers
        ),
    )


@dataclass(frozen=True, slots=True)
class _Known:
    pk: int
    key: str
    category: str
    votes: int | None
    comments: int | None
    stars: int | None
    first_listed_on: date


def _known(first: date, last: date) -> list[_Known]:
    """Without the texts, of which a month has fifty megabytes."""
    papers = Paper.objects.listed_between(first, last).filter(kind=Paper.Kind.PAPER)
    return [
        _Known(*row)
        for row in papers.values_list(
            "pk", "key", "primary_category", "votes", "comments", "stars", "first_listed_on"
        )
    ]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


# --- gains --------------------------------------------------------------------------------------------------


def gains(paper_ids: Collection[int], *, since: datetime, until: datetime) -> dict[int, int]:
    """Votes that each paper gained after `since` and up to `until`: {paper id: votes, 0 or more}. One query.

    Two numbers are needed: what the source said up to `since`, or else the first that it said after it (a
    paper listed today has gained at least the difference), and the last. Papers with one number are left out:
    what a paper had when it was first seen is a total, no gain. No change is 0 only where the source was read
    again after `since`. Votes that were taken back are no loss. What sources say of rows merged into a paper
    counts for the paper; several sources with votes are added up.
    """
    if not paper_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_GAINS, {"ids": list(paper_ids), "since": since, "until": until})
        return {paper_id: int(votes) for paper_id, votes in cursor.fetchall()}


_GAINS = """
    WITH line AS (
        SELECT COALESCE(paper.canonical_id, paper.id) AS paper_id,
               paper.counted_at > %(since)s AS is_counted,
               (array_agg(said.votes ORDER BY said.seen_at DESC, said.id DESC)
                   FILTER (WHERE said.seen_at <= %(since)s))[1] AS before,
               (array_agg(said.votes ORDER BY said.seen_at, said.id)
                   FILTER (WHERE said.seen_at > %(since)s))[1] AS first,
               (array_agg(said.votes ORDER BY said.seen_at DESC, said.id DESC))[1] AS last,
               count(*) FILTER (WHERE said.seen_at > %(since)s) AS seen
        FROM digest_sighting said JOIN digest_paper paper ON paper.id = said.paper_id
        WHERE (paper.id = ANY(%(ids)s) OR paper.canonical_id = ANY(%(ids)s))
          AND said.votes IS NOT NULL AND said.seen_at <= %(until)s
        GROUP BY paper.id, said.source_id
    )
    SELECT paper_id, sum(greatest(last - COALESCE(before, first), 0))
    FROM line
    WHERE (before IS NOT NULL AND (seen > 0 OR is_counted)) OR seen > 1
    GROUP BY paper_id
"""

# --- late bloomers ------------------------------------------------------------------------------------------

_LEAST_GAIN = 5
# Readings of a list this long after its day fill a gap; they count as made when the day was over.
_FILLED_AFTER_DAYS = 15


@dataclass(frozen=True)
class Bloomer:
    """A paper that was quiet on its first day and rises now; `gained` is what it rose by.

    The first and the last reading of the span, with the days for which their numbers stand.
    """

    paper: Paper
    first: Sighting
    first_on: date
    last: Sighting
    last_on: date
    gained: int


def late_bloomers(day: date, *, span_days: int = 14, rising_days: int = 2, limit: int = 3) -> list[Bloomer]:
    """Papers first listed in the span before `day`, of which few took notice then and many do now.

    Quiet: not above the middle of the votes that its first day's papers had when they were first read.
    Rising: 5 votes or more within the `rising_days` that end with the day after `day`, and no fewer than it
    had on its first day. The most votes gained first, ties by row. Three queries.
    """
    until = _midnight(day + timedelta(days=2))
    with connection.cursor() as cursor:
        cursor.execute(
            _BLOOMERS,
            {
                "first": day - timedelta(days=span_days - 1),
                "day": day,
                "since": until - timedelta(days=rising_days),
                "until": until,
                "filled": f"{_FILLED_AFTER_DAYS} days",
                "least": _LEAST_GAIN,
                "limit": limit,
            },
        )
        found = cursor.fetchall()
    said = Sighting.objects.in_bulk([pk for row in found for pk in (row[1], row[3])])
    papers = Paper.objects.in_bulk([row[0] for row in found])
    return [
        Bloomer(papers[pk], said[first], first_on, said[last], last_on, gained)
        for pk, first, first_on, last, last_on, gained in found
    ]


_BLOOMERS = """
    WITH said AS (
        SELECT COALESCE(paper.canonical_id, paper.id) AS paper_id, said.id, said.votes, said.listing_day,
               said.seen_at,
               CASE WHEN said.seen_at > said.listing_day + %(filled)s::interval
                    THEN said.listing_day + interval '1 day' ELSE said.seen_at END AS moment
        FROM digest_sighting said JOIN digest_paper paper ON paper.id = said.paper_id
        WHERE said.listing_day BETWEEN %(first)s AND %(day)s AND said.is_listing AND said.votes IS NOT NULL
    ), first AS (
        SELECT DISTINCT ON (paper_id) paper_id, id, votes, listing_day, moment
        FROM said ORDER BY paper_id, listing_day, seen_at, id
    ), last AS (
        SELECT DISTINCT ON (paper_id) paper_id, id, votes, moment
        FROM said WHERE moment <= %(until)s ORDER BY paper_id, moment DESC, listing_day DESC, id DESC
    ), before AS (
        SELECT DISTINCT ON (paper_id) paper_id, votes
        FROM said WHERE moment <= %(since)s ORDER BY paper_id, moment DESC, listing_day DESC, id DESC
    ), usual AS (
        SELECT listing_day, percentile_cont(0.5) WITHIN GROUP (ORDER BY votes) AS votes
        FROM first GROUP BY listing_day
    ), risen AS (
        SELECT first.paper_id, first.id AS first_id, first.votes AS first_votes,
               first.moment AS first_at, last.id AS last_id, last.moment AS last_at,
               last.votes - COALESCE(before.votes, first.votes) AS gained
        FROM first JOIN last USING (paper_id) LEFT JOIN before USING (paper_id)
             JOIN usual USING (listing_day)
        WHERE first.votes <= usual.votes AND first.id <> last.id AND first.listing_day < %(day)s
    )
    SELECT risen.paper_id, first_id, ((first_at - interval '1 second') AT TIME ZONE 'UTC')::date,
           last_id, ((last_at - interval '1 second') AT TIME ZONE 'UTC')::date, gained
    FROM risen JOIN digest_paper paper ON paper.id = risen.paper_id
    WHERE gained >= %(least)s AND gained >= first_votes AND paper.withdrawn_at IS NULL
    ORDER BY gained DESC, risen.paper_id LIMIT %(limit)s
"""
